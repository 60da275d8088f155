"""Which provider plugins there are, and loading one when its name is used."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint
from typing import Any

from attrs import define, evolve

from core_chat._build import build, load
from core_chat._entries import distribution_of, installed, names_given, normal, source_of
from core_chat._provider import Provider
from core_chat.errors import (
    PluginConflictError,
    PluginError,
    UnknownProviderError,
    close_names,
    hint,
)
from core_chat.hooks import PROVIDERS
from core_chat.models import Plugin

_LOG = logging.getLogger("core_chat")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DISTRIBUTIONS = {
    "replicate": "core-replicate",
    "allenai": "core-allenai",
    "huggingface": "core-huggingface",
    "huggingface-inference": "core-huggingface",
}


@define(eq=False)
class _Slot:
    """One provider name: how it is shown, where it is loaded from, and the provider once it is there."""

    plugin: Plugin
    entry: EntryPoint | None = None
    provider: Provider | None = None


class Plugins:
    """The provider plugins of one registry; found at the first look-up, each imported when its name is used."""

    def __init__(
        self,
        *,
        only: Iterable[str] | None,
        block: Iterable[str] | None,
        config: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._only = names_given(only, parameter="only", variable="CORE_CHAT_PLUGINS")
        self._block = names_given(block, parameter="block", variable="CORE_CHAT_BLOCK") or frozenset()
        self._config = config
        self._found: dict[str, _Slot] | None = None
        self._own: dict[str, _Slot] = {}
        self._warned = False

    @property
    def _slots(self) -> dict[str, _Slot]:
        if self._found is None:
            self._found = dict(self._discover())
        return self._found | self._own

    def _used(self) -> dict[str, _Slot]:
        """Return all slots; at the first use, when the host has registered its own, its settings are checked."""
        slots = self._slots
        if not self._warned:
            self._warned = True
            self._warn_of_names()
        return slots

    def _warn_of_names(self) -> None:
        """Tell of names in the host's settings that nothing answers to: a misspelt `block` would block nothing."""
        providers = {**(self._found or {}), **self._own}
        for name in self._config:
            if name not in providers:
                close = hint(close_names(name, providers))
                _LOG.warning("config names the provider %r, which is not installed%s", name, close)
        distributions = {normal(slot.plugin.distribution or "") for slot in providers.values()}
        known = {form for name in (*providers, *distributions) for form in (name.lower(), normal(name))}
        for name in sorted(((self._only or frozenset()) | self._block) - known):
            if close := hint(close_names(name, providers) or close_names(name, distributions)):
                _LOG.warning("only/block name the plugin %r, which is not installed%s", name, close)

    def _discover(self) -> Iterator[tuple[str, _Slot]]:
        claims: dict[str, dict[tuple[str, str], EntryPoint]] = {}
        for entry in installed(PROVIDERS):
            claims.setdefault(entry.name, {})[distribution_of(entry)[0] or "", entry.value] = entry
        for name, entries in sorted(claims.items()):
            yield name, self._slot(name, list(entries.values()))

    def _slot(self, name: str, entries: list[EntryPoint]) -> _Slot:
        allowed = [entry for entry in entries if self._allowed(entry)]
        plugin = Plugin(name, *distribution_of((allowed or entries)[0]))
        if not allowed:
            return _Slot(evolve(plugin, status="blocked"))
        if len(allowed) > 1:
            return _Slot(evolve(plugin, status="conflict", error=_conflict(name, allowed)))
        if not is_provider_name(name):
            return _Slot(evolve(plugin, status="broken", error=_bad_name(name)))
        return _Slot(plugin, allowed[0])

    def _allowed(self, entry: EntryPoint) -> bool:
        names = {entry.name.lower(), normal(source_of(entry))}
        return (self._only is None or bool(names & self._only)) and not names & self._block

    def table(self) -> dict[str, Plugin]:
        """Return every name with what is known of it; imports no plugin."""
        return {name: slot.plugin for name, slot in self._used().items()}

    def usable(self) -> list[str]:
        """Return the names that may be asked for models."""
        return [name for name, slot in self._used().items() if slot.plugin.status in ("available", "loaded")]

    def unusable(self) -> list[str]:
        """Return the names that are broken or claimed twice."""
        return [name for name, slot in self._slots.items() if slot.plugin.status in ("broken", "conflict")]

    def __contains__(self, name: str) -> bool:
        return name in self._slots

    def loaded(self) -> list[Provider]:
        """Return the providers that are there already."""
        return [slot.provider for slot in (*(self._found or {}).values(), *self._own.values()) if slot.provider]

    def get(self, name: str) -> Provider:
        """Return a provider, loading it at first.

        Raises:
            UnknownProviderError: It is not installed or not allowed.
            PluginError: It is broken, or two distributions claim its name.
            InvalidRequestError: Its configuration is wrong.
        """
        slot = self._used().get(name)
        if slot is None:
            raise self.unknown(name)
        if slot.provider is not None:
            return slot.provider
        if slot.plugin.status == "blocked":
            raise UnknownProviderError(f"the provider {name!r} is installed but not allowed by only/block")
        if slot.plugin.error is not None:
            # A fresh object each time, so that one traceback does not grow with every use.
            known = slot.plugin.error
            kind = PluginConflictError if isinstance(known, PluginConflictError) else PluginError
            raise kind(str(known), plugin=name) from known.__cause__
        return self._load(name, slot)

    def installable(self, name: str) -> bool:
        """Whether this is the name of a provider of ours that is not installed."""
        return name in _DISTRIBUTIONS and name not in self

    def unknown(self, name: str) -> UnknownProviderError:
        """Return the error for a provider that is not installed."""
        if name in _DISTRIBUTIONS:
            return UnknownProviderError(f"the provider {name!r} is not installed: pip install {_DISTRIBUTIONS[name]}")
        allowed = [known for known, slot in self._slots.items() if slot.plugin.status != "blocked"]
        there = ", ".join(sorted(allowed)) or "none"
        close = hint(close_names(name, [*allowed, *_DISTRIBUTIONS]))
        return UnknownProviderError(
            f"no provider {name!r} is installed{close} (installed: {there}); pip install the plugin that has it"
        )

    def _load(self, name: str, slot: _Slot) -> Provider:
        if slot.entry is None:  # pragma: no cover - an available plugin has an entry point
            raise self.unknown(name)
        try:
            loaded = load(slot.entry, name)
            slot.provider = Provider(name, build(loaded, name, self._config.get(name, {})))
        except PluginError as error:
            slot.plugin = evolve(slot.plugin, status="broken", error=error)
            _LOG.warning("the provider plugin %r is broken: %s", name, error)
            raise
        slot.plugin = evolve(slot.plugin, status="loaded", about=slot.provider.about)
        return slot.provider

    def add(self, plugin: object, name: str) -> Provider:
        """Take in an in-process provider.

        Raises:
            PluginError: It does not keep the contract, or its name cannot be one.
            PluginConflictError: The name is taken.
        """
        if not is_provider_name(name):
            raise _bad_name(name)
        known = self._slots.get(name)
        if known is not None and known.plugin.status != "blocked":
            raise PluginConflictError(
                f"the provider {name!r} is there already; register under another name, or Registry(block=[{name!r}])",
                plugin=name,
            )
        provider = Provider(name, build(plugin, name, self._config.get(name, {})))
        self._own[name] = _Slot(Plugin(name, status="loaded", about=provider.about), provider=provider)
        return provider


def is_provider_name(name: object) -> bool:
    """Whether a provider can have this name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _bad_name(name: object) -> PluginError:
    return PluginError(f"{name!r} cannot be a provider's name: use letters, digits, '.', '_' and '-'", plugin=str(name))


def _conflict(name: str, entries: list[EntryPoint]) -> PluginConflictError:
    who = " and ".join(sorted(source_of(entry) for entry in entries))
    return PluginConflictError(
        f"{who} both provide {name!r}, so neither is used: uninstall one, or Registry(block=[its distribution])",
        plugin=name,
    )
