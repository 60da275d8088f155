"""One request and its answer, streamed or not, over the core's HTTP client."""

from collections.abc import AsyncGenerator, Mapping
from itertools import chain
from typing import TYPE_CHECKING

from attrs import define, field

from core_chat._deadline import Deadline, DeadlineExpiredError
from core_chat.errors import ProviderError
from core_chat.events import Event, Route
from core_chat.http import Client, ServerSentEvent, SSEDecoder, read_chunk
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
        chat = _decoder(request, client, response, backend_header=backend_header)
        source = _Source(response, client, chat)
        while (found := await source.read()) is not None:
            for sent in found:
                for event in chat.feed(sent.data, sent.event):
                    yield event
        for event in chain(await source.rest(), chat.end()):
            yield event
        await client.drain(response)


def _decoder(request: ChatRequest, client: Client, response: "ClientResponse", *, backend_header: str) -> ChatDecoder:
    route = Route(
        request.model.provider,
        request.model.name,
        backend=response.headers.get(backend_header) if backend_header else None,
        upstream_id=response.headers.get("x-request-id"),
    )
    secrets = (client.token,) if client.token else ()
    return ChatDecoder(route=route, headers=response.headers, secrets=secrets, refine=client.refine)


@define(eq=False)
class _Source:
    """Reads a body as server-sent events, and remembers its beginning until it has turned out to hold some."""

    response: "ClientResponse"
    client: Client
    chat: ChatDecoder
    _decoder: SSEDecoder = field(init=False, factory=SSEDecoder)
    _preface: bytes = field(init=False, default=b"")
    _until: float | None = field(init=False, default=None)

    @property
    def _is_json(self) -> bool:
        return self.response.content_type.endswith("json")

    async def read(self) -> list[ServerSentEvent] | None:
        """Return the next events, or None where there are no more."""
        if self.chat.done or self._is_json or self._is_foreign:
            return None
        chunk = await (self._read_on() if self.chat.finished else read_chunk(self.response))
        if not self.chat.started and len(self._preface) <= _LONGEST_PREFACE:
            self._preface += chunk
        return self._decoder.feed(chunk) if chunk else None

    @property
    def _is_foreign(self) -> bool:
        """Whether so much has come that holds no event, and does not look like any, that none will."""
        long = len(self._preface) > _LONGEST_PREFACE and not self.chat.started
        return long and not self._preface.lstrip().startswith(_SSE_FIELDS)

    async def _read_on(self) -> bytes:
        """Read after the answer has said why it ended: the rest has a moment, and may fail."""
        clock = self.client.clock
        if self._until is None:
            self._until = clock.time() + _AFTER_FINISH_SECONDS
        deadline = Deadline(clock)
        try:
            with deadline.running(max(0.0, self._until - clock.time())):
                return await read_chunk(self.response)
        except (DeadlineExpiredError, ProviderError):
            return b""
        finally:
            deadline.close()

    async def rest(self) -> list[Event]:
        """Judge a body that held no server-sent event: JSON is read as such, pages and prose are an error."""
        if self._is_json:
            return self.chat.read_body(await self.client.body(self.response))
        preface = self._preface.strip()
        if self.chat.started or not preface or preface.startswith(_SSE_FIELDS):
            return []
        if preface.startswith((b"{", b"[")):
            return self.chat.read_body(preface)
        raise self.client.unexpected(preface, self.response)
