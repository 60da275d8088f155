"""Which provider plugins there are, and loading one when its name is used."""

import inspect
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from attrs import define, evolve

from core_chat._provider import Provider
from core_chat.errors import (
    InvalidRequestError,
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
        self._only = _names(only, "CORE_CHAT_PLUGINS")
        self._block = _names(block, "CORE_CHAT_BLOCK") or frozenset()
        self._config = config
        self._found: dict[str, _Slot] | None = None
        self._own: dict[str, _Slot] = {}

    @property
    def _slots(self) -> dict[str, _Slot]:
        if self._found is None:
            self._found = dict(self._discover())
            for name in self._config:
                if name not in self._found and name not in self._own:
                    close = hint(close_names(name, self._found))
                    _LOG.warning("config names the provider %r, which is not installed%s", name, close)
        return self._found | self._own

    def _discover(self) -> Iterator[tuple[str, _Slot]]:
        claims: dict[str, dict[tuple[str, str], EntryPoint]] = {}
        for entry in entry_points(group=PROVIDERS):
            claims.setdefault(entry.name, {})[_distribution(entry)[0] or "", entry.value] = entry
        for name, entries in sorted(claims.items()):
            first = next(iter(entries.values()))
            distribution, version = _distribution(first)
            plugin = Plugin(name, distribution, version)
            allowed = [entry for entry in entries.values() if self._allowed(entry)]
            if not allowed:
                yield name, _Slot(evolve(plugin, status="blocked"))
            elif len(allowed) > 1:
                yield name, _Slot(evolve(plugin, status="conflict", error=_conflict(name, allowed)))
            else:
                distribution, version = _distribution(allowed[0])
                yield name, _Slot(Plugin(name, distribution, version), allowed[0])

    def _allowed(self, entry: EntryPoint) -> bool:
        names = {entry.name.lower(), _normal(_distribution(entry)[0] or entry.name)}
        return (self._only is None or bool(names & self._only)) and not names & self._block

    def table(self) -> dict[str, Plugin]:
        """Return every name with what is known of it; imports no plugin."""
        return {name: slot.plugin for name, slot in self._slots.items()}

    def usable(self) -> list[str]:
        """Return the names that may be asked for models."""
        return [name for name, slot in self._slots.items() if slot.plugin.status in ("available", "loaded")]

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
        slot = self._slots.get(name)
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
        there = ", ".join(sorted(self._slots)) or "none"
        close = hint(close_names(name, [*self._slots, *_DISTRIBUTIONS]))
        return UnknownProviderError(
            f"no provider {name!r} is installed{close} (installed: {there}); pip install the plugin that has it"
        )

    def _load(self, name: str, slot: _Slot) -> Provider:
        if slot.entry is None:  # pragma: no cover - an available plugin has an entry point
            raise self.unknown(name)
        try:
            plugin = _build(slot.entry, name, self._config.get(name, {}))
            slot.provider = Provider(name, plugin)
        except InvalidRequestError:
            raise
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
        if not _NAME.fullmatch(name):
            raise PluginError(f"{name!r} cannot be a provider's name: use letters, digits, '.', '_' and '-'")
        known = self._slots.get(name)
        if known is not None and known.plugin.status != "blocked":
            raise PluginConflictError(
                f"the provider {name!r} is there already; register under another name, or Registry(block=[{name!r}])",
                plugin=name,
            )
        if isinstance(plugin, type):
            plugin = plugin(**self._config.get(name, {}))
        provider = Provider(name, plugin)
        self._own[name] = _Slot(Plugin(name, status="loaded", about=provider.about), provider=provider)
        return provider


def _names(given: Iterable[str] | None, variable: str) -> frozenset[str] | None:
    if given is None:
        text = os.environ.get(variable, "")
        given = [part for part in text.split(",") if part.strip()] or None
    if isinstance(given, str):
        given = [given]
    return (
        None if given is None else frozenset(form for name in given for form in (name.strip().lower(), _normal(name)))
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _distribution(entry: EntryPoint) -> tuple[str | None, str | None]:
    return (entry.dist.name, entry.dist.version) if entry.dist is not None else (None, None)


def _conflict(name: str, entries: list[EntryPoint]) -> PluginConflictError:
    who = " and ".join(sorted(_distribution(entry)[0] or entry.value for entry in entries))
    return PluginConflictError(
        f"{who} both provide {name!r}, so neither is used: uninstall one, or Registry(block=[its distribution])",
        plugin=name,
    )


def _build(entry: EntryPoint, name: str, config: Mapping[str, Any]) -> object:
    try:
        loaded = entry.load()
    except (Exception, SystemExit) as error:
        text = f"{_distribution(entry)[0] or entry.value} cannot be imported: {type(error).__name__}: {error}"
        raise PluginError(text.rstrip(": "), plugin=name) from error
    if not isinstance(loaded, type):
        if config:
            raise InvalidRequestError(f"{name} takes no configuration", parameter="config")
        return loaded
    known = inspect.signature(loaded).parameters
    for key in config:
        if key not in known and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
            ways = hint(close_names(key, known)) or f": it takes {', '.join(known) or 'none'}"
            raise InvalidRequestError(f"{name} has no setting {key!r}{ways}", parameter="config")
    try:
        return loaded(**config)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{name}: {error}", parameter="config") from error
    except Exception as error:
        # The error's own text may hold what it was built from, a key among it.
        raise PluginError(f"{name} cannot be built: {type(error).__name__}", plugin=name) from error
