"""Time, sleep and randomness, in one place, so that tests and simulations need no real time."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Protocol


class TimerHandle(Protocol):
    """What `Clock.call_at` returns."""

    def cancel(self) -> None:
        """Make sure the callback is not called."""
        ...


class Clock(Protocol):
    """The source of time for deadlines, retries, polling and caches."""

    def time(self) -> float:
        """Return monotonic seconds."""
        ...

    def now(self) -> float:
        """Return seconds since 1970 (UTC), to read HTTP dates by."""
        ...

    def random(self) -> float:
        """Return a number in [0, 1)."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Call `callback` once `time()` has reached `when`."""
        ...


class SystemClock:
    """The real clock of the running event loop."""

    def time(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def now(self) -> float:
        """Return seconds since 1970 (UTC)."""
        return time.time()

    def random(self) -> float:
        """Return a number in [0, 1)."""
        return random.random()  # noqa: S311 - it spreads retries, it guards nothing

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Call `callback` once `time()` has reached `when`."""
        return asyncio.get_running_loop().call_later(max(0.0, when - self.time()), callback)


SYSTEM_CLOCK = SystemClock()
