"""Waiting for a change of state without polling."""

import asyncio
from collections.abc import Callable

from attrs import define, field


@define(eq=False)
class Pulse:
    """Something that changes; whoever waits looks again at every beat."""

    _event: asyncio.Event = field(factory=asyncio.Event, init=False)

    def beat(self) -> None:
        """Wake everyone who waits."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready()`; it is asked at once, and at every beat."""
        while not ready():
            await self._event.wait()
