"""The snippets of the design, typed and run: what a host app writes, what a plugin author writes.

mypy (strict) checks this file with the others; a line that must not pass says so in its `type: ignore`, which mypy
refuses where it is not needed.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar, assert_type

import pytest
from aiohttp import ClientSession
from attrs import define, field

from core_chat import (
    About,
    Catalog,
    ChatRequest,
    ChatStream,
    Conversation,
    Event,
    Finish,
    Message,
    ModelInfo,
    ModelQuery,
    Plugin,
    Registry,
    Reply,
    TextDelta,
    Tool,
    env,
    hookimpl,
)
from core_chat.testing import Canned


async def test_what_a_host_app_writes(capsys: pytest.CaptureFixture[str]) -> None:
    """A stream with `match`, a whole reply, and a conversation that goes on."""
    async with Registry(only=[]) as registry:
        registry.register(Canned("It is blue.", models=["meta/meta-llama-3-8b-instruct"]), "replicate")
        registry.register(Canned("Because of the light.", "Light."), "allenai")

        async with registry.stream(
            "replicate:meta/meta-llama-3-8b-instruct", "Why is the sky blue?", temperature=0.2, max_tokens=200
        ) as stream:
            assert_type(stream, ChatStream)
            async for event in stream:
                match event:
                    case TextDelta(text):
                        print(text, end="", flush=True)  # noqa: T201 - the snippet
        reply = await registry.chat("allenai:", "And at sunset?")
        more = await registry.chat("allenai:", "Shorter.", conversation=reply.conversation)

        assert_type(reply, Reply)
        assert_type(registry.plugins, dict[str, Plugin])
        assert_type(registry.resolve("allenai:"), ModelInfo)
        assert_type(await registry.models(search="x", task="chat"), Catalog)
        assert_type(await registry.delete(more.conversation), tuple[str, ...])
    assert capsys.readouterr().out == "It is blue."
    assert (reply.text, more.text) == ("Because of the light.", "Light.")
    assert len(more.conversation.messages) == 4


@define(eq=False)
class Replicate:
    """Language models hosted on replicate.com."""

    about: ClassVar = About(
        label="Replicate",
        home="https://replicate.com",
        key_page="https://replicate.com/account/api-tokens",
        key_variable="REPLICATE_API_TOKEN",
        needs_key=True,
    )
    token: str | None = field(factory=env("REPLICATE_API_TOKEN"), repr=False)
    base_url: str = "https://api.replicate.com/v1"

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        """Claim or None; no I/O; "" is the default."""
        return ModelInfo(name or "meta/meta-llama-3-70b-instruct")

    @hookimpl
    async def list_models(self, query: ModelQuery, session: ClientSession) -> AsyncGenerator[ModelInfo, None]:
        """List one model."""
        yield ModelInfo("meta/meta-llama-3-70b-instruct")

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: ClientSession) -> AsyncGenerator[Event, None]:
        """Say the prompt backwards."""
        yield TextDelta(request.messages[-1].text[::-1])
        yield Finish("stop")


async def test_what_a_plugin_author_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider is one attrs class with a few hook methods; its constructor is its configuration."""
    monkeypatch.setenv("REPLICATE_API_TOKEN", " r8_canary\n")
    async with Registry(only=[], config={"mine": {"base_url": "https://example.org/v1"}}) as registry:
        registry.register(Replicate, "mine")
        assert (await registry.chat("mine:", "abc")).text == "cba"
        assert registry.plugins["mine"].about is Replicate.about
        assert [model.full_name for model in (await registry.models()).models] == [
            "mine:meta/meta-llama-3-70b-instruct"
        ]
    provider = Replicate()
    assert provider.token == "r8_canary"
    assert "r8_canary" not in repr(provider)


class Shout:
    """Middleware of a host: a wrapper of `stream_chat`."""

    @hookimpl(wrapper=True)
    def stream_chat(self, request: ChatRequest):  # type: ignore[no-untyped-def]  # noqa: ANN201 - a pluggy wrapper
        """Pass the text on in capitals."""
        events = yield
        return self._shout(events)

    async def _shout(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        async with aclosing(events):
            async for event in events:
                yield TextDelta(event.text.upper()) if isinstance(event, TextDelta) else event


async def test_what_a_host_wraps_around() -> None:
    """Middleware sees one attempt's events and passes on what it likes."""
    async with Registry(only=[]) as registry:
        registry.register(Canned("hello"), "c")
        registry.register(Shout())
        assert (await registry.chat("c:", "hi")).text == "HELLO"


async def mistakes_a_type_checker_finds(registry: Registry, reply: Reply, stream: ChatStream) -> None:
    """Never run: each line is wrong, and mypy says so."""
    await registry.chat("c:", "hi", temprature=1)  # type: ignore[call-arg]
    await registry.chat("c:", "hi", temperature="warm")  # type: ignore[arg-type]
    await registry.chat("c:", 5)  # type: ignore[arg-type]
    registry.stream("c:", "hi", timeouts=5)  # type: ignore[arg-type]
    Registry({"c": {}})  # type: ignore[call-arg]
    TextDelta("a").text = "b"  # type: ignore[misc]
    reply.text = "b"  # type: ignore[misc]
    Finish("eos")  # type: ignore[arg-type]
    Message("usr", "hi")  # type: ignore[arg-type]
    Message("user", 5)  # type: ignore[arg-type]
    Tool(5)  # type: ignore[arg-type]
    Conversation("text")  # type: ignore[arg-type]
    async for event in stream:
        event.text  # type: ignore[union-attr]  # noqa: B018 - the mistake


def test_the_mistakes_are_only_for_the_type_checker() -> None:
    """The function above is checked, not called."""
    assert mistakes_a_type_checker_finds.__doc__
