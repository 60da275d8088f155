"""The service's model list, kept for a time."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from attrs import define, field

from core_allenai._entries import Entry, read_entries
from core_allenai._errors import RouteMissingError
from core_chat.cache import ExpiringCache, key_of
from core_chat.http import Client


@define(eq=False)
class Catalog:
    """The model list of one provider object, kept per token: somebody who is signed in may see more.

    Args:
        paths: Where it may be, the most likely place first.
    """

    paths: tuple[str, ...]
    _kept: ExpiringCache[str, Mapping[str, Entry]] = field(init=False, factory=ExpiringCache)

    async def entries(self, client: Client, *, refresh: bool = False) -> Mapping[str, Entry]:
        """Return the list, by id.

        Raises:
            ProviderError: It cannot be had.
        """
        load: Callable[[], Awaitable[Mapping[str, Entry]]] = partial(self._load, client)
        return await self._kept.get(key_of(client.token), load, clock=client.clock, refresh=refresh)

    async def _load(self, client: Client) -> Mapping[str, Entry]:
        missing: RouteMissingError | None = None
        for path in self.paths:
            try:
                return {entry.id: entry for entry in read_entries(await client.json("GET", path))}
            except RouteMissingError as error:
                missing = error
        raise missing or RouteMissingError("there is no model list")

    async def entry(self, name: str, client: Client) -> Entry | None:
        """Return what the list says of a model, or None where it does not name it.

        Raises:
            ProviderError: The list cannot be had.
        """
        return (await self.entries(client)).get(name)

    async def live(self, client: Client) -> tuple[str, ...]:
        """Return the ids of the models a person can chat with.

        Raises:
            ProviderError: The list cannot be had.
        """
        return tuple(entry.id for entry in (await self.entries(client)).values() if entry.usable)

    def known(self, name: str) -> Entry | None:
        """Return what a kept list says of a model, without asking for a new one."""
        return next((entries[name] for entries in self._kept.values() if name in entries), None)

    def image_models(self, client: Client) -> tuple[str, ...]:
        """Return the models of the kept list that take pictures."""
        kept = self._kept.last(key_of(client.token)) or {}
        return tuple(entry.id for entry in kept.values() if entry.usable and entry.takes_images)
