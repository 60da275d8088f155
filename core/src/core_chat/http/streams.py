"""The bodies of streamed answers, as events or lines."""

from collections.abc import AsyncGenerator

import aiohttp

from core_chat.http.lines import LineSplitter
from core_chat.http.sse import ServerSentEvent, SSEDecoder
from core_chat.http.transport import read_chunk


async def sse_events(
    response: aiohttp.ClientResponse, *, decoder: SSEDecoder | None = None
) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield the server-sent events of an answer; use it under `aclosing`.

    Raises:
        IncompleteStreamError: The connection broke before the end.
        ProtocolError: A line or an event is too long.
    """
    decoder = decoder or SSEDecoder()
    while chunk := await read_chunk(response):
        for event in decoder.feed(chunk):
            yield event


async def json_lines(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    r"""Yield the lines of an answer that are not blank, cut at `\n` only; the last one needs no line end.

    Raises:
        IncompleteStreamError: The connection broke before the end; the whole lines before it have been yielded.
        ProtocolError: A line is too long.
    """
    splitter = LineSplitter(ends="lf")
    while chunk := await read_chunk(response):
        for line in splitter.feed(chunk):
            if line.strip():
                yield line
    if (rest := splitter.close()).strip():
        yield rest
