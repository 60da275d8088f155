"""The request helper on real sockets: what is sent where, what is read, and what goes wrong."""

import asyncio
import math
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from attrs import evolve
from yarl import URL

from core_chat import (
    About,
    AuthenticationError,
    ChatRequest,
    CoreError,
    IncompleteStreamError,
    InvalidRequestError,
    MissingCredentialError,
    ModelInfo,
    ModelQuery,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    RegistryClosedError,
    TimedOutError,
    Timeouts,
    UnavailableError,
)
from core_chat.http import (
    Client,
    Failure,
    check_base_url,
    client_for,
    credential,
    json_lines,
    read_chunk,
    sse_events,
    transport_error,
)
from core_chat.testing import ManualClock, Request, Response, Stall, Upstream, faults

TOKEN = "sk-canary"


@asynccontextmanager
async def client_of(upstream: Upstream, **settings: Any) -> AsyncIterator[Client]:
    """A client of an upstream, with a session of its own."""
    async with aiohttp.ClientSession() as session:
        yield Client(session=session, **{"base_url": upstream.url, "token": TOKEN, **settings})


async def failed(client: Client, method: str = "GET", path: str = "/x", **sent: Any) -> CoreError:
    """The error a request ends with."""
    with pytest.raises(CoreError) as caught:
        await client.json(method, path, **sent)
    return caught.value


# What is sent


async def test_a_request_goes_out_as_it_is_given() -> None:
    """Method, joined path, query, JSON in its order, and headers that take the place of the helper's own."""
    async with (
        Upstream(Response.json({"ok": True}), Response.json(None)) as upstream,
        aiohttp.ClientSession() as session,
    ):
        client = Client(session=session, base_url=f"{upstream.url}/v1/", token=TOKEN)
        headers = {"X-A": "b", "content-type": "application/vnd.x+json", "authorization": "Bearer other"}
        assert await client.json("POST", "/a/b?c=d", json={"z": "ü", "a": [1]}, headers=headers) == {"ok": True}
        assert await client.json("GET", "plain") is None
    first, second = upstream.requests
    assert (first.method, first.path, dict(first.query)) == ("POST", "/v1/a/b", {"c": "d"})
    assert first.body == '{"z": "ü", "a": [1]}'.encode()
    assert first.headers["content-type"] == "application/vnd.x+json"
    assert first.headers["authorization"] == "Bearer other"
    assert (second.method, second.path, second.body) == ("GET", "/v1/plain", b"")
    assert second.headers["authorization"] == f"Bearer {TOKEN}"


async def test_each_header_is_sent_once() -> None:
    """A header that differs only in its case takes the place of the helper's own, and does not join it."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, aiohttp.ClientSession() as session:
        port = server.sockets[0].getsockname()[1]
        client = Client(session=session, base_url=f"http://127.0.0.1:{port}", token=TOKEN)
        await client.json("POST", "/", json={}, headers={"authorization": "Bearer own", "CONTENT-TYPE": "text/x"})
    lines = heads[0].lower().split(b"\r\n")
    assert [line for line in lines if line.startswith(b"authorization:")] == [b"authorization: bearer own"]
    assert [line for line in lines if line.startswith(b"content-type:")] == [b"content-type: text/x"]


async def test_no_token_is_no_header() -> None:
    """Without a credential nothing is sent in its place."""
    async with Upstream(Response.json(1)) as upstream, client_of(upstream, token=None) as client:
        await client.json("GET", "/")
    assert "authorization" not in upstream.requests[0].headers


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, object(), {"a": b"x"}, "\ud800"])
async def test_what_is_no_json_is_not_sent(value: Any) -> None:
    """A body that cannot be written is the caller's error, before anything goes out."""
    async with Upstream() as upstream, client_of(upstream) as client:
        error = await failed(client, "POST", json={"extra": value})
    assert isinstance(error, InvalidRequestError)
    assert upstream.requests == []


async def test_a_header_that_cannot_be_sent_is_no_request() -> None:
    """Aiohttp's own refusal is named, and does not show the header."""
    async with Upstream() as upstream, client_of(upstream) as client:
        error = await failed(client, headers={"X-A": "sk-secret\r\nX-B: b"})
    assert isinstance(error, InvalidRequestError)
    assert "sk-secret" not in str(error)
    assert upstream.connections == 0


async def test_the_token_goes_to_the_base_urls_origin_alone() -> None:
    """An absolute URL elsewhere gets the request without the token; the same origin gets it."""
    async with (
        Upstream(Response.json(1), Response.json(1)) as home,
        Upstream(Response.json(1)) as away,
        client_of(home) as client,
    ):
        await client.json("GET", f"{home.url}/other/path")
        await client.json("GET", f"{away.url}/x")
        await client.json("GET", "/x")
    assert [request.headers.get("authorization") for request in home.requests] == [f"Bearer {TOKEN}"] * 2
    assert "authorization" not in away.requests[0].headers


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://api.example.org/v2/x", True),
        ("https://API.EXAMPLE.ORG:443/x", True),
        ("http://api.example.org/v1", False),
        ("https://api.example.org:8443/", False),
        ("https://vendor.test/", True),
        ("https://deep.sub.vendor.test/", True),
        ("http://sub.vendor.test/", False),
        ("https://notvendor.test/", False),
        ("https://vendor.test.evil.org/", False),
        ("https://vendor.test@evil.org/", False),
        ("https://vendor.test./", False),
        ("https://evil.org/vendor.test", False),
        ("https://127.0.0.1/", False),
    ],
)
async def test_who_is_trusted(url: str, *, trusted: bool) -> None:
    """The exact origin, and the vendor's domains over https; nothing that only looks like one."""
    async with aiohttp.ClientSession() as session:
        client = Client(session=session, base_url="https://api.example.org/v1", vendor_hosts=("vendor.test",))
        assert client.trusts(URL(url)) is trusted


async def test_a_redirect_of_a_get_is_followed_without_the_token() -> None:
    """Within the origin the token stays, to another one it stays behind."""
    async with Upstream(Response.json("away")) as away:
        routes = {
            "/here": Response(status=307, headers={"Location": "/there"}),
            "/there": Response(status=302, headers={"Location": f"{away.url}/far"}),
        }
        async with Upstream(routes=routes) as home, client_of(home) as client:
            assert await client.json("GET", "/here") == "away"
    assert [request.headers.get("authorization") for request in home.requests] == [f"Bearer {TOKEN}"] * 2
    assert "authorization" not in away.requests[0].headers


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://evil.example.org/x", "the upstream redirects to evil.example.org"),
        ("/elsewhere", "the upstream redirects to another path"),
        (None, "the upstream redirects to another path"),
        ("http://[bad", "the upstream redirects to a place that is no URL"),
    ],
)
async def test_a_redirect_of_a_post_is_not_followed(location: str | None, told: str) -> None:
    """A body is not sent on to a place nobody named."""
    moved = Response(status=308, headers={} if location is None else {"Location": location})
    async with Upstream(moved) as upstream, client_of(upstream) as client:
        error = await failed(client, "POST", json={})
    assert isinstance(error, ProtocolError)
    assert (str(error), error.got) == (f"{told} (status 308)", "a redirect")
    assert len(upstream.requests) == 1


async def test_whether_redirects_are_followed_can_be_said() -> None:
    """`follow` overrides the default either way."""
    moved = Response(status=307, headers={"Location": "/there"})
    async with Upstream(moved, Response.json(1), moved) as upstream, client_of(upstream) as client:
        assert await client.json("POST", "/here", json={"a": 1}, follow=True) == 1
        assert isinstance(await failed(client, follow=False), ProtocolError)
    assert upstream.requests[1].json() == {"a": 1}


async def test_redirects_without_end() -> None:
    """A circle is left after a few rounds."""
    circle = {"*": Response(status=302, headers={"Location": "/x"})}
    async with Upstream(routes=circle) as upstream, client_of(upstream) as client:
        error = await failed(client)
    assert isinstance(error, ProtocolError)
    assert str(error) == "127.0.0.1 redirects without end"


async def test_a_redirect_to_what_is_no_url() -> None:
    """A redirect that cannot be followed is the upstream's error."""
    for location in ("http://[bad", "ftp://example.org/", "http://"):
        moved = Response(status=302, headers={"Location": location})
        async with Upstream(moved) as upstream, client_of(upstream) as client:
            assert isinstance(await failed(client), ProviderError)


@pytest.mark.parametrize("url", ["http://[bad/", "http://", "https:///path", "http://host:port/", "http://host:99999/"])
async def test_an_address_that_is_no_url(url: str) -> None:
    """Upstreams name URLs in their answers: one that cannot be used is told as such."""
    async with Upstream() as upstream, client_of(upstream) as client:
        error = await failed(client, path=url)
    assert isinstance(error, ProtocolError)
    assert error.got == "an invalid URL"


async def test_a_url_with_credentials_in_it_is_no_place_for_the_token() -> None:
    """An upstream's link with a user in it is refused, not sent with two credentials."""
    async with Upstream(Response.json(1)) as upstream, client_of(upstream) as client:
        error = await failed(client, path=upstream.url.replace("http://", "http://user:pw@"))
    assert isinstance(error, InvalidRequestError)
    assert TOKEN not in str(error)
    assert upstream.requests == []


async def test_a_closed_session_is_told() -> None:
    """A session that is closed is no upstream's fault."""
    async with Upstream() as upstream:
        async with client_of(upstream) as client:
            pass
        assert isinstance(await failed(client), RegistryClosedError)


# What is read


async def test_a_body_is_read_whole_up_to_a_limit() -> None:
    """Chunked or with a length, a body comes whole; past the limit there is an error, and the connection is closed."""
    bodies = [Response(b"x" * 1000), Response.stream([b"x" * 400, b"x" * 600])]
    async with Upstream(*bodies, *bodies) as upstream, client_of(upstream) as client:
        for _ in bodies:
            async with client.send("GET", "/") as response:
                assert await client.body(response, limit=1000) == b"x" * 1000
        for _ in bodies:
            with pytest.raises(ProtocolError, match="the answer is longer than 999 bytes"):
                async with client.send("GET", "/") as response:
                    await client.body(response, limit=999)


@pytest.mark.parametrize(
    ("answer", "told", "got"),
    [
        (faults.html(), "an HTML page titled 'Just a moment'", "text/html; charset=utf-8, "),
        (Response("plain text"), "plain text", "no content type, 10 bytes"),
        (Response(), "HTTP status 200", "no content type, 0 bytes"),
        (faults.garbage(), "the upstream answered something unexpected", "512 bytes"),
        (Response("[" * 100_000), "the upstream answered something unexpected", "100000 bytes"),
        (Response('{"a": 1} trailing'), '{"a": 1} trailing', "17 bytes"),
        (Response(f'{{"echo": "{TOKEN}"'), '{"echo": "[redacted]"', "bytes"),
    ],
)
async def test_what_is_no_json_is_a_protocol_error(answer: Response, told: str, got: str) -> None:
    """The error says what came instead, in the upstream's own words, without the token."""
    async with Upstream(answer) as upstream, client_of(upstream) as client:
        error = await failed(client)
    assert isinstance(error, ProtocolError)
    assert told in str(error)
    assert got in (error.got or "")
    assert (error.status, TOKEN in str(error)) == (200, False)


async def test_an_error_status_is_its_error() -> None:
    """Body and headers make the error; a provider's `refine` may know better."""
    denied = faults.with_headers(Response.json({"error": f"bad key {TOKEN}"}, status=401), **{"X-Request-Id": "r1"})
    async with Upstream(denied, denied, faults.rate_limited(7)) as upstream, client_of(upstream) as client:
        error = await failed(client)
        assert isinstance(error, AuthenticationError)
        assert str(error) == "bad key [redacted] (status 401, request r1)"

        def refine(failure: Failure) -> ProviderError | None:
            return failure.error(PermissionDeniedError, reason="mine") if failure.status == 401 else None

        async with client_of(upstream, refine=refine) as refined:
            assert isinstance(await failed(refined), PermissionDeniedError)
            error = await failed(refined)
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 7


async def test_a_wait_until_a_date_is_read_by_the_calls_clock() -> None:
    """An HTTP date counts from the injected clock's now."""
    clock = ManualClock()
    async with (
        Upstream(faults.rate_limited(date=clock.now() + 30)) as upstream,
        client_of(upstream, clock=clock) as client,
    ):
        error = await failed(client)
    assert isinstance(error, RateLimitError)
    assert error.retry_after == 30


async def test_an_error_body_without_end_is_read_for_a_moment() -> None:
    """Five seconds of the clock, then what has come has to do; a huge one is read up to a limit."""
    clock, stall = ManualClock(auto=False), Stall()
    endless = faults.keep_open(Response.stream(["the reason"]), stall)
    huge = faults.huge_line(Response(status=500), size=5_000_000)
    async with Upstream(evolve(endless, status=500), huge) as upstream, client_of(upstream, clock=clock) as client:
        task = asyncio.ensure_future(failed(client))
        await stall.reached.wait()
        await asyncio.sleep(0.01)
        clock.advance(5)
        error = await task
        assert isinstance(error, UnavailableError)
        assert str(error) == "the reason (status 500)"
        await upstream.requests[0].left.wait()
        error = await failed(client)
    assert len(str(error)) < 600


async def test_an_error_body_that_is_cut_is_the_status_alone() -> None:
    """The status is enough for the error's class."""
    async with Upstream(faults.cut(faults.html(403), at=5)) as upstream, client_of(upstream) as client:
        assert isinstance(await failed(client), PermissionDeniedError)


# What goes wrong


async def test_nobody_listens() -> None:
    """A refused connection can be tried again: nothing was sent."""
    with faults.refused() as url:
        async with aiohttp.ClientSession() as session:
            error = await failed(Client(session=session, base_url=url))
    assert isinstance(error, UnavailableError)
    assert error.retryable
    assert str(error) == "cannot connect to 127.0.0.1: Connection refused"


async def test_no_tls_where_tls_should_be() -> None:
    """An https address that speaks something else is told, with what to look at."""

    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server, aiohttp.ClientSession() as session:
        port = server.sockets[0].getsockname()[1]
        error = await failed(Client(session=session, base_url=f"https://127.0.0.1:{port}"))
    assert isinstance(error, UnavailableError)
    assert str(error) == "no trusted TLS connection to 127.0.0.1: check base_url, the proxy and the clock"


async def test_a_name_that_does_not_resolve() -> None:
    """An unknown host is the same kind of failure."""
    async with aiohttp.ClientSession() as session:
        error = await failed(Client(session=session, base_url="http://nothing.invalid"))
    assert isinstance(error, UnavailableError)
    assert str(error).startswith("cannot connect to nothing.invalid: ")


async def test_a_connection_that_is_not_accepted() -> None:
    """`connect` is the time for the connection alone, and running out of it can be tried again."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)  # noqa: FBT003 - the socket's own signature
                filler.connect_ex(full.getsockname())
            async with aiohttp.ClientSession() as session:
                client = Client(
                    session=session,
                    base_url=f"http://127.0.0.1:{full.getsockname()[1]}",
                    timeouts=Timeouts(connect=0.05),
                )
                error = await failed(client, "POST", json={})
        finally:
            for filler in fillers:
                filler.close()
    assert isinstance(error, TimedOutError)
    assert (error.timeout, error.retryable) == ("connect", True)
    assert str(error) == "no connection to 127.0.0.1 within 0.05 s"


async def test_headers_that_do_not_come() -> None:
    """After `headers` seconds the request is given up; the upstream may have begun, so it is not repeated."""
    clock, stall = ManualClock(auto=False), Stall()
    slow = faults.slow_headers(Response.json(1), stall)
    async with Upstream(slow) as upstream, client_of(upstream, clock=clock, timeouts=Timeouts(headers=9)) as client:
        task = asyncio.ensure_future(failed(client, "POST", json={}))
        await stall.reached.wait()
        clock.advance(8.9)
        await asyncio.sleep(0.01)
        assert not task.done()
        clock.advance(0.2)
        error = await task
        assert isinstance(error, TimedOutError)
        assert (error.timeout, error.retryable) == ("headers", False)
        assert str(error) == "127.0.0.1 sent no answer within 9 s"
        await upstream.requests[0].left.wait()


async def test_a_body_that_stops() -> None:
    """Between two pieces of a body `idle` seconds may pass."""
    clock, stall = ManualClock(auto=False), Stall()
    answer = faults.stall(Response.json({"a": "b"}), stall, at=4)
    async with Upstream(answer) as upstream, client_of(upstream, clock=clock, timeouts=Timeouts(idle=3)) as client:
        task = asyncio.ensure_future(failed(client))
        await stall.reached.wait()
        await asyncio.sleep(0.01)
        clock.advance(4)
        error = await task
    assert isinstance(error, TimedOutError)
    assert error.timeout == "idle"


@pytest.mark.parametrize(
    "answer",
    [
        faults.cut(Response.json({"a": "b"}), at=4),
        faults.reset(Response.json({"a": "b"}), at=4),
        faults.cut(Response.stream(["ab", "cd"]), at=2),
        faults.cut(Response.stream(["ab", "cd"]), at=0),
    ],
)
async def test_a_body_that_is_cut(answer: Response) -> None:
    """A body that breaks off is incomplete, never taken for a whole one, and not repeated by itself."""
    async with Upstream(answer) as upstream, client_of(upstream) as client:
        error = await failed(client)
    assert isinstance(error, IncompleteStreamError)
    assert not error.retryable


@pytest.mark.parametrize(
    ("answer", "kind"), [(faults.not_http(), ProtocolError), (faults.no_answer(), UnavailableError)]
)
async def test_what_is_no_answer(answer: Response, kind: type[CoreError]) -> None:
    """Garbage instead of a status line, and a connection that closes, are told apart; neither is retried."""
    async with Upstream(answer) as upstream, client_of(upstream) as client:
        error = await failed(client, "POST", json={})
    assert type(error) is kind
    assert isinstance(error, ProviderError)
    assert not error.retryable


async def test_a_body_that_lies_about_its_encoding() -> None:
    """Garbage that is said to be compressed is an incomplete answer; what is compressed is unpacked."""
    packed = Response(zlib.compress(b'{"a": 1}'), headers={"Content-Encoding": "deflate"})
    lying = Response(b'{"a": 1}', headers={"Content-Encoding": "gzip"})
    async with Upstream(packed, lying) as upstream, client_of(upstream) as client:
        assert await client.json("GET", "/") == {"a": 1}
        assert isinstance(await failed(client), ProviderError)


@pytest.mark.parametrize(
    ("raised", "kind", "told"),
    [
        (TimeoutError(), TimedOutError, "h took too long"),
        (aiohttp.ServerTimeoutError(), TimedOutError, "h took too long"),
        (aiohttp.InvalidURL("x"), ProtocolError, "h is no place to send a request to"),
        (aiohttp.ServerDisconnectedError(), UnavailableError, "h closed the connection before it answered"),
        (aiohttp.ClientOSError(), UnavailableError, "h closed the connection before it answered"),
        (ConnectionResetError(), UnavailableError, "h closed the connection before it answered"),
        (aiohttp.ClientPayloadError(), IncompleteStreamError, "the connection broke in the middle of the answer"),
    ],
)
def test_transport_errors_have_names(raised: Exception, kind: type[ProviderError], told: str) -> None:
    """What aiohttp and the sockets raise has a class of the tree."""
    error = transport_error(raised, host="h")
    assert (type(error), str(error)) == (kind, told)


# Connections


async def test_a_connection_is_used_again_when_the_body_was_read() -> None:
    """Read whole or drained, the next request goes over the same connection."""
    answers = [Response.json(1), Response.sse(["a", "[DONE]", "more"]), Response.json(2)]
    async with Upstream(*answers) as upstream, client_of(upstream) as client:
        await client.json("GET", "/")
        async with client.send("GET", "/") as response:
            await read_chunk(response)
            await client.drain(response)
        await client.json("GET", "/")
    assert {request.connection for request in upstream.requests} == {0}


async def test_leaving_early_closes_the_connection_at_once() -> None:
    """What is not read to its end is cut off: the upstream sees the client leave."""
    stall = Stall()
    endless = faults.keep_open(Response.sse(["a"]), stall)
    async with Upstream(endless, Response.json(1)) as upstream, client_of(upstream) as client:
        async with client.send("GET", "/") as response:
            await read_chunk(response)
        await asyncio.wait_for(upstream.requests[0].left.wait(), 5)
        await client.json("GET", "/")
    assert [request.connection for request in upstream.requests] == [0, 1]


async def test_a_server_that_holds_the_connection_open_is_not_waited_for() -> None:
    """After the terminal event there is half a second of the clock for the end of the body."""
    clock, stall = ManualClock(auto=False), Stall()
    endless = faults.keep_open(Response.sse(["[DONE]"]), stall)
    async with Upstream(endless) as upstream, client_of(upstream, clock=clock) as client:
        async with client.send("GET", "/") as response:
            await read_chunk(response)
            drained = asyncio.ensure_future(client.drain(response))
            await stall.reached.wait()
            await asyncio.sleep(0.01)
            assert not drained.done()
            clock.advance(0.6)
            await drained
        await asyncio.wait_for(upstream.requests[0].left.wait(), 5)


async def test_cancelling_a_request_closes_its_connection() -> None:
    """A task cancelled while it waits for the headers leaves nothing open."""
    stall = Stall()
    async with Upstream(faults.slow_headers(Response.json(1), stall)) as upstream, client_of(upstream) as client:
        task = asyncio.ensure_future(client.json("POST", "/", json={}))
        await stall.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(upstream.requests[0].left.wait(), 5)


# Streams


async def test_events_and_lines_are_read_from_the_socket() -> None:
    """The decoders over a response: events to the end, lines without blank ones, the last needs no end."""
    lines = Response.stream(['{"a": 1}\n\n', '{"b"', ': "\u2028"}\r\n{"c": 3}'])
    async with Upstream(Response.sse(["a", "b\nc"]), lines) as upstream, client_of(upstream) as client:
        async with client.send("GET", "/") as response, aclosing(sse_events(response)) as events:
            assert [event.text async for event in events] == ["a", "b\nc"]
        async with client.send("GET", "/") as response, aclosing(json_lines(response)) as found:
            assert [line async for line in found] == [b'{"a": 1}', '{"b": "\u2028"}'.encode(), b'{"c": 3}']


@pytest.mark.parametrize("at", range(10))
async def test_what_came_before_a_cut_is_delivered(at: int) -> None:
    """Whole lines before the cut come, then the error."""
    answer = faults.cut(Response.stream(["one\n", "two\n", "three\n"]), at=at)
    async with (
        Upstream(answer) as upstream,
        client_of(upstream) as client,
        client.send("GET", "/") as response,
        aclosing(json_lines(response)) as lines,
    ):
        found = [await anext(lines) for _ in range(at // 4)]
        with pytest.raises(IncompleteStreamError):
            await anext(lines)
    assert found == [b"one", b"two", b"three"][: at // 4]


@pytest.mark.parametrize("reader", [sse_events, json_lines])
async def test_a_huge_line_is_an_error_and_not_memory(reader: Any) -> None:
    """Past 16 MiB of one line the stream is given up."""
    answer = faults.huge_line(Response.sse(["a"]), at=9)
    async with Upstream(answer) as upstream, client_of(upstream) as client:
        async with client.send("GET", "/") as response, aclosing(reader(response)) as items:
            assert await anext(items)
            with pytest.raises(ProtocolError, match="a line of the answer is longer than 16777216 bytes"):
                await anext(items)
        await asyncio.wait_for(upstream.requests[0].left.wait(), 5)


async def test_a_long_line_is_no_problem() -> None:
    """Lines of a megabyte, which aiohttp's own line reader refuses, come whole."""
    line = "x" * 1_000_000
    async with (
        Upstream(Response.stream([line + "\n", "y\n"])) as upstream,
        client_of(upstream) as client,
        client.send("GET", "/") as response,
        aclosing(json_lines(response)) as lines,
    ):
        assert [len(line) async for line in lines] == [1_000_000, 1]


# Settings


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://api.example.org/v1", "https://api.example.org/v1"),
        ("https://api.example.org/v1/", "https://api.example.org/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("HTTPS://Example.org/?", "HTTPS://Example.org"),
    ],
)
def test_a_base_url_is_kept_without_its_last_slash(given: str, kept: str) -> None:
    """What is absolute and plain is taken."""
    assert check_base_url(given) == kept


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "api.example.org",
        "/v1",
        "ftp://example.org",
        "https://",
        "https://host:port",
        "https://host:99999",
        "https://user:hunter2@host",
        "https://host/?key=hunter2",
        "https://host/#hunter2",
        "https://ho st/",
        "https://host/\n",
        "http://[bad",
        None,
        5,
        b"https://host",
    ],
)
def test_a_bad_base_url_is_refused(wrong: Any) -> None:
    """Anything else is one clear error, which does not show what stood there."""
    with pytest.raises(InvalidRequestError) as caught:
        check_base_url(wrong, name="hub_url")
    assert str(caught.value) == "hub_url must be an absolute URL like https://host/path"
    assert caught.value.parameter == "hub_url"


def test_which_key_a_call_sends() -> None:
    """The call's own key, else the configured one; a missing one says the variable and the page."""
    about = About(label="L", key_variable="L_KEY", key_page="https://l.example/keys", needs_key=True)
    model = ModelInfo("m")
    assert credential(ChatRequest(model=model, messages=(), api_key="sk-call"), "sk-own", about=about) == "sk-call"
    assert credential(ModelQuery(), "sk-own", about=about) == "sk-own"
    assert credential(ModelQuery(), None, about=About(label="L")) is None
    with pytest.raises(
        MissingCredentialError, match=r"set L_KEY or pass api_key=; get a key at https://l\.example/keys"
    ):
        credential(ModelQuery(), None, about=about)
    with pytest.raises(InvalidRequestError, match="token has a space") as caught:
        credential(ModelQuery(), "sk-own\n", about=about)
    assert "sk-own" not in str(caught.value)


async def test_a_client_for_a_call() -> None:
    """It has the call's timeouts and clock, and shows no token."""
    clock, timeouts = ManualClock(), Timeouts(headers=3)
    async with aiohttp.ClientSession() as session:
        call = ModelQuery(clock=clock, timeouts=timeouts)
        client = client_for(session, call, base_url="http://127.0.0.1:1", token=TOKEN)
        assert (client.clock, client.timeouts) == (clock, timeouts)
        assert TOKEN not in repr(client)


def test_the_request_type_is_recorded() -> None:
    """The helper types of the tests are what they say."""
    assert Request(method="GET", path="/").headers == {}
