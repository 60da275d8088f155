"""Every way of leaving a stream."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest
from attrs import define, field
from tests.core.players import DONE, Log, Player, asleep, endless, events, opened, read

from core_chat import (
    ChatRequest,
    ChatStream,
    Event,
    RateLimitError,
    RegistryClosedError,
    TextDelta,
    Timeouts,
    Usage,
    hookimpl,
)
from core_chat.testing import ManualClock


async def _leave_by_break(stream: ChatStream) -> None:
    async with stream:
        async for _ in stream:
            break


async def _leave_by_error(stream: ChatStream) -> None:
    async with stream:
        async for _ in stream:
            raise LookupError


async def _leave_by_aclose(stream: ChatStream) -> None:
    async with stream:
        await anext(stream)
        await stream.aclose()
        await stream.aclose()


async def _leave_by_timeout(stream: ChatStream) -> None:
    async with stream, asyncio.timeout(0.01):
        async for _ in stream:
            pass


async def _leave_by_wait_for(stream: ChatStream) -> None:
    async with stream:
        await anext(stream)
        await asyncio.wait_for(anext(stream), 0.01)


async def _leave_by_text(stream: ChatStream) -> None:
    async with stream:
        async for _ in stream.text():
            break


@pytest.mark.parametrize(
    ("leave", "raised"),
    [
        (_leave_by_break, None),
        (_leave_by_error, LookupError),
        (_leave_by_aclose, None),
        (_leave_by_timeout, TimeoutError),
        (_leave_by_wait_for, TimeoutError),
        (_leave_by_text, None),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
async def test_every_way_of_leaving_closes_the_provider_once(
    leave: Callable[[ChatStream], object], raised: type[BaseException] | None, *, wrapped: bool
) -> None:
    """However a stream is left, the provider's generator has been closed once when the block ends."""
    player = Player([endless])
    async with opened(player, *([Log()] if wrapped else [])) as registry:
        left = leave(registry.stream("p:", "hi"))
        assert asyncio.iscoroutine(left)
        if raised is None:
            await left
        else:
            with pytest.raises(raised):
                await left
        assert (player.begun, player.closed) == (1, 1)


@pytest.mark.parametrize("first", [True, False])
async def test_cancelling_the_task_closes_the_provider_once(*, first: bool) -> None:
    """A cancelled task, before the first event or after it, leaves nothing open and stays cancelled."""

    async def stuck(request: ChatRequest) -> AsyncGenerator[Event, None]:
        await asyncio.Event().wait()
        yield DONE

    player = Player([stuck if first else endless])
    async with opened(player) as registry:
        task = asyncio.ensure_future(read(registry.stream("p:", "hi")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (player.begun, player.closed) == (1, 1)


@pytest.mark.parametrize("first", [True, False])
async def test_a_cancelled_read_is_not_begun_again(*, first: bool) -> None:
    """A wait for an event that is given up ends the stream: nothing is sent a second time behind the caller's back."""

    async def stuck(request: ChatRequest) -> AsyncGenerator[Event, None]:
        if not first:
            yield TextDelta("a")
        await asyncio.Event().wait()

    player = Player([stuck])
    async with opened(player) as registry, registry.stream("p:", "hi") as stream:
        if not first:
            await anext(stream)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.01)
        assert player.closed == 1
        for again in (anext(stream), stream.reply()):
            with pytest.raises(RegistryClosedError, match="has failed"):
                await again
    assert player.begun == 1


async def test_closing_from_another_task_ends_the_read() -> None:
    """A stop button in another task: the reader gets an error, and the provider is closed when `aclose` returns."""
    player = Player([endless])
    async with opened(player) as registry, registry.stream("p:", "hi") as stream:
        await anext(stream)
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await stream.aclose()
        assert player.closed == 1
        with pytest.raises(RegistryClosedError, match="closed while it was read"):
            await reader
        assert not reader.cancelled()


async def test_closing_from_another_task_in_a_wait_for_a_retry() -> None:
    """A stream closed while it waits to try again does not try again."""
    clock = ManualClock(auto=False)
    player = Player([events(RateLimitError("slow down", retry_after=5))])
    async with opened(player, clock=clock) as registry, registry.stream("p:", "hi") as stream:
        reader = asyncio.ensure_future(anext(stream))
        await asleep(clock)
        with pytest.raises(RuntimeError, match="another task is reading"):
            await anext(stream)
        await stream.aclose()
        with pytest.raises(RegistryClosedError, match="the stream was closed while it was read"):
            await reader
        clock.advance(10)
    assert (player.begun, player.closed) == (1, 1)


async def test_cancelling_in_a_wait_for_a_retry() -> None:
    """A cancellation in the wait between two attempts is passed on, and nothing is sent again."""
    clock = ManualClock(auto=False)
    player = Player([events(RateLimitError("slow down", retry_after=5))])
    async with opened(player, clock=clock) as registry, registry.stream("p:", "hi") as stream:
        reader = asyncio.ensure_future(anext(stream))
        await asleep(clock)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        with pytest.raises(RegistryClosedError, match="has failed"):
            await anext(stream)
    assert (player.begun, player.closed) == (1, 1)


@pytest.mark.parametrize("wrapped", [False, True])
async def test_two_tasks_cannot_read_one_stream(*, wrapped: bool) -> None:
    """The second reader is told so, and the first one goes on."""
    go = asyncio.Event()

    async def play(request: ChatRequest) -> AsyncGenerator[Event, None]:
        yield TextDelta("a")
        await go.wait()
        yield TextDelta("b")
        yield DONE

    player = Player([play])
    async with (
        opened(player, *([Log()] if wrapped else [])) as registry,
        registry.stream("p:", "hi") as stream,
    ):
        await anext(stream)
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task is reading this stream"):
            await anext(stream)
        go.set()
        assert await reader == TextDelta("b")
        assert await anext(stream) == DONE


async def test_closing_a_registry_closes_its_streams_first() -> None:
    """Streams that are still open are closed, so that providers can cancel their work while there is a session."""
    sessions: list[bool] = []

    class Watching(Player):
        @hookimpl
        async def stream_chat(self, request: ChatRequest, session: object) -> AsyncGenerator[Event, None]:  # type: ignore[override]  # with the session
            try:
                yield TextDelta("a")
                await asyncio.Event().wait()
            finally:
                sessions.append(session.closed)  # type: ignore[attr-defined]  # aiohttp's

    async with opened(Watching([])) as registry:
        left_open = registry.stream("p:", "hi")
        await left_open.__aenter__()
        await anext(left_open)
        read_elsewhere = registry.stream("p:", "hi")
        await read_elsewhere.__aenter__()
        await anext(read_elsewhere)
        reader = asyncio.ensure_future(anext(read_elsewhere))
        await asyncio.sleep(0)
    assert sessions == [False, False]
    with pytest.raises(RegistryClosedError):
        await reader
    with pytest.raises(RegistryClosedError):
        await anext(left_open)


async def test_leaving_is_prompt_even_if_events_are_ready() -> None:
    """Leaving does not read on: what the provider had ready is not asked for."""
    asked: list[int] = []

    async def play(request: ChatRequest) -> AsyncGenerator[Event, None]:
        for number in range(1000):
            asked.append(number)
            yield TextDelta(str(number))

    async with opened(Player([play])) as registry, registry.stream("p:", "hi") as stream:
        for _ in range(3):
            await anext(stream)
    assert asked == [0, 1, 2]


async def test_a_coroutine_that_is_thrown_away_ends_nothing_twice() -> None:
    """A read that is closed and never run on, as at the end of a loop, leaves the rest to the block's end."""
    player = Player([events(TextDelta("a"), TextDelta("b"), DONE)])
    async with opened(player) as registry, registry.stream("p:", "hi") as stream:
        await anext(stream)
        read = stream.__anext__()
        read.close()
        assert await anext(stream) == TextDelta("b")
    assert (player.begun, player.closed) == (1, 1)


async def test_an_event_that_comes_while_another_task_closes() -> None:
    """A provider that answers the interruption with an event is heard once more, and closed all the same."""

    async def stubborn(request: ChatRequest) -> AsyncGenerator[Event, None]:
        yield TextDelta("a")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield Usage(1, 1)

    player = Player([stubborn])
    async with opened(player) as registry, registry.stream("p:", "hi") as stream:
        await anext(stream)
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await stream.aclose()
        assert await reader == Usage(1, 1)
        assert player.closed == 1
        with pytest.raises(RegistryClosedError):
            await anext(stream)
    assert (player.begun, player.closed) == (1, 1)


@define(eq=False)
class Cleaning:
    """A provider whose clean-up takes until it is allowed to end."""

    cleaning: asyncio.Event = field(factory=asyncio.Event)
    may_end: asyncio.Event = field(factory=asyncio.Event)
    cleaned: list[str] = field(factory=list)

    async def play(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Text, then nothing, then a clean-up that notes how it ended."""
        try:
            yield TextDelta("a")
            await asyncio.Event().wait()
        finally:
            self.cleaning.set()
            try:
                await self.may_end.wait()
                self.cleaned.append("whole")
            except asyncio.CancelledError:
                self.cleaned.append("cut short")
                raise


@pytest.mark.parametrize("ended_by", ["cancel", "deadline", "aclose"])
async def test_a_clean_up_under_way_is_waited_for_and_not_cut_short(ended_by: str) -> None:
    """A registry that closes while a provider cleans up lets it finish: it may be cancelling the upstream's work."""
    clock, work = ManualClock(auto=False), Cleaning()
    async with opened(Player([work.play]), clock=clock) as registry:
        stream = registry.stream("p:", "hi", timeouts=Timeouts(idle=5))
        await stream.__aenter__()
        await anext(stream)
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        closer: asyncio.Future[None] | None = None
        if ended_by == "cancel":
            reader.cancel()
        elif ended_by == "deadline":
            clock.advance(6)
        else:
            closer = asyncio.ensure_future(stream.aclose())
        await work.cleaning.wait()
        clock.advance(60)
        closing = asyncio.ensure_future(registry.close())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not closing.done()
        assert work.cleaned == []
        work.may_end.set()
        await closing
        assert work.cleaned == ["whole"]
        await asyncio.gather(reader, *([closer] if closer else []), return_exceptions=True)


async def test_a_clean_up_outside_of_a_read_is_waited_for() -> None:
    """Leaving the block in one task and closing the registry in another: both end when the provider has."""
    work = Cleaning()
    async with opened(Player([work.play])) as registry:
        stream = registry.stream("p:", "hi")
        await stream.__aenter__()
        await anext(stream)
        leaving = asyncio.ensure_future(stream.aclose())
        await work.cleaning.wait()
        closing = asyncio.ensure_future(registry.close())
        await asyncio.sleep(0)
        assert not closing.done()
        work.may_end.set()
        await asyncio.gather(leaving, closing)
    assert work.cleaned == ["whole"]
