"""Middleware: around one attempt, inside of the retries, outside of the guard."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from tests.core.players import DONE, Log, Player, Wrapper, endless, events, failure, opened

from core_chat import (
    Event,
    Finish,
    Notice,
    PluginError,
    RateLimitError,
    RegistryClosedError,
    Route,
    TextDelta,
)


async def test_a_retry_reenters_middleware_and_a_failed_attempt_is_not_seen() -> None:
    """Middleware stands around one attempt; `Route` and `Notice` of a failed one do not reach the caller."""
    log = Log()
    first = events(Route("p", "first"), Notice("n", "first"), RateLimitError("slow down", retry_after=2))
    second = events(Route("p", "second"), TextDelta("a"), DONE)
    async with opened(Player([first, second]), log) as registry, registry.stream("p:", "hi") as stream:
        assert [event async for event in stream] == [Route("p", "second"), TextDelta("a"), DONE]
        reply = await stream.reply()
    assert (log.attempts, log.closed) == (2, 2)
    assert reply.route == Route("p", "second")
    assert reply.notices == ()
    assert log.seen[:2] == [Route("p", "first"), Notice("n", "first")]


async def test_middleware_sees_errors_by_their_names_and_the_law_inside_it() -> None:
    """What a provider raises is named before middleware sees it, so middleware can handle the core's errors."""

    async def rescue(inner: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        async with aclosing(inner):
            try:
                async for event in inner:
                    yield event
            except PluginError as error:
                yield TextDelta(f"[{error}]")
                yield DONE

    async with opened(Player([events(TextDelta("a"), KeyError())]), Wrapper(rescue)) as registry:
        assert (await registry.chat("p:", "hi")).text == "a[p failed with KeyError]"
    async with opened(Player([events(TextDelta("a"), None)]), Wrapper(rescue)) as registry:  # type: ignore[arg-type]
        assert (await registry.chat("p:", "hi")).text == "a[p yielded NoneType, which is no event]"


async def test_middleware_that_drops_finish_is_caught() -> None:
    """A stream that middleware leaves without `Finish` is an error that blames the middleware."""

    async def drop(inner: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        async with aclosing(inner):
            async for event in inner:
                if not isinstance(event, Finish):
                    yield event

    async with opened(Player([events(TextDelta("a"), DONE)]), Wrapper(drop)) as registry:
        error = await failure(registry.stream("p:", "hi"))
    assert isinstance(error, PluginError)
    assert str(error) == "middleware around p ended the stream without passing Finish on"
    assert error.plugin is None


@pytest.mark.parametrize("returned", [None, "text", [TextDelta("a")]])
async def test_middleware_that_returns_no_generator_is_caught(returned: object) -> None:
    """A wrapper that forgets to return the events is told so, and the provider is not blamed."""
    async with opened(Player([events(DONE)]), Wrapper(lambda _inner: returned)) as registry:
        error = await failure(registry.stream("p:", "hi"))
    assert isinstance(error, PluginError)
    told = f"middleware around p returned {type(returned).__name__} from stream_chat, not an async generator"
    assert str(error) == told


async def test_middleware_may_return_the_events_as_they_are_or_an_iterator() -> None:
    """A wrapper that only looks on may return what it got, and an iterator of a class serves as well."""

    class Iterator:
        def __init__(self, inner: AsyncGenerator[Event, None]) -> None:
            self.inner = inner
            self.closed = 0

        def __aiter__(self) -> "Iterator":
            return self

        async def __anext__(self) -> Event:
            return await anext(self.inner)

        async def aclose(self) -> None:
            self.closed += 1
            await self.inner.aclose()

    made: list[Iterator] = []

    def iterate(inner: AsyncGenerator[Event, None]) -> Iterator:
        made.append(Iterator(inner))
        return made[-1]

    player = Player([events(TextDelta("a"), TextDelta("b"), DONE)])
    for around in (lambda inner: inner, iterate):
        async with opened(player, Wrapper(around)) as registry:
            assert (await registry.chat("p:", "hi")).text == "ab"
            async with registry.stream("p:", "hi") as stream:
                await anext(stream)
    assert [iterator.closed for iterator in made] == [1, 1]
    assert player.closed == player.begun == 4


async def test_middlewares_own_errors_pass_as_they_are() -> None:
    """What the host's own code raises is the host's: at the call, and while the stream is read."""

    async def fail(inner: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        async with aclosing(inner):
            async for event in inner:
                yield event
                raise LookupError("of the host")

    def refuse(inner: AsyncGenerator[Event, None]) -> object:
        raise LookupError("of the host")

    for around in (fail, refuse):
        player = Player([events(TextDelta("a"), DONE)])
        async with opened(player, Wrapper(around)) as registry, registry.stream("p:", "hi") as stream:
            with pytest.raises(LookupError, match="of the host"):
                [event async for event in stream]
            with pytest.raises(RegistryClosedError):
                await anext(stream)
        assert player.closed == player.begun


async def test_middleware_is_closed_with_the_stream() -> None:
    """Leaving early closes the middleware's generator and, through it, the provider's."""
    log, player = Log(), Player([endless])
    async with opened(player, log) as registry, registry.stream("p:", "hi") as stream:
        assert await anext(stream) == TextDelta("a")
    assert (log.closed, player.closed) == (1, 1)


async def test_a_provider_that_breaks_the_law_is_closed_before_middleware_hears_of_it() -> None:
    """Middleware that lives on after the error holds nothing of the provider open."""
    closed: list[int] = []
    player = Player([events(TextDelta("a"), None)])  # type: ignore[arg-type]  # the mistake

    async def linger(inner: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        try:
            async for event in inner:
                yield event
        except PluginError:
            closed.append(player.closed)
            yield DONE

    async with opened(player, Wrapper(linger)) as registry:
        assert (await registry.chat("p:", "hi")).text == "a"
    assert closed == [1]


async def test_middleware_may_answer_without_the_provider() -> None:
    """A cache in front of a provider is possible: the hook is called, but nothing of the provider runs."""

    async def cached(inner: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        async with aclosing(inner):
            yield TextDelta("cached")
            yield DONE

    player = Player([events(DONE)])
    async with opened(player, Wrapper(cached)) as registry:
        assert (await registry.chat("p:", "hi")).text == "cached"
    assert player.begun == 0
