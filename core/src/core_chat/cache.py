"""A cache for answers that stay true for a time: expiring, bounded, one request in flight per key."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from attrs import define, field

from core_chat.clock import SYSTEM_CLOCK, Clock
from core_chat.errors import ProviderError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@define(eq=False)
class _Flight(Generic[V]):
    task: asyncio.Task[V]
    waiters: int = 0


@define(eq=False)
class ExpiringCache(Generic[K, V]):
    """Keeps what `load` returned for `seconds`; the oldest of more than `size` entries goes first.

    Callers that ask for one key at the same time share one load; it is cancelled when all of them have gone. Put what
    an answer depends on into the key (the credential too: as `key_of` gives it).
    """

    seconds: float = 300.0
    size: int = 256
    _kept: dict[K, tuple[float, V]] = field(init=False, factory=dict, repr=False)
    _flights: dict[K, _Flight[V]] = field(init=False, factory=dict, repr=False)

    async def get(
        self, key: K, load: Callable[[], Awaitable[V]], *, clock: Clock = SYSTEM_CLOCK, refresh: bool = False
    ) -> V:
        """Return the value for a key, loading it where none is fresh; an error of the load is raised and not kept."""
        kept = self._kept.get(key)
        if kept is not None and not refresh and clock.time() < kept[0]:
            return kept[1]
        flight = self._flights.get(key) or self._take_off(key, load, clock)
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        except ProviderError as error:
            # Each caller gets an error of its own: the core notes in it what that one call had received.
            raise copy.copy(error).with_traceback(error.__traceback__) from error.__cause__
        finally:
            flight.waiters -= 1
            if not flight.waiters:
                await self._abandon(key, flight)

    def _take_off(self, key: K, load: Callable[[], Awaitable[V]], clock: Clock) -> _Flight[V]:
        flight = self._flights[key] = _Flight(asyncio.ensure_future(self._load(key, load, clock)))
        flight.task.add_done_callback(lambda _: self._land(key, flight))
        return flight

    def _land(self, key: K, flight: _Flight[V]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _abandon(self, key: K, flight: _Flight[V]) -> None:
        """Cancel a load that nobody waits for any more, and see it end."""
        self._land(key, flight)
        if not flight.task.done():
            flight.task.cancel()
            await asyncio.wait([flight.task])
        if not flight.task.cancelled():
            flight.task.exception()  # looked at, so that asyncio does not report it

    async def _load(self, key: K, load: Callable[[], Awaitable[V]], clock: Clock) -> V:
        value = await load()
        self.put(key, value, clock=clock)
        return value

    def put(self, key: K, value: V, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Keep a value."""
        self._kept.pop(key, None)
        self._kept[key] = (clock.time() + self.seconds, value)
        if len(self._kept) > self.size:
            del self._kept[next(iter(self._kept))]

    def last(self, key: K) -> V | None:
        """Return the last good value for a key, fresh or not, or None."""
        kept = self._kept.get(key)
        return None if kept is None else kept[1]

    def values(self) -> list[V]:
        """Return everything kept, fresh or not."""
        return [value for _, value in self._kept.values()]

    def drop(self, key: K) -> None:
        """Forget a key."""
        self._kept.pop(key, None)


def key_of(secret: str | None) -> str:
    """Return what stands for a credential in a cache key, so that the key itself is not kept there."""
    import hashlib

    return "" if secret is None else hashlib.blake2b(secret.encode(), digest_size=16).hexdigest()
