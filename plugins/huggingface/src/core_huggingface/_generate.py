"""Text from a prompt: the wire that there is, found by asking, and the answer in whichever shape it comes."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from core_chat.cache import ExpiringCache
from core_chat.errors import IncompleteStreamError, ProviderError
from core_chat.events import Event, Notice, Route
from core_chat.http import Client, SSEDecoder, read_chunk
from core_chat.requests import ChatRequest
from core_huggingface._prompts import Prompt
from core_huggingface._wires import (
    HF_INFERENCE,
    Shape,
    Wire,
    body_for,
    leads_on,
    lost_notices,
    lost_parameters,
    unknown_parameters,
)
from core_huggingface._wires import shapes as shapes_below
from core_huggingface.textgen import Decoder, decoder_for

if TYPE_CHECKING:
    from aiohttp import ClientResponse

_REMEMBERED_SECONDS = 3600.0
_SSE_FIELDS = (b":", b"data", b"event", b"id", b"retry")
_LONGEST_PREFACE = 1 << 20
_AFTER_FINISH_SECONDS = 2.0


@define(eq=False)
class Generator:
    """Generates text at one base URL; remembers per model how it is asked."""

    base_url: str
    _known: ExpiringCache[str, Shape] = field(
        init=False, repr=False, factory=lambda: ExpiringCache(seconds=_REMEMBERED_SECONDS)
    )

    async def stream(
        self, request: ChatRequest, client: Client, *, prompt: Prompt, api: Wire | None = None
    ) -> AsyncGenerator[Event, None]:
        """Answer a request; use it under `aclosing`.

        Raises:
            ProviderError: No path and wire is there, or the one that is there failed.
        """
        for notice in prompt.notices:
            yield notice
        attempt = _Attempt(request, client, prompt=prompt.text)
        waiting = deque(self._shapes(request, api))
        while waiting:
            shape = waiting.popleft()
            for notice in attempt.untold(shape):
                yield notice
            try:
                async with aclosing(attempt.ask(shape)) as events:
                    async for event in events:
                        yield event
            except ProviderError as error:
                again = attempt.failed(shape, error)
                if again is not None:
                    waiting.appendleft(again)
            else:
                self._known.put(request.model.name, shape, clock=request.clock)
                return
        self._known.drop(request.model.name)
        raise attempt.verdict()

    def _shapes(self, request: ChatRequest, api: Wire | None) -> list[Shape]:
        """Return the shapes to try: the one that worked before, those that can be told everything, the others."""
        found = [shape for shape in shapes_below(self.base_url, request.model.name) if api in (None, shape.wire)]
        known = self._known.last(request.model.name)
        found.sort(key=lambda shape: len(lost_parameters(shape, request)))
        if known is None or api not in (None, known.wire):
            return found
        return [known, *(shape for shape in found if shape.path != known.path)]


@define(eq=False)
class _Attempt:
    """One call's way through the shapes."""

    request: ChatRequest
    client: Client
    prompt: str = field(kw_only=True, repr=False)
    _begun: bool = field(init=False, default=False)
    _told: set[Notice] = field(init=False, factory=set)
    _failures: list[tuple[Shape, ProviderError]] = field(init=False, factory=list)

    def untold(self, shape: Shape) -> Iterator[Notice]:
        """Yield what a shape cannot be told, unless it was said before."""
        for notice in lost_notices(shape, self.request):
            if notice not in self._told:
                self._told.add(notice)
                yield notice

    def failed(self, shape: Shape, error: ProviderError) -> Shape | None:
        """Return the same shape without the parameters that it does not know, or None for the next one.

        Raises:
            ProviderError: The failure is no matter of the shape.
        """
        sent = body_for(shape, self.request, prompt=self.prompt).get("parameters", {})
        unknown = unknown_parameters(error) & set(sent)
        if self._begun or not (unknown or leads_on(error)):
            raise error
        self._failures.append((shape, error))
        return evolve(shape, without=shape.without | unknown) if unknown else None

    def verdict(self) -> ProviderError:
        """Return the first failure, with all that was tried."""
        first = self._failures[0][1]
        first.attempts = tuple(error.as_attempt(f"{shape.wire} at /{shape.path}") for shape, error in self._failures)
        return first

    async def ask(self, shape: Shape) -> AsyncGenerator[Event, None]:
        """Send the request to one path and yield the events of its answer; use it under `aclosing`."""
        body = body_for(shape, self.request, prompt=self.prompt)
        headers = {"Accept": "text/event-stream, application/json", **self.request.headers}
        sending = self.client.send("POST", shape.path, json=body, headers=headers)
        async with sending as response, aclosing(self._read(response, shape)) as events:
            async for event in events:
                self._begun = True
                yield event

    async def _read(self, response: "ClientResponse", shape: Shape) -> AsyncGenerator[Event, None]:
        """Yield the events of an answer: a stream, or a whole body whatever its type says."""
        lines, decoder, start = SSEDecoder(), None, b""
        if response.content_type.endswith("json"):
            start = await self.client.body(response)
        else:
            while chunk := await _next_chunk(response, decoder):
                start += b"" if decoder or len(start) > _LONGEST_PREFACE else chunk
                for sent in lines.feed(chunk):
                    decoder = decoder or self._decoder(sent.data, response, shape=shape)
                    for event in decoder.feed(sent.data, sent.event):
                        yield event
        if decoder is None:
            decoder = self._decoder(start, response, shape=shape)
            for event in self._whole(start, decoder, response=response):
                yield event
        for event in decoder.end():
            yield event
        await self.client.drain(response)

    def _decoder(self, data: bytes, response: "ClientResponse", *, shape: Shape) -> Decoder:
        """Return the decoder for an answer; where the server may repeat the prompt, it cuts that off."""
        model = self.request.model
        route = Route(
            model.provider,
            model.name,
            backend=HF_INFERENCE if HF_INFERENCE in self.client.base_url else None,
            upstream_id=response.headers.get("x-request-id"),
        )
        return decoder_for(
            data,
            route=route,
            prompt=self.prompt if "return_full_text" in shape.without else "",
            secrets=(self.client.token,) if self.client.token else (),
            refine=self.client.refine,
        )

    def _whole(self, body: bytes, decoder: Decoder, *, response: "ClientResponse") -> list[Event]:
        """Read a body in which there was no server-sent event."""
        body = body.strip()
        if not body or body.startswith(_SSE_FIELDS):
            raise IncompleteStreamError("the answer broke off before its first piece")
        if not body.startswith((b"{", b"[")):
            raise self.client.unexpected(body, response)
        return decoder.read_body(body)


async def _next_chunk(response: "ClientResponse", decoder: Decoder | None) -> bytes:
    """Return the next bytes, none once the end has come; what may follow the reason for the end has a moment."""
    if decoder is None or not (decoder.done or decoder.finished):
        return await read_chunk(response)
    if decoder.done:
        return b""
    try:
        async with asyncio.timeout(_AFTER_FINISH_SECONDS):
            return await read_chunk(response)
    except (TimeoutError, ProviderError):
        return b""
