"""Following a prediction to its end, over a stream that breaks and an API that stumbles."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from core_chat import (
    AuthenticationError,
    ContentFilteredError,
    IncompleteStreamError,
    ModelNotFoundError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    UnavailableError,
)
from core_chat.http import Client
from core_chat.testing import ManualClock, Response, Stall, Upstream, faults
from core_replicate._api import Api
from core_replicate._follow import Follower
from core_replicate._predictions import read_prediction

STREAM, LOOK = "GET /v1/stream", "GET /v1/predictions/abc"
DONE = "event: done\nid: 2:0\ndata: {}\n\n"
NOT_FOUND = Response.json({"detail": "Not found."}, status=404)
BROKEN = Response.json({"detail": "Oops"}, status=500)


def output(number: int, text: str) -> str:
    """Return one output event."""
    return f"event: output\nid: 1:{number}\ndata: {text}\n\n"


def sse(*events: str) -> Response:
    """Return a stream of events, each in a chunk of its own."""
    return Response.stream([": hi\n\n", *events], content_type="text/event-stream")


def state(status: str = "processing", given: Any = None, **fields: Any) -> Response:
    """Return the answer to a look at the prediction."""
    return Response.json({"id": "abc", "status": status, "output": given, **fields})


@asynccontextmanager
async def following(
    clock: ManualClock, *, stream: Sequence[Response] = (), looks: Sequence[Response] = (), **fresh: Any
) -> AsyncIterator[tuple[Follower, Upstream]]:
    """Yield the follower of a prediction whose stream and state are played in order, each answer once."""
    async with Upstream(routes={STREAM: stream, LOOK: looks}) as upstream, aiohttp.ClientSession() as session:
        client = Client(session=session, base_url=f"{upstream.url}/v1", token="r8_x", clock=clock)
        urls = {"stream": f"{upstream.url}/v1/stream"} if stream else {}
        data = {"id": "abc", "status": "starting", "urls": urls, **fresh}
        yield Follower(Api(client), read_prediction(data), clock, poll_interval=0.5), upstream


async def pieces_of(follower: Follower) -> list[str]:
    """Return all pieces."""
    async with aclosing(follower.pieces()) as pieces:
        return [piece async for piece in pieces]


async def failure_of(follower: Follower) -> tuple[list[str], ProviderError]:
    """Return the pieces before the error, and the error."""
    seen: list[str] = []

    async def read() -> None:
        async with aclosing(follower.pieces()) as pieces:
            async for piece in pieces:
                seen.append(piece)  # noqa: PERF401 - what came before the error is wanted

    with pytest.raises(ProviderError) as caught:
        await read()
    return seen, caught.value


def paths(upstream: Upstream) -> list[str]:
    """Return the last part of every path that was asked for."""
    return [request.path.rpartition("/")[2] for request in upstream.requests]


async def test_a_stream_is_read_to_its_end(clock: ManualClock) -> None:
    """Each output event is a piece, empty ones are none, and one look tells what the stream does not."""
    events = [output(0, ""), output(1, " Hello,"), output(2, " world"), output(3, ""), DONE]
    looks = [state("succeeded", ["", " Hello,", " world", ""], metrics={"output_token_count": 2})]
    async with following(clock, stream=[sse(*events)], looks=looks) as (follower, upstream):
        assert await pieces_of(follower) == [" Hello,", " world"]
        assert follower.ended
        assert follower.prediction.metrics == {"output_token_count": 2}
    assert paths(upstream) == ["stream", "abc"]
    assert upstream.requests[0].headers["accept"] == "text/event-stream"
    assert "last-event-id" not in upstream.requests[0].headers
    assert clock.sleeps == []


@pytest.mark.parametrize("look", [state("processing"), BROKEN, NOT_FOUND, faults.not_http(), faults.html()])
async def test_a_success_stands_whatever_the_look_gives(clock: ManualClock, look: Response) -> None:
    """The stream's word for success is enough when the prediction cannot be seen, or lags behind."""
    async with following(clock, stream=[sse(output(0, "a"), DONE)], looks=[look]) as (follower, _):
        assert await pieces_of(follower) == ["a"]
        assert follower.prediction.status == "succeeded"


@pytest.mark.parametrize("how", ["cut", "truncated", "reset"])
async def test_a_broken_stream_is_gone_on_with(clock: ManualClock, how: str) -> None:
    """After a break in the middle of a line the next connection names the last event, at once."""
    first = sse(output(0, "a"), output(1, "b"), output(2, "lost"))
    at = first.size - len("st\n\n")
    broken = {"cut": faults.cut, "truncated": faults.truncate, "reset": faults.reset}[how](first, at=at)
    second = sse(output(2, "lost"), DONE)
    looks = [state("succeeded", ["a", "b", "lost"])]
    async with following(clock, stream=[broken, second], looks=looks) as (follower, upstream):
        assert await pieces_of(follower) == ["a", "b", "lost"]
    assert upstream.requests[1].headers["last-event-id"] == "1:1"
    assert clock.sleeps == []


async def test_a_stream_that_breaks_again_and_again_is_gone_on_with(clock: ManualClock) -> None:
    """As long as every connection brings something there is no limit to their number."""
    stream = [sse(output(number, str(number))) for number in range(12)]
    looks = [state("succeeded", [str(number) for number in range(12)])]
    async with following(clock, stream=[*stream, sse(DONE)], looks=looks) as (follower, _):
        assert await pieces_of(follower) == [str(number) for number in range(12)]


async def test_a_replay_repeats_nothing(clock: ManualClock) -> None:
    """A server that replays from the start in spite of the header is read without repeating a piece."""
    whole = sse(output(0, "ha"), output(1, "ha"), output(2, "ha"), DONE)
    looks = [state("succeeded", ["ha", "ha", "ha"])]
    async with following(clock, stream=[sse(output(0, "ha"), output(1, "ha")), whole], looks=looks) as (follower, _):
        assert await pieces_of(follower) == ["ha", "ha", "ha"]


async def test_a_stream_without_news_is_tried_five_times(clock: ManualClock) -> None:
    """Connections that bring nothing are made after growing waits, with a look each; then the output is polled for."""
    timed_out = sse(":408: 408 Request Timeout\n")
    looks = [*[state("processing", ["a"])] * 5, state("processing", ["a", "b"]), state("succeeded", ["a", "b", "c"])]
    async with following(clock, stream=[timed_out] * 5, looks=looks) as (follower, upstream):
        assert await pieces_of(follower) == ["a", "b", "c"]
    assert paths(upstream) == ["stream", "abc"] * 5 + ["abc", "abc"]
    assert clock.sleeps == [0.5, 1, 2, 4, 8, 0.5, 0.5]


async def test_an_expired_stream_is_made_up_for_by_the_output(clock: ManualClock) -> None:
    """When the prediction is over and its stream is gone, the stored output has the rest."""
    stream = [sse(output(0, "Hel")), sse(":408: 408 Request Timeout\n")]
    async with following(clock, stream=stream, looks=[state("succeeded", ["Hello", "!"])]) as (follower, _):
        assert await pieces_of(follower) == ["Hel", "lo", "!"]
    assert clock.sleeps == []


@pytest.mark.parametrize(
    "refusal",
    [NOT_FOUND, faults.html(), Response.json({}), Response("Message ID invalid", status=400), faults.html(403)],
)
async def test_a_stream_that_is_refused_is_not_asked_for_again(clock: ManualClock, refusal: Response) -> None:
    """What is no event stream, or not there, is replaced by polling at once."""
    looks = [state("processing", ["a"]), state("succeeded", ["a", "b"])]
    async with following(clock, stream=[refusal], looks=looks) as (follower, upstream):
        assert await pieces_of(follower) == ["a", "b"]
    assert paths(upstream) == ["stream", "abc", "abc"]


@pytest.mark.parametrize("trouble", [BROKEN, faults.rate_limited(), faults.html(502)])
async def test_a_stream_in_trouble_is_asked_for_again(clock: ManualClock, trouble: Response) -> None:
    """Troubles of the server pass: the stream is opened again after a wait."""
    stream = [trouble, sse(output(0, "a"), DONE)]
    async with following(clock, stream=stream, looks=[BROKEN, state("succeeded", ["a"])]) as (follower, upstream):
        assert await pieces_of(follower) == ["a"]
    assert paths(upstream) == ["stream", "abc", "stream", "abc"]
    assert clock.sleeps == [0.5]


async def test_what_a_broken_stream_left_out_comes_from_the_output(clock: ManualClock) -> None:
    """After a reconnection the stored output is compared, so that nothing is missing at the end."""
    stream = [sse(output(0, "a")), sse(DONE)]
    async with following(clock, stream=stream, looks=[state("succeeded", ["a", "b"])]) as (follower, _):
        assert await pieces_of(follower) == ["a", "b"]


async def test_a_broken_stream_that_gave_something_else_is_an_error(clock: ManualClock) -> None:
    """Text that was lost or repeated by a reconnection does not count as an answer."""
    stream = [sse(output(0, "a")), sse(output(5, "a"), DONE)]
    async with following(clock, stream=stream, looks=[state("succeeded", ["a", "b"])]) as (follower, _):
        seen, error = await failure_of(follower)
    assert seen == ["a", "a"]
    assert isinstance(error, IncompleteStreamError)


async def test_polling_gives_each_piece_once(clock: ManualClock) -> None:
    """A list of output that grows gives its new items, whatever the looks see at a time."""
    looks = [
        *(state("starting"), state("processing", ["a"]), state("processing", ["a"])),
        *(state("processing", ["a", "", "b", "c"]), state("succeeded", ["a", "", "b", "c", "\n"])),
    ]
    async with following(clock, looks=looks) as (follower, _):
        assert await pieces_of(follower) == ["a", "b", "c", "\n"]
    assert clock.sleeps == [0.5] * 5


async def test_polling_a_text_that_grows(clock: ManualClock) -> None:
    """A text that grows gives what was added."""
    looks = [state("processing", "Hel"), state("processing", "Hello"), state("succeeded", "Hello!")]
    async with following(clock, looks=looks) as (follower, _):
        assert await pieces_of(follower) == ["Hel", "lo", "!"]


async def test_a_text_that_changes_is_an_error(clock: ManualClock) -> None:
    """A text that becomes another one cannot be passed on in pieces."""
    async with following(clock, looks=[state("processing", "10 %"), state("succeeded", "Hello")]) as (follower, _):
        seen, error = await failure_of(follower)
    assert seen == ["10 %"]
    assert isinstance(error, IncompleteStreamError)


async def test_troubles_while_polling_are_waited_out(clock: ManualClock) -> None:
    """The prediction goes on while the API stumbles; the wait it asks for is honoured."""
    looks = [
        *(BROKEN, Response.json({"detail": "Your rate limit resets in ~7s.", "retry_after": 7}, status=429)),
        *(faults.html(503), faults.cut(state("processing", ["a"]), at=9), state("succeeded", ["a"])),
    ]
    async with following(clock, looks=looks) as (follower, _):
        assert await pieces_of(follower) == ["a"]
    assert clock.sleeps == [0.5, 0.5, 7, 2, 4]


@pytest.mark.parametrize(
    ("looks", "kind"),
    [
        ([BROKEN] * 6, UnavailableError),
        ([faults.rate_limited()] * 6, RateLimitError),
        ([NOT_FOUND], ModelNotFoundError),
        ([Response.json({"title": "Unauthenticated"}, status=401)], AuthenticationError),
        ([faults.html()], ProtocolError),
        ([Response.json({"status": "succeeded"})], ProtocolError),
    ],
)
async def test_troubles_that_stay_are_raised(
    clock: ManualClock, looks: list[Response], kind: type[ProviderError]
) -> None:
    """Six troubles in a row, or one that no other try changes, end it; the prediction may still be running."""
    async with following(clock, looks=looks) as (follower, _):
        seen, error = await failure_of(follower)
        assert not follower.ended
    assert seen == []
    assert isinstance(error, kind)


@pytest.mark.parametrize(
    ("status", "kind"),
    [("failed", UnavailableError), ("aborted", UnavailableError), ("canceled", IncompleteStreamError)],
)
async def test_a_polled_prediction_that_ends_badly(clock: ManualClock, status: str, kind: type[ProviderError]) -> None:
    """The output so far is passed on, and then the prediction's own words are the error."""
    looks = [state(status, ["a"], error="It broke", logs="line\n")]
    async with following(clock, looks=looks) as (follower, _):
        seen, error = await failure_of(follower)
        assert follower.ended
    assert seen == ["a"]
    assert type(error) is kind
    assert f"prediction abc {status}: It broke" in str(error)
    assert error.__notes__ == ["end of the prediction's log:\nline"]


ERROR = 'event: error\ndata: {"detail": "Something went wrong"}\n\nevent: done\ndata: {"reason": "error"}\n\n'


@pytest.mark.parametrize(
    ("events", "look", "kind", "text"),
    [
        ([output(0, "a"), ERROR], BROKEN, UnavailableError, "abc failed: Something went wrong"),
        ([output(0, "a"), ERROR], state("failed", error="Flagged (E005)"), ContentFilteredError, "Flagged (E005)"),
        ([output(0, "a"), ERROR], state("processing"), UnavailableError, "Something went wrong"),
        ([output(0, "a"), ERROR], state("succeeded", ["a"]), UnavailableError, "Something went wrong"),
        ([output(0, "a"), "event: error\ndata: plain words\n\n"], BROKEN, UnavailableError, "plain words"),
        (
            [output(0, "a"), 'event: done\ndata: {"reason": "canceled"}\n\n'],
            state("canceled"),
            IncompleteStreamError,
            "abc canceled",
        ),
        ([output(0, "a"), 'event: done\ndata: {"reason": "error"}\n\n'], BROKEN, UnavailableError, "abc failed"),
        ([output(0, "a"), DONE], state("failed", ["a"], error="No"), UnavailableError, "abc failed: No"),
    ],
)
async def test_streams_that_end_badly(
    clock: ManualClock, *, events: list[str], look: Response, kind: type[ProviderError], text: str
) -> None:
    """The error says what the prediction itself says, else what its stream said; nothing is left to cancel."""
    async with following(clock, stream=[sse(*events)], looks=[look]) as (follower, _):
        seen, error = await failure_of(follower)
        assert follower.ended
    assert seen == ["a"]
    assert type(error) is kind
    assert text in str(error)
    assert clock.sleeps == []


async def test_an_error_before_any_text(clock: ManualClock) -> None:
    """A stream may begin with its error."""
    async with following(clock, stream=[sse(ERROR)], looks=[BROKEN]) as (follower, _):
        assert (await failure_of(follower))[0] == []


async def test_a_prediction_that_is_over_at_once_is_not_streamed(clock: ManualClock) -> None:
    """A creation that is answered with the whole output needs no further request."""
    fresh: dict[str, Any] = {"status": "succeeded", "output": ["a", "b"]}
    async with following(clock, stream=[sse(DONE)], **fresh) as (follower, upstream):
        assert await pieces_of(follower) == ["a", "b"]
        assert follower.ended
    assert not upstream.requests
    async with following(clock, status="failed", error="No") as (follower, upstream):
        assert "abc failed: No" in str((await failure_of(follower))[1])
    assert not upstream.requests


async def test_output_in_the_reply_to_the_creation_is_not_lost_or_repeated(clock: ManualClock) -> None:
    """The stream begins at the beginning; without one, what is there already is passed on before the first wait."""
    fresh: dict[str, Any] = {"status": "processing", "output": ["a", "b"]}
    stream = [sse(output(0, "a"), output(1, "b"), output(2, "c"), DONE)]
    async with following(clock, stream=stream, looks=[NOT_FOUND], **fresh) as (follower, _):
        assert await pieces_of(follower) == ["a", "b", "c"]
    looks = [state("succeeded", ["a", "b"])]
    async with following(clock, looks=looks, **fresh) as (follower, _), aclosing(follower.pieces()) as pieces:
        assert [await anext(pieces), await anext(pieces)] == ["a", "b"]
        assert clock.sleeps == []
        assert [piece async for piece in pieces] == []


async def test_files_are_polled_for_even_where_there_is_a_stream(clock: ManualClock) -> None:
    """With `streams=False` the stream is left alone."""
    async with following(clock, stream=[sse(DONE)], looks=[state("succeeded", ["https://x/a.png"])]) as (given, _):
        follower = Follower(given.api, given.prediction, clock, poll_interval=0.5, streams=False)
        assert await pieces_of(follower) == ["https://x/a.png"]


async def test_closing_the_pieces_closes_the_connection(clock: ManualClock) -> None:
    """Who stops reading is gone from the stream at once."""
    stall = Stall()
    first = sse(output(0, "a"))
    stream = [faults.keep_open(first, stall)]
    async with following(clock, stream=stream) as (follower, upstream):
        async with aclosing(follower.pieces()) as pieces:
            assert await anext(pieces) == "a"
            assert not follower.ended
        await upstream.requests[0].left.wait()
    assert paths(upstream) == ["stream"]
