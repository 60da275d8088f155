"""A clock without real time, for tests and simulations."""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable

from attrs import define

from core_chat.clock import TimerHandle


@define(eq=False)
class _Timer:
    """One thing to happen at a time."""

    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """Virtual time: a sleep lets everything run that is ready, and then time jumps to its end.

    Several sleepers wake in the order of their times, one time after the other; timers (`call_at`) fire on the way.
    Timers alone never move time: that takes a sleeper or `advance`.

    Args:
        now: What `now()` starts at, in seconds since 1970 (2026-01-01, UTC, if not given).
        seed: Of `random()`, so that every run is the same.
        auto: False makes sleepers wait for `advance` too.
    """

    def __init__(self, *, now: float = 1_767_225_600.0, seed: int = 0, auto: bool = True) -> None:
        self.sleeps: list[float] = []
        self._elapsed = 0.0
        self._epoch = now
        self._random = random.Random(seed)  # noqa: S311 - it spreads retries, it guards nothing
        self._auto = auto
        self._order = itertools.count()
        self._timers: list[tuple[float, int, _Timer]] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._jumping = False

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._elapsed

    def now(self) -> float:
        """Return virtual seconds since 1970 (UTC)."""
        return self._epoch + self._elapsed

    def random(self) -> float:
        """Return the next number of the seeded sequence, in [0, 1)."""
        return self._random.random()

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time; `sleeps` records how long."""
        self.sleeps.append(seconds)
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        when, order = self._elapsed + max(0.0, seconds), next(self._order)
        heapq.heappush(self._timers, (when, order, _Timer(lambda: None if woken.done() else woken.set_result(None))))
        heapq.heappush(self._sleepers, (when, order, woken))
        self._jump_soon()
        await woken

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Call `callback` once time has reached `when`; if it has already, in the loop's next turn."""
        if when <= self._elapsed:
            return asyncio.get_running_loop().call_soon(callback)
        timer = _Timer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass: timers and sleepers that are due fire in order, each seeing its own time."""
        self._move_to(self._elapsed + seconds)

    def _move_to(self, when: float) -> None:
        while self._timers and self._timers[0][0] <= when:
            due, _, timer = heapq.heappop(self._timers)
            self._elapsed = max(self._elapsed, due)
            if not timer.cancelled:
                timer.callback()
        self._elapsed = max(self._elapsed, when)

    def _jump_soon(self) -> None:
        if self._auto and not self._jumping:
            self._jumping = True
            asyncio.get_running_loop().call_soon(self._jump)

    def _jump(self) -> None:
        """Wake the earliest sleeper; it runs before the next jump, and may go to sleep again by then."""
        self._jumping = False
        while self._sleepers:
            due, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self._move_to(due)
                break
        if self._sleepers:
            self._jump_soon()
