"""Providers and middleware for the tests of the order around a call."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest
from attrs import define, field

from core_chat import (
    ChatRequest,
    ChatStream,
    CoreError,
    Event,
    Finish,
    ModelInfo,
    Registry,
    Retry,
    TextDelta,
    hookimpl,
)
from core_chat.testing import Canned, ManualClock

Play = Callable[[ChatRequest], AsyncGenerator[Event, None]]


@define(eq=False)
class Player:
    """A provider that plays one generator after the other, the last one again and again, and counts its closes."""

    plays: list[Play]
    begun: int = 0
    closed: int = 0
    at_close: Callable[[], None] = field(default=lambda: None)

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo:
        return ModelInfo(name or "model")

    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        play = self.plays[min(self.begun, len(self.plays) - 1)]
        self.begun += 1
        try:
            async with aclosing(play(request)) as events:
                async for event in events:
                    yield event
        finally:
            self.closed += 1
            self.at_close()


def events(*items: Event | BaseException) -> Play:
    """A generator that yields events and raises errors, one after the other."""

    async def play(request: ChatRequest) -> AsyncGenerator[Event, None]:
        for item in items:
            if isinstance(item, BaseException):
                raise item
            yield item

    return play


def waiting(*items: Event | float, seen: list[str] | None = None) -> Play:
    """A generator that yields events, and sleeps of the request's clock where a number stands."""

    async def play(request: ChatRequest) -> AsyncGenerator[Event, None]:
        try:
            for item in items:
                if isinstance(item, float):
                    await request.clock.sleep(item)
                else:
                    yield item
        except BaseException as error:
            if seen is not None:
                seen.append(type(error).__name__)
            raise

    return play


async def endless(request: ChatRequest) -> AsyncGenerator[Event, None]:
    """Text, and then nothing for ever."""
    yield TextDelta("a")
    await asyncio.Event().wait()


DONE = Finish("stop")


@asynccontextmanager
async def opened(
    player: Player | Canned, *middleware: object, clock: ManualClock | None = None, retry: Retry | None = None
) -> AsyncIterator[Registry]:
    """A registry with one provider, `p`."""
    async with Registry(clock=clock or ManualClock(), retry=retry or Retry()) as registry:
        registry.register(player, "p")
        for item in middleware:
            registry.register(item)
        yield registry


async def read(stream: ChatStream) -> list[Event]:
    """All events of a stream."""
    async with stream:
        return [event async for event in stream]


async def failure(stream: ChatStream) -> CoreError:
    """The error a stream ends with."""
    with pytest.raises(CoreError) as caught:
        await read(stream)
    return caught.value


@define(eq=False)
class Log:
    """Middleware that notes each attempt it stands around, and what it sees of it."""

    attempts: int = 0
    seen: list[Event] = field(factory=list)
    closed: int = 0

    @hookimpl(wrapper=True)
    def stream_chat(self, request: ChatRequest):  # type: ignore[no-untyped-def]  # noqa: ANN201 - pluggy's wrapper
        inner = yield
        self.attempts += 1
        return self._around(inner)

    async def _around(self, inner: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        try:
            async with aclosing(inner):
                async for event in inner:
                    self.seen.append(event)
                    yield event
        finally:
            self.closed += 1


class Wrapper:
    """Middleware made of a function from one generator to the next."""

    def __init__(self, around: Callable[[AsyncGenerator[Event, None]], object]) -> None:
        self.around = around

    @hookimpl(wrapper=True)
    def stream_chat(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 - pluggy's wrapper
        inner = yield
        return self.around(inner)


async def asleep(clock: ManualClock) -> None:
    """Wait until something sleeps by the clock."""
    while not clock.sleeps:  # noqa: ASYNC110 - the clock has no event, and each turn is one of the loop
        await asyncio.sleep(0)
