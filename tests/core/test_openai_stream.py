"""A request and its answer over a real socket: every way a server may answer with HTTP 200, and some others."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from core_chat import (
    ChatRequest,
    Event,
    Finish,
    IncompleteStreamError,
    ModelInfo,
    Notice,
    ProtocolError,
    ProviderError,
    RateLimitError,
    RequestRejectedError,
    Route,
    TextDelta,
    UnavailableError,
    Usage,
)
from core_chat.dicts import read_messages
from core_chat.http import Failure, client_for
from core_chat.http.session import open_session
from core_chat.openai import chat_body, stream_chat
from core_chat.testing import ManualClock, Response, Stall, Upstream, faults

TEXT = '{"id":"c-1","choices":[{"index":0,"delta":{"content":"Hi"}}]}'
STOP = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
USAGE = '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
WHOLE = {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
HI = [Route("acme", "m-1", upstream_id="c-1"), TextDelta("Hi"), Finish("stop", raw="stop")]


def request(**fields: Any) -> ChatRequest:
    """A short question."""
    return ChatRequest(model=ModelInfo("m-1", provider="acme"), messages=read_messages("Hi"), **fields)


@asynccontextmanager
async def asking(
    *script: Response, call: ChatRequest, client: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[tuple[Upstream, AsyncGenerator[Event, None]]]:
    """An upstream, and the events of its answer to a call."""
    async with Upstream(*script) as upstream, open_session(None) as session:
        sender = client_for(session, call, base_url=upstream.url, **(client or {}))
        async with aclosing(stream_chat(call, sender, **settings)) as events:
            yield upstream, events


async def ask(response: Response, **client: Any) -> list[Event]:
    """All events of an upstream's answer to the short question."""
    async with asking(response, call=request(), client=client) as (_, events):
        return [event async for event in events]


async def test_a_stream_is_asked_for_and_read() -> None:
    """The route comes first, the end last, the usage before it; request, key and headers are as they should be."""
    call = request(headers={"X-Mine": "2", "X-Theirs": "2"})
    answer = Response.sse([TEXT, STOP, USAGE, "[DONE]"])
    async with asking(answer, call=call, client={"token": "key-1"}, headers={"X-Theirs": "1"}) as (upstream, events):
        assert [event async for event in events] == [*HI[:2], Usage(1, 2), HI[2]]
    sent = upstream.requests[0]
    assert (sent.method, sent.path, sent.json()) == ("POST", "/chat/completions", chat_body(call).json)
    assert sent.body.startswith(b'{"model"')
    assert sent.headers["authorization"] == "Bearer key-1"
    assert (sent.headers["x-mine"], sent.headers["x-theirs"]) == ("2", "2")


async def test_the_route_names_what_the_headers_name() -> None:
    """The party behind the upstream, and the upstream's id of the request."""
    answer = Response.sse([TEXT, STOP])
    headers = {**answer.headers, "X-Backend": "novita", "X-Request-Id": "r-1"}
    with_headers = Response(answer.body, headers=headers, framing="chunked")
    async with asking(with_headers, call=request(), backend_header="x-backend") as (_, events):
        assert await anext(events) == Route("acme", "m-1", backend="novita", upstream_id="r-1")


async def test_notices_come_before_the_request() -> None:
    """Whoever stops at the notice has sent nothing."""
    async with asking(call=request(top_k=3)) as (upstream, events):
        first = await anext(events)
    assert isinstance(first, Notice)
    assert first.parameter == "top_k"
    assert upstream.requests == []


@pytest.mark.parametrize("marker", [[], ["[DONE]"]])
async def test_the_end_marker_may_be_missing(marker: list[str]) -> None:
    """The finish reason is the end; the marker only confirms it."""
    assert await ask(Response.sse([TEXT, STOP, *marker])) == HI


async def test_a_connection_that_breaks_after_the_end_does_no_harm() -> None:
    """The answer was complete."""
    answer = Response.sse([TEXT, STOP])
    assert await ask(faults.reset(answer, at=answer.size)) == HI


@pytest.mark.parametrize("pieces", [[TEXT, STOP], [TEXT, STOP, "[DONE]"]])
async def test_a_server_that_holds_the_connection_open_is_not_waited_for(pieces: list[str]) -> None:
    """The rest has a moment, in which a late usage is read; then the answer ends."""
    stall = Stall()
    clock = ManualClock(auto=False)
    answer = faults.keep_open(Response.sse(pieces), stall)
    async with asking(answer, call=request(clock=clock)) as (_, events):
        reading = asyncio.ensure_future(all_of(events))
        await stall.reached.wait()
        while not reading.done():
            clock.advance(0.5)
            await asyncio.sleep(0)
        assert reading.result() == HI


async def all_of(events: AsyncGenerator[Event, None]) -> list[Event]:
    """All events that are left."""
    return [event async for event in events]


async def test_leaving_early_closes_the_connection() -> None:
    """The upstream sees the client go while it still had things to say."""
    answer = Response.stream([f"data: {TEXT}\n\n", Stall()], content_type="text/event-stream")
    async with asking(answer, call=request()) as (upstream, events):
        assert [await anext(events), await anext(events)] == HI[:2]
        await events.aclose()
        await upstream.left.wait()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Response.json(WHOLE), id="json"),
        pytest.param(Response(json.dumps(WHOLE), headers={"Content-Type": "text/plain"}), id="json as text"),
        pytest.param(Response(["\n", json.dumps(WHOLE)], headers={"Content-Type": "text/event-stream"}), id="mistyped"),
    ],
)
async def test_an_answer_that_is_no_stream_is_read_all_the_same(answer: Response) -> None:
    """Some servers ignore `stream`, and some name the wrong type."""
    assert await ask(answer) == [Route("acme", "m-1"), *HI[1:]]


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        pytest.param(Response.json({"error": "it broke"}), UnavailableError, "it broke", id="json error"),
        pytest.param(Response.json({"id": "x"}), ProtocolError, "no chat answer", id="json of another kind"),
        pytest.param(Response.json([1]), ProtocolError, "no chat answer", id="json list"),
        pytest.param(Response("{", headers={"Content-Type": "application/json"}), ProtocolError, "no", id="no json"),
        pytest.param(
            Response("<html><title>Sign in</title>", headers={"Content-Type": "text/html"}),
            ProtocolError,
            "Sign in",
            id="page",
        ),
        pytest.param(
            Response("<html>", headers={"Content-Type": "text/event-stream"}), ProtocolError, "page", id="mistyped"
        ),
        pytest.param(Response("Bad gateway"), ProtocolError, "Bad gateway", id="prose"),
        pytest.param(Response.sse([]), IncompleteStreamError, "broke off", id="nothing"),
        pytest.param(Response.stream([": ping\n\n"]), IncompleteStreamError, "broke off", id="only comments"),
        pytest.param(Response.sse(["[DONE]"]), IncompleteStreamError, "broke off", id="only the end"),
        pytest.param(Response.sse([TEXT]), IncompleteStreamError, "broke off", id="no end"),
        pytest.param(
            Response.sse([TEXT, '{"error":{"message":"slow down","code":429}}']), RateLimitError, "slow", id="in it"
        ),
        pytest.param(
            Response.stream(["event: error\ndata: {}\n\n"], content_type="text/event-stream"),
            UnavailableError,
            "without a text",
            id="error event",
        ),
        pytest.param(Response.sse([TEXT, "<html>"]), ProtocolError, "no chat answer", id="page in it"),
        pytest.param(Response.json({"error": "wrong"}, status=422), RequestRejectedError, "wrong", id="status"),
    ],
)
async def test_what_is_no_answer_is_a_clear_error(answer: Response, kind: type[ProviderError], told: str) -> None:
    """Whatever comes instead of an answer, it is not taken for one."""
    with pytest.raises(kind, match=told) as caught:
        await ask(answer)
    assert type(caught.value) is kind


@pytest.mark.parametrize("at", [1, 10, 40])
async def test_a_stream_that_is_cut_is_incomplete(at: int) -> None:
    """Also before the first event."""
    for fault in (faults.cut, faults.reset):
        with pytest.raises(IncompleteStreamError):
            await ask(fault(Response.sse([TEXT, STOP]), at=at))


async def test_an_endless_page_is_given_up() -> None:
    """What never becomes a stream is not read for ever."""
    with pytest.raises(ProtocolError):
        await ask(Response.stream([b"<" * 65536] * 40, content_type="text/html"))


async def test_a_long_first_event_is_read() -> None:
    """However much stands in it, up to what a line may have."""
    long = "x" * 3_000_000
    chunk = json.dumps({"choices": [{"index": 0, "delta": {"content": long}, "finish_reason": "stop"}]})
    assert (await ask(Response.sse([chunk])))[1:] == [TextDelta(long), Finish("stop", raw="stop")]


async def test_refine_is_asked_about_errors_inside_an_answer() -> None:
    """A plugin's own reading of an error holds whatever the status was."""

    def refine(failure: Failure) -> ProviderError | None:
        return failure.error(RateLimitError) if failure.code == "busy" else None

    for answer in (
        Response.sse(['{"error":{"message":"later","code":"busy"}}']),
        Response.json({"error": {"message": "later", "code": "busy"}}, status=500),
    ):
        with pytest.raises(RateLimitError, match="later"):
            await ask(answer, refine=refine)


async def test_every_split_on_the_wire_gives_the_same_events() -> None:
    """Byte by byte over the socket."""
    assert await ask(faults.drip(Response.sse([TEXT, STOP, USAGE, "[DONE]"]))) == [*HI[:2], Usage(1, 2), HI[2]]
