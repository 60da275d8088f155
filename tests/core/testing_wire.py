"""A small HTTP provider that keeps the contract, made so that one thing at a time can be broken in it."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, ClassVar

import aiohttp
from attrs import define, field

from core_chat import (
    About,
    ChatRequest,
    Event,
    Finish,
    ModelInfo,
    ModelQuery,
    NoOptions,
    Notice,
    ProtocolError,
    TextDelta,
    hookimpl,
    read_options,
)
from core_chat.dicts import as_openai
from core_chat.http import Client, client_for, credential, json_lines

SENT = ("temperature", "top_p", "top_k", "max_tokens", "seed", "reasoning_effort", "response_format")
NOT_TAKEN = ("stop", "tools", "presence_penalty", "frequency_penalty", "width", "height", "aspect_ratio")


@define(eq=False)
class Wire:
    """A provider whose upstream sends JSON lines: `{"piece": …}` for each piece, then `{"done": true}`."""

    about: ClassVar = About(label="Wire", needs_key=True, key_variable="WIRE_KEY", key_page="https://wire.example/keys")
    base_url: str
    token: str | None = field(default=None, repr=False)

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        """Take any name."""
        return ModelInfo(name or "wire-1", known=name in ("", "wire-1", "wire-2"))

    @hookimpl
    async def list_models(self, query: ModelQuery, session: aiohttp.ClientSession) -> AsyncGenerator[ModelInfo, None]:
        """Ask the upstream."""
        for name in await self.client(query, session).json("GET", "models"):
            yield ModelInfo(name)

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: aiohttp.ClientSession) -> AsyncGenerator[Event, None]:
        """Send the request and read the lines."""
        read_options(NoOptions, request)
        for notice in self.notices(request):
            yield notice
        client = self.client(request, session)
        async with (
            client.send("POST", "chat", json=self.body(request), headers=request.headers) as response,
            aclosing(self.events(client, response)) as events,
        ):
            async for event in events:
                yield event

    def notices(self, request: ChatRequest) -> list[Notice]:
        """Name what the upstream does not take."""
        return [Notice("unsupported", f"no {name}", parameter=name) for name in NOT_TAKEN if getattr(request, name)]

    def client(self, call: ChatRequest | ModelQuery, session: aiohttp.ClientSession) -> Client:
        """Return the client of one call."""
        key = credential(call, self.token, about=self.about)
        return client_for(session, call, base_url=self.base_url, token=key)

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """Return what is sent."""
        given = {name: value for name in SENT if (value := getattr(request, name)) is not None}
        messages = [item for message in request.messages for item in as_openai(message)]
        return {"model": request.model.name, "messages": messages, **given, **request.extra}

    async def events(self, client: Client, response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
        """Yield the answer's events."""
        async with aclosing(self.lines(response)) as lines:
            async for line in lines:
                data = self.parse(line)
                if data.get("piece"):
                    yield self.piece(data["piece"])
                if data.get("done"):
                    await self.finish(client, response)
                    yield Finish("stop")
                    return

    def lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        """Return the lines of an answer."""
        return json_lines(response)

    def parse(self, line: bytes) -> dict[str, Any]:
        """Return a line as what it must be."""
        try:
            data = json.loads(line)
        except ValueError as error:
            raise ProtocolError("a line is no JSON", got="a broken line") from error
        if not isinstance(data, dict):
            raise ProtocolError("a line is no object", got="a line of another shape")
        return data

    def piece(self, text: str) -> Event:
        """Return the event of a piece."""
        return TextDelta(text)

    async def finish(self, client: Client, response: aiohttp.ClientResponse) -> None:
        """Read the end of the body."""
        await client.drain(response)
