"""Virtual time."""

import asyncio

from core_chat.clock import Clock
from core_chat.testing import ManualClock


async def test_sleeping_takes_no_real_time_and_is_recorded() -> None:
    """Sleeps move both times forward and are remembered."""
    clock: Clock = ManualClock(now=1000)
    await clock.sleep(3600)
    await clock.sleep(0.5)
    assert (clock.time(), clock.now()) == (3600.5, 4600.5)
    assert isinstance(clock, ManualClock)
    assert clock.sleeps == [3600, 0.5]


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    """Tasks that sleep at once wake one after the other, each seeing its own time, however often each sleeps."""
    clock = ManualClock()
    seen: list[tuple[str, float]] = []

    async def tick(name: str, step: float, times: int) -> None:
        for _ in range(times):
            await clock.sleep(step)
            seen.append((name, clock.time()))

    await asyncio.gather(tick("slow", 10, 1), tick("fast", 3, 4))
    assert seen == [("fast", 3), ("fast", 6), ("fast", 9), ("slow", 10), ("fast", 12)]


async def test_what_is_ready_runs_before_time_moves() -> None:
    """A sleep lets other tasks run first, and one that was cancelled does not move time."""
    clock = ManualClock()
    seen: list[float] = []
    asyncio.get_running_loop().call_soon(lambda: seen.append(clock.time()))
    sleeper = asyncio.ensure_future(clock.sleep(500))
    await asyncio.sleep(0)
    sleeper.cancel()
    await asyncio.gather(sleeper, return_exceptions=True)
    await clock.sleep(1)
    assert seen == [0]
    assert clock.time() == 1


async def test_timers_fire_when_time_passes_them() -> None:
    """`call_at` fires on the way of a sleep, at its own time, unless it was cancelled; it never moves time itself."""
    clock = ManualClock()
    seen: list[float] = []
    clock.call_at(2, lambda: seen.append(clock.time()))
    clock.call_at(3, lambda: seen.append(-1)).cancel()
    clock.call_at(99, lambda: seen.append(clock.time()))
    await asyncio.sleep(0)
    assert seen == []
    await clock.sleep(5)
    assert (seen, clock.time()) == ([2], 5)


async def test_a_timer_of_the_past_fires_in_the_next_turn() -> None:
    """As with the real clock, `call_at` never calls at once, and a due timer does not wait for time to move."""
    clock = ManualClock()
    seen: list[str] = []
    clock.call_at(0, lambda: seen.append("due"))
    clock.call_at(-1, lambda: seen.append("late")).cancel()
    assert seen == []
    await asyncio.sleep(0)
    assert seen == ["due"]


async def test_advance_moves_time_by_hand() -> None:
    """Without auto, sleepers wait for `advance`; timers set by timers on the way fire too."""
    clock = ManualClock(auto=False)
    seen: list[float] = []

    def first() -> None:
        clock.call_at(2, lambda: seen.append(clock.time()))

    clock.call_at(1, first)
    sleeper = asyncio.ensure_future(clock.sleep(10))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not sleeper.done()
    clock.advance(9)
    assert (seen, clock.time()) == ([2], 9)
    assert not sleeper.done()
    clock.advance(1)
    await sleeper


def test_randomness_is_seeded() -> None:
    """Two clocks with one seed draw the same numbers; another seed draws others."""
    draws = [[clock.random() for _ in range(3)] for clock in (ManualClock(), ManualClock(), ManualClock(seed=1))]
    assert draws[0] == draws[1] != draws[2]
    assert all(0 <= number < 1 for number in draws[2])
