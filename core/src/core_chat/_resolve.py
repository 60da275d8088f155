"""From a name to a model, without I/O."""

from collections.abc import Callable, Iterable, Mapping

from attrs import evolve, frozen

from core_chat._plugins import Plugins, is_provider_name
from core_chat.checks import shown
from core_chat.errors import (
    AmbiguousModelError,
    CoreError,
    InvalidRequestError,
    UnknownModelError,
    close_names,
    hint,
)
from core_chat.models import ModelInfo


@frozen
class Resolver:
    """Resolves names over the plugins of one registry.

    `ask(provider, name)` calls a provider's `resolve_model`; `listed()` gives full names for suggestions.
    """

    plugins: Plugins
    aliases: Mapping[str, str]
    ask: Callable[[str, str], ModelInfo | None]
    listed: Callable[[], Iterable[str]]

    def resolve(self, model: object) -> ModelInfo:
        """Return the model of that name; `Registry.resolve` says which errors are raised."""
        if not isinstance(model, str) or not model.strip() or not model.isprintable():
            raise InvalidRequestError(
                f"model must be a name like 'provider:model', not {shown(model)}", parameter="model"
            )
        model = self.aliases.get(model, model)
        provider, colon, name = model.partition(":")
        if colon and provider in self.plugins:
            return self._named(provider, name)
        if colon and self.plugins.installable(provider):
            raise self.plugins.unknown(provider)
        return self._bare(model)

    def _named(self, provider: str, name: str) -> ModelInfo:
        claim = self.ask(provider, name)
        if claim is not None:
            return evolve(claim, is_default=True) if not name else claim
        if not name:
            raise UnknownModelError(f"{provider} has no default model; name one: '{provider}:model'")
        own = [full.partition(":")[2] for full in self._names() if full.startswith(f"{provider}:")]
        close = close_names(name, own)
        raise UnknownModelError(f"{provider} has no model {name!r}{hint(close)}", suggestions=close)

    def _bare(self, model: str) -> ModelInfo:
        claims: list[ModelInfo] = []
        failed = self.plugins.unusable()
        for provider in self.plugins.usable():
            try:
                claim = self.ask(provider, model)
            except CoreError:
                failed.append(provider)
                continue
            if claim is not None and claim.known:
                claims.append(claim)
        if len(claims) == 1:
            return claims[0]
        if claims:
            candidates = [claim.full_name for claim in claims]
            raise AmbiguousModelError(
                f"several providers know {model!r}: use one of {', '.join(candidates)}", candidates=candidates
            )
        raise self._unknown(model, failed)

    def _unknown(self, model: str, failed: Iterable[str]) -> CoreError:
        provider, colon, _ = model.partition(":")
        close = self._close(model)
        if colon and is_provider_name(provider) and (not close or close_names(provider, self.plugins.table())):
            return self.plugins.unknown(provider)
        if model in self.plugins:
            close = [f"{model}:", *close]
        skipped = ", ".join(failed)
        text = f"no provider knows the model {model!r}{hint(close)}; an unlisted one needs its provider: 'name:{model}'"
        return UnknownModelError(f"{text} (not asked, being broken: {skipped})" if skipped else text, suggestions=close)

    def _names(self) -> set[str]:
        """Return the full names that may be suggested, and the host's aliases."""
        names = set(self.listed()) | set(self.aliases)
        for provider in self.plugins.loaded():
            about = provider.about
            if about is not None:
                names.update(f"{provider.name}:{name}" for name in (*about.models, about.default_model) if name)
        return names

    def _close(self, model: str) -> list[str]:
        names = self._names()
        if ":" in model:
            return close_names(model, names)
        bare = {full.partition(":")[2] or full: full for full in sorted(names)}
        return [bare[match] for match in close_names(model, bare)]
