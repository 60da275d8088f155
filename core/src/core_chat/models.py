"""What is known of a model, a provider, a plugin and a list of models."""

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from attrs import evolve, field, frozen

from core_chat.errors import CoreError

PluginStatus: TypeAlias = Literal["available", "loaded", "broken", "conflict", "blocked"]


def _optional_set(value: Iterable[str] | None) -> frozenset[str] | None:
    return None if value is None else frozenset(value)


@frozen
class Price:
    """US dollars for a million tokens."""

    input: float | None = None
    output: float | None = None


@frozen(kw_only=True)
class ModelInfo:
    """One model of one provider; None means unknown.

    Attributes:
        name: The id the provider's upstream knows, without the provider's name.
        provider: Stamped by the registry; a plugin leaves it empty.
        title: A name for people.
        context: Tokens the model can read.
        max_output: Tokens it can write.
        features: Such as "images", "tools", "reasoning", "system", "structured_output".
        tasks: Such as "chat", "text-generation", "text-to-image".
        price: Per million tokens.
        backends: The parties that serve it behind the provider.
        known: False for an id that was passed through without being on any list.
        is_default: Whether this is the provider's default model.
        source: Where this was learnt: "live", "search" (the upstream did the searching) or "bundled".
    """

    name: str = field(kw_only=False)
    provider: str = ""
    title: str | None = None
    context: int | None = None
    max_output: int | None = None
    features: frozenset[str] | None = field(default=None, converter=_optional_set)
    tasks: frozenset[str] | None = field(default=None, converter=_optional_set)
    price: Price | None = None
    backends: tuple[str, ...] | None = None
    known: bool = True
    is_default: bool = False
    source: str | None = None

    @property
    def full_name(self) -> str:
        """The name that resolves to this model everywhere: `provider:model`."""
        return f"{self.provider}:{self.name}"

    def stamped(self, provider: str) -> "ModelInfo":
        """Return this model as that provider's."""
        return self if self.provider == provider else evolve(self, provider=provider)


@frozen(kw_only=True)
class About:
    """What a person wants to know of a provider before using it; every field but the label may be left out.

    `models` are ids worth suggesting when a name is misspelt; `features` are those of ModelInfo that some model of
    the provider has.
    """

    label: str
    home: str | None = None
    key_page: str | None = None
    key_variable: str | None = None
    needs_key: bool = False
    terms: str | None = None
    default_model: str | None = None
    models: tuple[str, ...] = ()
    streams: bool = True
    system_messages: bool = True
    message_history: bool = True


@frozen
class Plugin:
    """One provider plugin as `registry.plugins` shows it.

    `error` says why it cannot be used; `about` is there once it is loaded.
    """

    name: str
    distribution: str | None = None
    version: str | None = None
    status: PluginStatus = "available"
    error: CoreError | None = None
    about: About | None = None


@frozen
class Catalog:
    """The models of the providers that answered, the errors of those that did not, and whose list is an old one."""

    models: tuple[ModelInfo, ...] = ()
    failures: Mapping[str, CoreError] = field(factory=dict)
    stale: frozenset[str] = frozenset()
