"""Tiny proxies on loopback: one that speaks HTTP, one that speaks SOCKS5."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

from attrs import define, field


@define(eq=False)
class Proxy:
    """What a proxy saw: the targets it was asked for, and the credentials it was shown."""

    url: str = ""
    targets: list[str] = field(factory=list)
    credentials: list[str] = field(factory=list)
    refuse: bytes = b""


Handler: TypeAlias = Callable[[Proxy, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def _join(client: tuple[asyncio.StreamReader, asyncio.StreamWriter], *, port: int, first: bytes = b"") -> None:
    """Connect a client to a port of this machine, whatever host it asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(first)
        await asyncio.gather(_pump(client[0], writer), _pump(reader, client[1]))
    finally:
        await _close(writer)


@asynccontextmanager
async def _serving(handle: Handler, proxy: Proxy) -> AsyncIterator[Proxy]:
    tasks: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(proxy, reader, writer)
        finally:
            await _close(writer)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(connection(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    proxy.url = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _http(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = head.split("\r\n")
    method, target, _ = lines[0].split(" ")
    for line in lines[1:]:
        name, _, value = line.partition(": ")
        if name.lower() == "proxy-authorization":
            proxy.credentials.append(base64.b64decode(value.removeprefix("Basic ")).decode())
    proxy.targets.append(f"{method} {target}")
    if proxy.refuse:
        writer.write(proxy.refuse)
        await writer.drain()
        writer.close()
        return
    kept = "\r\n".join(line for line in lines if not line.lower().startswith("proxy-authorization"))
    _, _, rest = target.partition("://")
    place, _, path = rest.partition("/")
    _, _, port = place.partition(":")
    first = kept.replace(target, f"/{path}", 1).encode()
    await _join((reader, writer), port=int(port or 80), first=first)


async def _socks5(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    count = (await reader.readexactly(2))[1]
    methods = await reader.readexactly(count)
    wants_password = 2 in methods
    writer.write(b"\x05\x02" if wants_password else b"\x05\x00")
    if wants_password:
        user = await reader.readexactly((await reader.readexactly(2))[1])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        proxy.credentials.append(f"{user.decode()}:{password.decode()}")
        writer.write(b"\x01\x00")
    _, _, _, kind = await reader.readexactly(4)
    host = (await reader.readexactly((await reader.readexactly(1))[0])).decode() if kind == 3 else "address"
    if kind == 1:
        host = ".".join(map(str, await reader.readexactly(4)))
    port = int.from_bytes(await reader.readexactly(2), "big")
    proxy.targets.append(f"{host}:{port}")
    writer.write(proxy.refuse or b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
    await writer.drain()
    if proxy.refuse:
        writer.close()
        return
    await _join((reader, writer), port=port)


@asynccontextmanager
async def http_proxy(*, refuse: bytes = b"") -> AsyncIterator[Proxy]:
    """Serve an HTTP proxy, which connects to loopback whatever host it is asked for."""
    async with _serving(_http, Proxy(refuse=refuse)) as proxy:
        yield proxy


@asynccontextmanager
async def socks_proxy(*, refuse: bytes = b"") -> AsyncIterator[Proxy]:
    """Serve a SOCKS5 proxy, which connects to loopback whatever host it is asked for."""
    async with _serving(_socks5, Proxy(refuse=refuse)) as proxy:
        yield proxy
