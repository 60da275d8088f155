"""A small provider over real sockets: the whole path from the registry to the wire and back."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

import aiohttp
import pytest
from attrs import define

from core_chat import (
    ChatRequest,
    ChatStream,
    Event,
    Finish,
    IncompleteStreamError,
    ModelInfo,
    ProtocolError,
    Registry,
    RegistryClosedError,
    TextDelta,
    TimedOutError,
    Timeouts,
    UnavailableError,
    hookimpl,
)
from core_chat.http import client_for, sse_events
from core_chat.testing import ManualClock, Response, Stall, Upstream, faults


@define(eq=False)
class Wire:
    """A provider for servers that stream text as server-sent events."""

    base_url: str

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo:
        return ModelInfo(name or "m")

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: aiohttp.ClientSession) -> AsyncGenerator[Event, None]:
        client = client_for(session, request, base_url=self.base_url, token=request.api_key)
        body = {"prompt": request.messages[-1].text}
        async with client.send("POST", "/chat", json=body) as response, aclosing(sse_events(response)) as events:
            async for event in events:
                if event.text == "[DONE]":
                    await client.drain(response)
                    yield Finish("stop")
                    return
                yield TextDelta(event.text)


@asynccontextmanager
async def wired(upstream: Upstream, clock: ManualClock | None = None) -> AsyncIterator[Registry]:
    """A registry with the provider at that upstream, `w`."""
    async with Registry(only=[], clock=clock or ManualClock()) as registry:
        registry.register(Wire(upstream.url), "w")
        yield registry


def hung() -> Response:
    """One piece, and then nothing, with the connection open."""
    return faults.keep_open(Response.sse(["a"]))


async def test_an_answer_comes_through_and_the_connection_is_used_again() -> None:
    """Two calls, one connection: what follows the terminal event has been read."""
    answers = [Response.sse(["Hel", "lo", "[DONE]"]), Response.sse(["2", "[DONE]", "x"])]
    async with Upstream(*answers) as upstream, wired(upstream) as registry:
        assert (await registry.chat("w:", "one", api_key="sk-1")).text == "Hello"
        assert (await registry.chat("w:", "two")).text == "2"
    assert [request.json() for request in upstream.requests] == [{"prompt": "one"}, {"prompt": "two"}]
    assert [request.headers.get("authorization") for request in upstream.requests] == ["Bearer sk-1", None]
    assert {request.connection for request in upstream.requests} == {0}


async def test_a_hundred_and_more_streams_are_open_at_once() -> None:
    """No cap keeps a stream waiting for another: all of them have their first piece before any of them ends."""
    count, stalls = 120, [Stall() for _ in range(120)]
    answers = [faults.stall(Response.sse(["a", "[DONE]"]), stall, at=9) for stall in stalls]
    async with Upstream(*answers) as upstream, wired(upstream) as registry:
        calls = [asyncio.ensure_future(registry.chat("w:", str(number))) for number in range(count)]
        await asyncio.gather(*(stall.reached.wait() for stall in stalls))
        for stall in stalls:
            stall.release()
        assert {reply.text for reply in await asyncio.gather(*calls)} == {"a"}
    assert upstream.connections == count


async def _break(stream: ChatStream) -> None:
    async with stream:
        async for _ in stream:
            break


async def _raise(stream: ChatStream) -> None:
    async def fail() -> None:
        async with stream:
            await anext(stream)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()


async def _cancel(stream: ChatStream) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async with stream:
            await anext(stream)
            reading.set()
            await anext(stream)

    task = asyncio.ensure_future(read())
    await reading.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _timeout(stream: ChatStream) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), stream:
            await stream.reply()


async def _close_elsewhere(stream: ChatStream) -> None:
    async with stream:
        await anext(stream)
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await stream.aclose()
        with pytest.raises(RegistryClosedError):
            await reader


@pytest.mark.parametrize("leave", [_break, _raise, _cancel, _timeout, _close_elsewhere])
async def test_the_upstream_sees_every_way_of_leaving(leave: Callable[[ChatStream], Awaitable[None]]) -> None:
    """The connection is closed at once, however the stream is left, and the next call works."""
    async with Upstream(hung(), Response.sse(["b", "[DONE]"])) as upstream, wired(upstream) as registry:
        await leave(registry.stream("w:", "hi"))
        await asyncio.wait_for(upstream.requests[0].left.wait(), 5)
        assert (await registry.chat("w:", "hi")).text == "b"


async def test_leaving_while_the_headers_are_awaited() -> None:
    """A call that is given up before its answer began is closed as well."""
    stall = Stall()
    async with Upstream(faults.slow_headers(hung(), stall)) as upstream, wired(upstream) as registry:
        task = asyncio.ensure_future(registry.chat("w:", "hi"))
        await stall.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(upstream.requests[0].left.wait(), 5)


async def test_comments_keep_a_connection_alive_but_not_a_stream() -> None:
    """An upstream that only sends comments runs into `first_event`, and after a piece into `idle`."""
    for before, timeout in ((b"", "first_event"), (b"data: a\n\n", "idle")):
        clock = ManualClock(auto=False)
        stalls = [Stall() for _ in range(4)]
        pieces = [item for stall in stalls for item in (stall, b": ping\n\n")]
        answer = Response.stream([before, *pieces, Stall()], content_type="text/event-stream")
        async with Upstream(answer) as upstream, wired(upstream, clock) as registry:
            limits = Timeouts(first_event=10, idle=10)
            task = asyncio.ensure_future(registry.chat("w:", "hi", timeouts=limits))
            for stall in stalls:
                await stall.reached.wait()
                await asyncio.sleep(0.002)
                clock.advance(3)
                stall.release()
            with pytest.raises(TimedOutError) as caught:
                await task
            assert caught.value.timeout == timeout
            await asyncio.wait_for(upstream.requests[0].left.wait(), 5)


async def test_a_busy_upstream_is_asked_again_when_it_said() -> None:
    """A 429 with a date is waited for by the clock; then the answer comes."""
    clock = ManualClock()
    answers = [faults.rate_limited(date=clock.now() + 20), Response.sse(["a", "[DONE]"])]
    async with Upstream(*answers) as upstream, wired(upstream, clock) as registry:
        assert (await registry.chat("w:", "hi")).text == "a"
    assert len(upstream.requests) == 2
    assert 20 <= clock.time() <= 22


async def test_a_server_that_starts_late_is_reached_by_a_retry() -> None:
    """A refused connection sent nothing, so the call is tried again."""
    clock = ManualClock()
    with faults.refused() as url:
        async with Registry(only=[], clock=clock) as registry:
            registry.register(Wire(url), "w")
            with pytest.raises(UnavailableError) as caught:
                await registry.chat("w:", "hi")
    assert len(caught.value.attempts) == 3
    assert len(clock.sleeps) == 2


@pytest.mark.parametrize("at", range(0, 60, 7))
@pytest.mark.parametrize("cut", [faults.cut, faults.reset])
async def test_a_cut_answer_is_incomplete_and_keeps_what_came(cut: Callable[..., Response], at: int) -> None:
    """Wherever the connection breaks, in a line or in a character, what came whole is in the error."""
    whole = Response.sse(["Grüße ", "aus 京", "都\u2028!", "[DONE]"])
    body = b"".join(piece for piece in whole.body if isinstance(piece, bytes))
    came = [part.removeprefix(b"data: ").decode() for part in body[:at].split(b"\n\n")[:-1]]
    async with Upstream(cut(whole, at=at)) as upstream, wired(upstream) as registry:
        with pytest.raises(IncompleteStreamError) as caught:
            await registry.chat("w:", "hi")
    assert len(upstream.requests) == 1
    assert caught.value.partial is not None
    if cut is faults.cut:
        assert caught.value.partial.text == "".join(came)
    else:
        assert "".join(came).startswith(caught.value.partial.text)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Response.sse([]), IncompleteStreamError),
        (Response.sse(["a"]), IncompleteStreamError),
        (faults.no_answer(), UnavailableError),
        (faults.not_http(), ProtocolError),
        (faults.html(502), UnavailableError),
        (faults.huge_line(Response.sse(["a"])), ProtocolError),
    ],
)
async def test_a_bad_answer_is_never_a_complete_one(answer: Response, kind: type[Exception]) -> None:
    """Whatever the upstream does, there is an error, once, and nothing is sent again."""
    async with Upstream(answer) as upstream, wired(upstream) as registry:
        with pytest.raises(kind):
            await registry.chat("w:", "hi")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 5])
async def test_any_split_on_the_wire_gives_the_same_answer(size: int) -> None:
    """Bytes that come one by one, across lines and characters, are the same events."""
    whole = Response.sse(["Grüße ", "aus\n京", "都\u2028!", "[DONE]"])
    async with (
        Upstream(faults.drip(whole, size=size)) as upstream,
        wired(upstream) as registry,
        registry.stream("w:", "hi") as stream,
    ):
        pieces = [piece async for piece in stream.text()]
    assert pieces == ["Grüße ", "aus\n京", "都\u2028!"]
