"""One client's connection to a scripted upstream: reads requests, plays responses, sees the client leave."""

import asyncio
import contextlib
import http
import socket
import struct
from collections.abc import Callable, Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

from core_chat.testing.requests import Request
from core_chat.testing.responses import Flood, HangUp, Piece, Response, Stall

_MAX_HEAD = 1 << 20
_BLOCK = 1 << 16
_Connected: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
_NO_BODY = (204, 304)


class _Protocol(asyncio.StreamReaderProtocol):
    """Asyncio's stream protocol, which also tells at once that the client has gone, whatever else is under way."""

    def __init__(self, gone: asyncio.Event, connected: _Connected) -> None:
        super().__init__(asyncio.StreamReader(limit=_MAX_HEAD), connected)
        self._gone = gone

    def eof_received(self) -> bool | None:
        self._gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()
        super().connection_lost(exc)


def protocol(connected: "Callable[[Connection], None]") -> asyncio.BaseProtocol:
    """Return the protocol of a new connection, which calls `connected` once it stands."""
    gone = asyncio.Event()
    return _Protocol(gone, lambda reader, writer: connected(Connection(reader, writer, gone=gone)))


class Connection:
    """A kept-alive connection; `receive` and `answer` take turns."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, gone: asyncio.Event) -> None:
        self._reader = reader
        self._writer = writer
        self._gone = gone

    async def receive(self) -> Request | None:
        """Return the next request, or None when the client has closed the connection."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            method, target, _version = start.split(" ")
            pairs = [
                (name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
            ]
            headers = dict(pairs)
            if headers.get("expect", "").lower() == "100-continue":
                self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await self._read_body(headers)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return Request(method=method, path=parts.path, query=query, headers=headers, body=body)

    async def _read_body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await self._reader.readexactly(int(headers.get("content-length", 0)))
        body = bytearray()
        while size := int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            body += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        while await self._reader.readuntil(b"\r\n") != b"\r\n":
            pass
        return bytes(body)

    async def answer(self, request: Request, response: Response) -> bool:
        """Play a response, or what the client stays for; return whether the connection can be used again."""
        player = asyncio.ensure_future(self._play(request, response))
        watcher = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({player, watcher}, return_when=asyncio.FIRST_COMPLETED)
            finished = player.done() and player.exception() is None
            if finished:
                request.answered.set()
            elif not player.done() or isinstance(player.exception(), ConnectionError):
                request.left.set()
            else:
                player.result()
        finally:
            for task in (player, watcher):
                task.cancel()
            await asyncio.gather(player, watcher, return_exceptions=True)
        return finished and player.result() and request.headers.get("connection", "").lower() != "close"

    async def _play(self, request: Request, response: Response) -> bool:
        """Send everything; return whether the connection is still whole."""
        chunked = response.framing == "chunked"
        for piece in response.before:
            if not await self._send(piece, chunked=False):
                return False
        if response.framing != "raw":
            await self._write(_head(response))
        for piece in response.body:
            if not await self._send(piece, chunked=chunked):
                return False
            request.pieces_sent += 1
        if chunked:
            await self._write(b"0\r\n\r\n")
        return response.framing in ("chunked", "length")

    async def _send(self, piece: Piece, *, chunked: bool) -> bool:
        match piece:
            case bytes():
                await self._write_body(piece, chunked=chunked)
            case Flood(size, byte):
                whole, rest = divmod(size, _BLOCK)
                for count in [_BLOCK] * whole + [rest]:
                    await self._write_body(byte * count, chunked=chunked)
            case Stall():
                piece.reached.set()
                await piece.released.wait()
            case HangUp.CUT:
                return False
            case HangUp.RESET:
                self._reset_on_close()
                return False
        return True

    async def _write_body(self, data: bytes, *, chunked: bool) -> None:
        if data:
            await self._write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)

    async def _write(self, data: bytes) -> None:
        """Write, then let the event loop turn twice: by then a client in the same loop has read just this."""
        self._writer.write(data)
        await self._writer.drain()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _reset_on_close(self) -> None:
        connected: socket.socket = self._writer.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def close(self) -> None:
        """Deliver what was written and close; a client that does not read it is not waited for."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Close at once."""
        self._writer.transport.abort()


def _head(response: Response) -> bytes:
    try:
        phrase = http.HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    headers = dict(response.headers)
    if response.framing == "chunked":
        headers["Transfer-Encoding"] = "chunked"
    elif response.framing == "close":
        headers["Connection"] = "close"
    elif response.status not in _NO_BODY:
        headers.setdefault("Content-Length", str(response.size))
    lines = [f"HTTP/1.1 {response.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
