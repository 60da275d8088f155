"""The scripted upstream: scripts, recorded requests, clients that leave, scripts that do not fit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from core_chat.testing import Request, Response, Routes, ScriptError, Stall, Upstream, faults


@asynccontextmanager
async def connect(upstream: Upstream) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client without any HTTP of its own."""
    host, port = upstream.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


class Pieces(asyncio.Protocol):
    """A client that remembers what each read from the socket gave."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


async def status(session: aiohttp.ClientSession) -> int:
    """Ask for / and read the whole answer."""
    async with session.get("/") as response:
        await response.read()
        return response.status


async def test_it_plays_responses_in_order_and_records_the_requests() -> None:
    """Each scripted response is given once, in order, and every request is kept with all its parts."""
    async with (
        Upstream(Response.json({"id": 1}, status=201), Response(["Hel", "lo"], headers={"X-A": "b"})) as upstream,
        aiohttp.ClientSession(upstream.url) as session,
    ):
        async with session.post("/v1/things?a=1&b=", json={"x": "ü"}, headers={"X-Key": "k"}) as created:
            assert (created.status, await created.json()) == (201, {"id": 1})
        async with session.get("/other") as other:
            assert (other.headers["X-A"], await other.text()) == ("b", "Hello")
    first, second = upstream.requests
    assert (first.method, first.path, dict(first.query)) == ("POST", "/v1/things", {"a": "1", "b": ""})
    assert first.json() == {"x": "ü"}
    assert first.headers["x-key"] == "k"
    assert first.origin == upstream.url
    assert (second.method, second.path, second.body) == ("GET", "/other", b"")
    assert first.answered.is_set()
    assert not upstream.left.is_set()


async def test_connections_are_kept_alive() -> None:
    """Requests one after the other come over one connection, whether the answer was chunked or had a length."""
    async with (
        Upstream(
            Response("one"), Response.stream(["t", "wo"]), Response("three", framing="close"), Response()
        ) as upstream,
        aiohttp.ClientSession(upstream.url) as session,
    ):
        for expected in ("one", "two", "three", ""):
            async with session.get("/") as response:
                assert await response.text() == expected
    assert [request.connection for request in upstream.requests] == [0, 0, 0, 1]
    assert upstream.connections == 2


async def test_a_client_that_asks_to_close_is_obeyed() -> None:
    """`Connection: close` in a request ends the connection after the answer."""
    async with Upstream(Response("bye")) as upstream, connect(upstream) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"bye")


async def test_chunked_requests_and_expectations_are_understood() -> None:
    """A body sent in chunks, with an extension and a trailer, after `Expect: 100-continue`, is recorded whole."""
    async with Upstream(Response("ok")) as upstream, connect(upstream) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n")
        assert (await reader.readexactly(15)) == b"HTTP/1.1 200 OK"
        assert upstream.requests[0].body == b"abcde"


async def test_every_piece_is_read_on_its_own() -> None:
    """A client in the same loop gets the head and then exactly the scripted pieces, one for each read."""
    async with Upstream(Response([b"a", b"\n", "\u2028", b"bc"], framing="close")) as upstream:
        port = int(upstream.url.rpartition(":")[2])
        transport, client = await asyncio.get_running_loop().create_connection(Pieces, "127.0.0.1", port)
        transport.write(b"GET / HTTP/1.1\r\n\r\n")
        await client.lost.wait()
    assert client.pieces[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert client.pieces[1:] == [b"a", b"\n", "\u2028".encode(), b"bc"]


async def test_pipelined_requests_are_answered_in_order() -> None:
    """Two requests sent at once are answered one after the other, and are no client that has left."""
    async with Upstream(Response("1"), Response("2")) as upstream, connect(upstream) as (reader, writer):
        writer.write(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n")
        for expected in (b"1", b"2"):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(1) == expected
    assert [request.path for request in upstream.requests] == ["/a", "/b"]


async def test_routes_come_before_the_script() -> None:
    """A route answers every request that fits it, a list under a route each once, and the script the rest."""
    routes: Routes = {
        "GET /models/*": Response("model"),
        "POST /run": [Response("first"), Response("second")],
        "/any": lambda request: Response(f"{request.method} at {request.origin}"),
    }
    async with Upstream(Response("rest"), routes=routes) as upstream, aiohttp.ClientSession(upstream.url) as session:

        async def ask(method: str, path: str) -> str:
            async with session.request(method, path) as response:
                return await response.text()

        assert [await ask("GET", "/models/a/b"), await ask("GET", "/models/c")] == ["model", "model"]
        assert [await ask("POST", "/run"), await ask("POST", "/run")] == ["first", "second"]
        assert await ask("PUT", "/any") == f"PUT at {upstream.url}"
        assert await ask("GET", "/elsewhere") == "rest"


async def test_responses_can_be_altered() -> None:
    """`alter` changes what is sent to the request it picks, and each request knows what it was answered with."""
    intact = Response("intact")
    async with (
        Upstream(
            intact, intact, alter=lambda request, response: faults.html(502) if request.number == 1 else response
        ) as upstream,
        aiohttp.ClientSession(upstream.url) as session,
    ):
        assert [await status(session), await status(session)] == [200, 502]
    assert [request.response for request in upstream.requests] == [intact, faults.html(502)]


async def test_an_exhausted_script_is_told() -> None:
    """A request too many gets a 501 that says so, and leaving the block raises the same sentence."""
    expected = r"request 2, POST /x, was not expected: all 1 scripted answers have been given; routes: GET /y"
    upstream = await Upstream(Response("ok"), routes={"GET /y": Response()}).__aenter__()
    async with aiohttp.ClientSession(upstream.url) as session:
        await (await session.post("/x")).read()
        async with session.post("/x") as refused:
            assert refused.status == 501
            assert "was not expected" in await refused.text()
    with pytest.raises(ScriptError, match=expected):
        await upstream.__aexit__(None, None, None)


async def test_a_test_that_fails_anyway_keeps_its_own_error() -> None:
    """Where the block is left by an error, the script's trouble becomes a note on it."""

    async def fail() -> None:
        async with Upstream() as upstream, aiohttp.ClientSession(upstream.url) as session:
            await (await session.get("/x")).read()
            raise KeyError("own")

    with pytest.raises(KeyError) as caught:
        await fail()
    assert any("request 1, GET /x, was not expected" in note for note in caught.value.__notes__)


async def test_a_script_function_that_fails_is_told() -> None:
    """An exception in a function of the script reaches the test and not only the client."""

    def broken(request: Request) -> Response:
        raise ValueError(f"cannot answer {request.path}")

    with pytest.raises(ScriptError, match="cannot answer /x"):
        async with Upstream(broken) as upstream, aiohttp.ClientSession(upstream.url) as session:
            await (await session.get("/x")).read()


async def test_what_is_no_request_is_told() -> None:
    """Bytes that are no HTTP request are a problem of the test, with a message."""
    upstream = await Upstream().__aenter__()
    async with connect(upstream) as (reader, writer):
        writer.write(b"nonsense\r\n\r\n")
        assert await reader.read() == b""
    with pytest.raises(ScriptError, match="a connection failed"):
        await upstream.__aexit__(None, None, None)


async def test_a_lenient_upstream_only_answers() -> None:
    """With strict=False an unexpected request gets its 501 and nothing is raised."""
    async with Upstream(strict=False) as upstream, aiohttp.ClientSession(upstream.url) as session:
        async with session.get("/x") as response:
            assert response.status == 501
        assert len(upstream.problems) == 1


async def test_it_sees_a_client_leave() -> None:
    """A client that closes the connection in the middle of an answer sets the request's `left`, and the upstream's."""
    wait = Stall()
    async with Upstream(faults.stall(Response.stream(["abc", "def"]), wait, at=3)) as upstream:
        async with connect(upstream) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert b"abc" in await reader.readuntil(b"abc")
            await wait.reached.wait()
            assert not upstream.left.is_set()
        await upstream.requests[0].left.wait()
        await upstream.left.wait()
        assert not upstream.requests[0].answered.is_set()
        assert upstream.requests[0].pieces_sent == 1


async def test_a_client_that_leaves_after_the_answer_has_not_left() -> None:
    """Closing the connection after a whole answer is no leaving."""
    async with Upstream(Response("whole")) as upstream:
        async with connect(upstream) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await reader.readuntil(b"whole")
            await upstream.requests[0].answered.wait()
        while upstream.tasks:
            await asyncio.wait(upstream.tasks)
    assert not upstream.left.is_set()


async def test_requests_can_be_awaited() -> None:
    """`received(n)` returns the n-th request as soon as it is there."""
    async with Upstream(Response(), Response()) as upstream, aiohttp.ClientSession(upstream.url) as session:
        waiting = asyncio.ensure_future(upstream.received(2))
        await (await session.get("/a")).read()
        assert not waiting.done()
        await (await session.get("/b")).read()
        assert (await waiting).path == "/b"


async def test_leaving_the_block_ends_everything() -> None:
    """Clients that still hang on a stall are cut off, and no task of the upstream is left."""
    before = asyncio.all_tasks()
    async with Upstream(Response(Stall())) as upstream:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(upstream.url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await upstream.received()
    assert b"200 OK" in await reader.read()
    writer.close()
    await writer.wait_closed()
    assert asyncio.all_tasks() == before


def test_bodies_are_checked() -> None:
    """What cannot be a piece of a body is refused where the response is written."""
    with pytest.raises(TypeError, match="not int"):
        Response([1])  # type: ignore[list-item]  # the point


async def test_unknown_statuses_are_sent() -> None:
    """A status without a standard phrase can be scripted, as can one that has no body."""
    async with (
        Upstream(Response("x", status=599), Response(status=204)) as upstream,
        aiohttp.ClientSession(upstream.url) as session,
    ):
        assert [await status(session), await status(session)] == [599, 204]
