"""How the sandbox sends an answer: as server-sent events, as one body, or as one of these going wrong."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeAlias

from aiohttp import web
from attrs import frozen

from core_huggingface.sandbox.answers import Answer, Chunk, chunks, whole

_BEFORE_THE_FAULT = 3


@frozen(kw_only=True)
class Exchange:
    """One request, and what would be answered if nothing failed."""

    request: web.Request
    answer: Answer
    provider: str
    stream: bool
    usage: bool
    headers: Mapping[str, str]

    def json(self, body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
        """Return a JSON answer."""
        return web.json_response(body, status=status, headers={**self.headers, **(headers or {})})

    def data(self) -> Iterator[Chunk | str]:
        """Yield the data of the answer's events."""
        return chunks(self.answer, provider=self.provider, usage=self.usage)

    async def open(self) -> web.StreamResponse:
        """Begin a stream of server-sent events."""
        headers = {**self.headers, "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(self.request)
        return response


Behaviour: TypeAlias = Callable[[Exchange], Awaitable[web.StreamResponse]]


async def answered(exchange: Exchange) -> web.StreamResponse:
    """Answer as asked: a stream, or one body."""
    if not exchange.stream:
        return exchange.json(whole(exchange.answer))
    response = await exchange.open()
    for data in exchange.data():
        await _send(response, data)
    return response


async def _send(response: web.StreamResponse, data: Chunk | str) -> None:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    await response.write(f"data: {text}\n\n".encode())


def refused(status: int, body: Any, *, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Answer with a status and JSON."""

    async def behave(exchange: Exchange) -> web.StreamResponse:
        return exchange.json(body, status=status, headers=headers)

    return behave


def refused_in_words(status: int, text: str, *, content_type: str = "text/plain") -> Behaviour:
    """Answer with a status and no JSON."""

    async def behave(exchange: Exchange) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type=content_type, headers=exchange.headers)

    return behave


def broken(then: bytes = b"", *, after: int = _BEFORE_THE_FAULT, cut: bool = False, stay: bool = False) -> Behaviour:
    """Send some events, then other bytes; then end, cut the connection, or stay silent until the client leaves."""

    async def behave(exchange: Exchange) -> web.StreamResponse:
        response = await exchange.open()
        for data in itertools.islice(exchange.data(), after):
            await _send(response, data)
        await response.write(then)
        if stay:
            await asyncio.Event().wait()
        if cut and exchange.request.transport is not None:
            exchange.request.transport.close()
        return response

    return behave


def slow(seconds: float) -> Behaviour:
    """Send comments for some time, which are no progress, then answer."""

    async def behave(exchange: Exchange) -> web.StreamResponse:
        response = await exchange.open()
        for _ in range(10):
            await response.write(b": the sandbox is warming up\n\n")
            await asyncio.sleep(seconds / 10)
        for data in exchange.data():
            await _send(response, data)
        return response

    return behave


async def unstreamed(exchange: Exchange) -> web.StreamResponse:
    """Answer with one body whatever was asked for."""
    return exchange.json(whole(exchange.answer))
