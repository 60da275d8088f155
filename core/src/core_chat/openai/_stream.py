"""One request and its answer, streamed or not, over the core's HTTP client."""

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING

from attrs import define

from core_chat._deadline import Deadline, DeadlineExpiredError
from core_chat.clock import Clock
from core_chat.errors import ProviderError
from core_chat.events import Event, Route
from core_chat.http import Client, SSEDecoder, read_chunk
from core_chat.openai._decode import ChatDecoder
from core_chat.openai._request import Body, chat_body
from core_chat.requests import ChatRequest

if TYPE_CHECKING:
    from aiohttp import ClientResponse

_AFTER_FINISH_SECONDS = 2.0
_SSE_FIELDS = (b":", b"data", b"event", b"id", b"retry")
_LONGEST_PREFACE = 1024 * 1024


async def stream_chat(
    request: ChatRequest,
    client: Client,
    *,
    body: Body | None = None,
    path: str = "chat/completions",
    headers: Mapping[str, str] | None = None,
    backend_header: str = "",
) -> AsyncGenerator[Event, None]:
    """Answer a request at an OpenAI-compatible upstream; use it under `aclosing`.

    Args:
        request: What is asked.
        client: Where it is sent; its `refine` is asked about errors inside HTTP 200 too.
        body: What to send, `chat_body(request)` by default; its notices come first.
        path: The endpoint, below the client's base URL.
        headers: Sent before the request's own.
        backend_header: The answer's header that names the party that served it.

    Raises:
        InvalidRequestError: The request cannot be put on this wire.
        ProviderError: The upstream or the way to it failed.
    """
    body = body or chat_body(request)
    for notice in body.notices:
        yield notice
    async with client.send("POST", path, json=body.json, headers={**(headers or {}), **request.headers}) as response:
        chat = ChatDecoder(
            route=_route(request, response, backend_header=backend_header),
            headers=response.headers,
            secrets=(client.token,) if client.token else (),
            refine=client.refine,
        )
        if response.content_type.endswith("json"):
            for event in chat.read_body(await client.body(response)):
                yield event
        else:
            source = _Source(response, request.clock)
            decoder = SSEDecoder()
            while not chat.done and (chunk := await source.read(chat)):
                for sent in decoder.feed(chunk):
                    for event in chat.feed(sent.data, sent.event):
                        yield event
            for event in _unstreamed(source, chat, client):
                yield event
        for event in chat.end():
            yield event
        await client.drain(response)


def _route(request: ChatRequest, response: "ClientResponse", *, backend_header: str) -> Route:
    return Route(
        request.model.provider,
        request.model.name,
        backend=response.headers.get(backend_header) if backend_header else None,
        upstream_id=response.headers.get("x-request-id"),
    )


@define(eq=False)
class _Source:
    """Reads a body, and remembers its beginning until that has turned out to be a stream."""

    response: "ClientResponse"
    clock: Clock
    preface: bytes = b""
    until: float | None = None

    async def read(self, chat: ChatDecoder) -> bytes:
        """Return the next bytes; once the answer has said why it ended, the rest has a moment and may fail."""
        if not chat.finished:
            chunk = await read_chunk(self.response)
            if not chat.started:
                self.preface += chunk
            return chunk if len(self.preface) <= _LONGEST_PREFACE else b""
        if self.until is None:
            self.until = self.clock.time() + _AFTER_FINISH_SECONDS
        deadline = Deadline(self.clock)
        try:
            with deadline.running(max(0.0, self.until - self.clock.time())):
                return await read_chunk(self.response)
        except (DeadlineExpiredError, ProviderError):
            return b""
        finally:
            deadline.close()


def _unstreamed(source: _Source, chat: ChatDecoder, client: Client) -> list[Event]:
    """Judge a body that held no server-sent event: JSON is read as such, pages and prose are an error."""
    preface = source.preface.strip()
    if chat.started or not preface or preface.startswith(_SSE_FIELDS):
        return []
    if preface.startswith((b"{", b"[")):
        return chat.read_body(preface)
    raise client.unexpected(preface, source.response)
