"""Answers for the chat command: from its settings to the request, the screen and the files."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from core_chat.cli import files
from core_chat.cli.opening import choose_model, open_registry, run_async
from core_chat.cli.render import JsonRenderer, Renderer, TextRenderer
from core_chat.cli.terminal import is_terminal, say
from core_chat.errors import ProtocolError
from core_chat.messages import Image, Message, Text
from core_chat.models import ModelInfo
from core_chat.registry import Registry
from core_chat.reply import Conversation, Reply
from core_chat.requests import Timeouts


@frozen(kw_only=True)
class Settings:
    """What the options of `core-chat chat` ask for; `parameters` are those of the request that were given."""

    model: str | None
    system: str | None
    images: tuple[str, ...]
    parameters: Mapping[str, Any]
    strict: bool
    output: Path | None
    conversation: Path | None
    sandbox: bool
    proxy: str | None
    timeout: float | None
    reasoning: bool | None
    quiet: bool
    as_json: bool

    def say(self, text: str) -> None:
        """Write a dimmed line to standard error, unless all is to be quiet."""
        if not self.quiet:
            say(text)

    def renderer(self) -> Renderer:
        """Return what shows the answers; reasoning is shown where a person sees it, unless that is unwanted."""
        if self.as_json:
            return JsonRenderer()
        reasoning = is_terminal(sys.stderr) and not self.quiet if self.reasoning is None else self.reasoning
        return TextRenderer(quiet=self.quiet, reasoning=reasoning, keeps_media=self.output is not None)


@define(eq=False)
class Session:
    """A model that is asked, once or again and again; `conversation` is what has been said."""

    settings: Settings
    registry: Registry
    model: ModelInfo
    images: tuple[Image, ...]
    conversation: Conversation | None
    renderer: Renderer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.renderer = self.settings.renderer()

    async def answer(self, text: str) -> None:
        """Stream one answer; only a complete one changes the conversation and the files."""
        try:
            reply = await self._stream(self._turns(text))
        finally:
            self.renderer.end()
        self.conversation, self.images = reply.conversation, ()
        if self.settings.conversation is not None:
            files.save_conversation(self.settings.conversation, reply.conversation)
        if self.settings.output is not None:
            await self._save_pictures(reply, self.settings.output)

    def _turns(self, text: str) -> list[Message]:
        """Return the new turns: the system text comes first, and again only once it has changed."""
        before = self.conversation.messages if self.conversation else ()
        said = [turn.text for turn in before if turn.role == "system"]
        system = self.settings.system
        turns = [] if system is None or said[-1:] == [system] else [Message("system", system)]
        return [*turns, Message("user", [Text(text), *self.images])]

    async def _stream(self, turns: list[Message]) -> Reply:
        settings = self.settings
        stream = self.registry.stream(
            self.model,
            turns,
            conversation=self.conversation,
            timeouts=Timeouts(total=settings.timeout),
            strict=settings.strict,
            **settings.parameters,
        )
        async with stream:
            async for event in stream:
                self.renderer.show(event)
            reply = await stream.reply()
        self.renderer.finish(reply)
        return reply

    async def _save_pictures(self, reply: Reply, path: Path) -> None:
        if not reply.media:
            raise ProtocolError(f"the answer holds no picture; {path} was not written", got="no picture")
        await files.save_pictures(reply.media, path, say=self.settings.say, proxy=self.settings.proxy)


@asynccontextmanager
async def open_session(settings: Settings) -> AsyncIterator[Session]:
    """Read the files, open the registry and choose the model."""
    images = tuple(files.read_image(source) for source in settings.images)
    conversation = files.load_conversation(settings.conversation) if settings.conversation else None
    async with open_registry(sandbox=settings.sandbox, say=settings.say, proxy=settings.proxy) as registry:
        model = choose_model(registry, settings.model, sandbox=settings.sandbox)
        yield Session(settings, registry, model, images, conversation)


async def _once(settings: Settings, text: str) -> None:
    async with open_session(settings) as session:
        await session.answer(text)


def answer_once(settings: Settings, text: str) -> None:
    """Stream the answer to one message."""
    run_async(_once(settings, text))
