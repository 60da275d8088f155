"""Every fault, seen by a real client."""

import asyncio
import socket
from collections.abc import Callable

import aiohttp
import pytest

from core_chat.testing import Flood, Response, Stall, Upstream, faults

BODY = "data: \u2028 日本語 🎈\n\ndata: [DONE]\n\n"
RAW = BODY.encode()


def streamed() -> Response:
    """A chunked answer of two events."""
    return Response.sse(["\u2028 日本語 🎈", "[DONE]"])


def measured() -> Response:
    """The same with a length."""
    return Response(BODY)


async def fetch(*responses: Response) -> bytes:
    """Read one answer to its end, or raise what the client raised; the bytes that came are in the error's args."""
    async with Upstream(*responses) as upstream, aiohttp.ClientSession() as session:
        got = bytearray()
        async with session.get(upstream.url) as response:
            try:
                async for piece in response.content.iter_any():
                    got += piece
            except aiohttp.ClientError as error:
                error.args = (bytes(got),)
                raise
        return bytes(got)


async def exchange(response: Response) -> bytes:
    """Return every byte an upstream sends, head and framing included."""
    async with Upstream(response) as upstream:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(upstream.url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        try:
            return await reader.read()
        finally:
            writer.close()


async def test_the_intact_answers_say_the_same() -> None:
    """Chunked, measured and until-close answers deliver the same body."""
    assert await fetch(streamed()) == await fetch(measured()) == await fetch(Response(BODY, framing="close")) == RAW


@pytest.mark.parametrize("answer", [streamed, measured])
async def test_cut_delivers_exactly_the_bytes_before_it(answer: Callable[[], Response]) -> None:
    """Cut at every byte, inside lines and characters: what stands before arrives, then the body is incomplete."""
    for at in range(len(RAW)):
        with pytest.raises(aiohttp.ClientPayloadError) as caught:
            await fetch(faults.cut(answer(), at=at))
        assert caught.value.args == (RAW[:at],)


async def test_a_cut_body_that_ends_with_its_connection_just_ends() -> None:
    """Without a length or chunks nobody but the protocol above can see a cut."""
    assert await fetch(faults.cut(Response(BODY, framing="close"), at=9)) == RAW[:9]


@pytest.mark.parametrize("answer", [streamed, measured])
async def test_truncated_bodies_look_whole(answer: Callable[[], Response]) -> None:
    """A body that was truncated arrives without an error, as far as it goes."""
    assert await fetch(faults.truncate(answer(), at=9)) == RAW[:9]
    with pytest.raises(ValueError, match="is not in it"):
        faults.truncate(answer(), at=-1)


async def test_reset() -> None:
    """A reset reaches the client as one."""
    async with Upstream(faults.reset(measured(), at=9)) as upstream:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(upstream.url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with pytest.raises(ConnectionResetError):
            await writer.wait_closed()


async def test_stall_waits_to_be_released() -> None:
    """A stalled answer stops at its byte and goes on when the test says so."""
    wait = Stall()
    async with (
        Upstream(faults.stall(streamed(), wait, at=8)) as upstream,
        aiohttp.ClientSession() as session,
        session.get(upstream.url) as response,
    ):
        assert await response.content.readexactly(8) == RAW[:8]
        await wait.reached.wait()
        rest = asyncio.ensure_future(response.content.read())
        await asyncio.sleep(0)
        assert not rest.done()
        wait.release()
        assert await rest == RAW[8:]


async def test_slow_headers() -> None:
    """The head waits for the test."""
    wait = Stall()
    async with Upstream(faults.slow_headers(measured(), wait)) as upstream, aiohttp.ClientSession() as session:
        asking = asyncio.ensure_future(session.get(upstream.url))
        await wait.reached.wait()
        assert not asking.done()
        wait.release()
        async with await asking as response:
            assert await response.read() == RAW


async def test_keep_open() -> None:
    """Everything is there but the end of the body, until the client leaves."""
    async with Upstream(faults.keep_open(streamed())) as upstream:
        async with aiohttp.ClientSession() as session, session.get(upstream.url) as response:
            assert await response.content.readexactly(len(RAW)) == RAW
            assert not response.content.at_eof()
        await upstream.left.wait()


async def test_no_answer() -> None:
    """A connection that closes without a byte."""
    assert await exchange(faults.no_answer()) == b""


async def test_drip_and_split_change_the_pieces_only() -> None:
    """Whatever pieces the body is sent in, it is the same body."""
    assert [piece for piece in faults.drip(streamed()).body if piece == b"\n"] == [b"\n"] * 4
    assert faults.drip(measured(), size=7).body[0] == RAW[:7]
    assert faults.split(streamed(), at=[8, 8, 0]).body == (RAW[:8], RAW[8:])
    for response in (faults.drip(streamed()), faults.drip(measured(), size=7), faults.split(streamed(), at=[8])):
        assert await fetch(response) == RAW


def test_splitting_comes_first() -> None:
    """A body that holds other faults can no longer be split into bytes, and says so."""
    with pytest.raises(ValueError, match="split the body first"):
        faults.drip(faults.cut(streamed(), at=3))


def test_a_fault_outside_the_body_is_refused() -> None:
    """A cut after the end would be no cut."""
    with pytest.raises(ValueError, match=f"the body has {len(RAW)} bytes"):
        faults.cut(streamed(), at=len(RAW) + 1)


def test_faults_can_be_combined() -> None:
    """Faults go where their byte is, also next to others, at the ends, and in a flood."""
    wait = Stall()
    stalled = faults.stall(Response("abcd"), wait, at=2)
    assert stalled.body == (b"ab", wait, b"cd")
    assert faults.huge_line(stalled, at=3, size=5).body == (b"ab", wait, b"c", Flood(5), b"d")
    assert faults.stall(Response(Flood(9)), wait, at=4).body == (Flood(4), wait, Flood(5))
    assert faults.stall(Response(), wait, at=0).body == (wait,)
    assert faults.stall(Response("ab"), wait, at=2).body == (b"ab", wait)


async def test_headers_of_the_wrong_kind() -> None:
    """A content type is replaced whatever the case of its name; other headers stay."""
    response = faults.typed(Response("x", headers={"content-type": "a/b", "X-A": "1"}), "text/html")
    assert dict(response.headers) == {"X-A": "1", "Content-Type": "text/html"}


async def test_garbage_is_always_the_same() -> None:
    """512 bytes that are no text, in an answer or instead of one."""
    body = await fetch(faults.garbage())
    assert len(body) == 512
    assert await exchange(faults.not_http()) == body
    with pytest.raises(UnicodeDecodeError):
        body.decode()
    assert faults.garbage(streamed()).headers == streamed().headers


@pytest.mark.parametrize("answer", [streamed, measured])
async def test_a_huge_line_is_really_sent(answer: Callable[[], Response]) -> None:
    """17 MiB without a line's end come before the answer's own bytes."""
    body = await fetch(faults.huge_line(answer()))
    assert len(body) == faults.HUGE + len(RAW)
    assert body.index(b"\n") > faults.HUGE


async def test_web_page() -> None:
    """HTML where none is expected, with any status."""
    sent = await exchange(faults.html(502))
    assert sent.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert b"<!DOCTYPE html>" in sent


def test_both_forms_of_retry_after() -> None:
    """Seconds, and an HTTP date as RFC 9110 writes it; or none at all."""
    assert faults.rate_limited(7).headers["Retry-After"] == "7"
    assert faults.rate_limited(0.5).headers["Retry-After"] == "0.5"
    assert faults.rate_limited(date=784_111_777).headers["Retry-After"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert "Retry-After" not in faults.rate_limited().headers
    assert faults.rate_limited().status == 429


def test_refused() -> None:
    """Nobody listens there."""
    with faults.refused() as url, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
