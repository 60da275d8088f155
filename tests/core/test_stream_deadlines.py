"""The deadlines of a stream, in virtual time."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable

import pytest
from tests.core.players import DONE, Player, asleep, events, failure, opened, read, waiting

from core_chat import (
    ChatRequest,
    Event,
    Route,
    TextDelta,
    TimedOutError,
    Timeouts,
)
from core_chat.testing import ManualClock


async def test_the_first_piece_has_its_own_time() -> None:
    """Routes and notices are not the answer: the time for the first piece runs on over them."""
    seen: list[str] = []
    clock = ManualClock()
    play = waiting(6.0, Route("p", "m"), 5.0, TextDelta("a"), DONE, seen=seen)
    player = Player([play])
    async with opened(player, clock=clock) as registry:
        error = await failure(registry.stream("p:", "hi", timeouts=Timeouts(first_event=10, idle=7)))
        assert isinstance(error, TimedOutError)
        assert (error.timeout, error.retryable, str(error)) == ("first_event", False, "p: no answer came within 10 s")
        assert (seen, player.begun, player.closed) == (["CancelledError"], 1, 1)
        assert (await registry.chat("p:", "hi", timeouts=Timeouts(first_event=12, idle=7))).text == "a"


async def test_silence_between_events_is_limited() -> None:
    """`idle` runs from one event to the next, anew each time."""
    clock = ManualClock()
    play = waiting(TextDelta("a"), 9.0, TextDelta("b"), 9.0, TextDelta("c"), 11.0, TextDelta("d"), DONE)
    async with opened(Player([play]), clock=clock) as registry:
        error = await failure(registry.stream("p:", "hi", timeouts=Timeouts(idle=10)))
    assert isinstance(error, TimedOutError)
    assert (error.timeout, str(error)) == ("idle", "p: nothing came for 10 s")
    assert error.partial is not None
    assert error.partial.text == "abc"


async def test_life_signs_are_no_progress() -> None:
    """A provider that wakes up again and again, as for comments of a stream, still has to bring an event in time."""
    clock = ManualClock()
    play = waiting(TextDelta("a"), 3.0, 3.0, 3.0, 3.0, TextDelta("b"), DONE)
    async with opened(Player([play]), clock=clock) as registry:
        error = await failure(registry.stream("p:", "hi", timeouts=Timeouts(idle=10)))
        assert isinstance(error, TimedOutError)
        assert error.timeout == "idle"
        assert (await registry.chat("p:", "hi", timeouts=Timeouts(idle=12.5))).text == "ab"


async def test_the_end_after_finish_is_waited_for_no_longer_than_an_event() -> None:
    """A provider that never ends after `Finish` runs into `idle`."""
    async with opened(Player([waiting(TextDelta("a"), DONE, 1e6)])) as registry:
        error = await failure(registry.stream("p:", "hi"))
    assert isinstance(error, TimedOutError)
    assert error.timeout == "idle"


async def test_the_total_counts_only_what_the_upstream_takes() -> None:
    """`total` is the sum of all waits for the upstream; what the caller does in between is not in it."""
    clock = ManualClock()
    play = waiting(3.0, TextDelta("a"), 3.0, TextDelta("b"), 3.0, TextDelta("c"), 3.0, TextDelta("d"), DONE)
    async with opened(Player([play]), clock=clock) as registry:
        async with registry.stream("p:", "hi", timeouts=Timeouts(total=10)) as stream:
            for text in "abc":
                assert await anext(stream) == TextDelta(text)
                await clock.sleep(100)
            with pytest.raises(TimedOutError, match="p: the answer took more than 10 s") as caught:
                await anext(stream)
        assert caught.value.timeout == "total"
        assert (await registry.chat("p:", "hi", timeouts=Timeouts(total=12.5))).text == "abcd"


@pytest.mark.parametrize("timeouts", [Timeouts(idle=1), Timeouts(total=1), Timeouts(first_event=1)])
async def test_no_timeout_runs_while_the_caller_works(timeouts: Timeouts) -> None:
    """A caller may take an hour over each event."""
    clock = ManualClock()
    async with (
        opened(Player([waiting(0.2, TextDelta("a"), 0.2, TextDelta("b"), 0.2, DONE)]), clock=clock) as registry,
        registry.stream("p:", "hi", timeouts=timeouts) as stream,
    ):
        async for _ in stream:
            await clock.sleep(3600)
        assert (await stream.reply()).text == "ab"


async def test_timeouts_can_be_switched_off() -> None:
    """With None everywhere a day's silence is no error."""
    clock = ManualClock()
    never = Timeouts(connect=None, headers=None, first_event=None, idle=None, total=None)
    async with opened(Player([waiting(86400.0, TextDelta("a"), 86400.0, DONE)]), clock=clock) as registry:
        assert (await registry.chat("p:", "hi", timeouts=never)).text == "a"


async def test_a_deadline_costs_no_timer_for_each_event() -> None:
    """Events that are there already set no timer, and those that are waited for share one."""
    set_timers: list[float] = []

    class Counting(ManualClock):
        def call_at(self, when: float, callback: Callable[[], None]):  # type: ignore[no-untyped-def]  # noqa: ANN202
            set_timers.append(when)
            return super().call_at(when, callback)

    ready: Iterable[Event] = [TextDelta("x")] * 50
    async with opened(Player([events(*ready, DONE)]), clock=Counting()) as registry:
        await registry.chat("p:", "hi")
    assert set_timers == []
    slow: list[Event | float] = [item for _ in range(50) for item in (0.5, TextDelta("x"))]
    async with opened(Player([waiting(*slow, DONE)]), clock=Counting()) as registry:
        await registry.chat("p:", "hi")
    assert len(set_timers) <= 2


async def test_a_deadline_and_a_cancellation_at_once() -> None:
    """A task that is cancelled while its deadline fires stays cancelled."""
    clock = ManualClock(auto=False)
    player = Player([waiting(1e6, DONE)])
    async with opened(player, clock=clock) as registry:
        task = asyncio.ensure_future(read(registry.stream("p:", "hi", timeouts=Timeouts(first_event=5))))
        await asleep(clock)
        clock.advance(6)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
    assert player.closed == 1


async def test_a_provider_that_swallows_the_deadline_keeps_its_event() -> None:
    """A provider that answers a cancellation with an event is believed, and no cancellation is left over."""

    async def stubborn(request: ChatRequest) -> AsyncGenerator[Event, None]:
        try:
            await request.clock.sleep(100)
        except asyncio.CancelledError:
            yield TextDelta("late")
        yield DONE

    async with opened(Player([stubborn])) as registry:
        assert (await registry.chat("p:", "hi", timeouts=Timeouts(first_event=5))).text == "late"
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0


async def test_a_provider_that_moves_the_clock_itself_is_timed_out_cleanly() -> None:
    """Time that passes inside the provider's own step never cancels what comes after it."""
    clock = ManualClock()

    async def leap(request: ChatRequest) -> AsyncGenerator[Event, None]:
        await asyncio.sleep(0)
        clock.advance(50)
        yield TextDelta("a")
        yield DONE

    async with opened(Player([leap]), clock=clock) as registry:
        assert (await registry.chat("p:", "hi", timeouts=Timeouts(first_event=5))).text == "a"
        await asyncio.sleep(0)
