"""Any order of what a provider and a caller can do: nothing is lost, repeated, or left open."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Literal, TypeAlias

from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.players import Log, Player

from core_chat import (
    ChatRequest,
    ChatStream,
    CoreError,
    Event,
    Finish,
    RateLimitError,
    Registry,
    RequestRejectedError,
    Route,
    TextDelta,
    Timeouts,
)
from core_chat.testing import ManualClock

Act: TypeAlias = Literal["text", "route", "turn", "sleep", "long", "busy", "fail", "crash", "finish", "swallow"]
Move: TypeAlias = Literal["read", "wait", "stop", "both", "leave", "work"]

acts = st.lists(
    st.sampled_from(["text", "text", "route", "turn", "sleep", "long", "busy", "fail", "crash", "finish", "swallow"]),
    max_size=8,
)
moves = st.lists(st.sampled_from(["read", "read", "read", "wait", "stop", "both", "work", "leave"]), max_size=10)


@define(eq=False)
class Run:
    """One provider playing acts, one caller making moves, and what both saw."""

    plays: list[list[Act]]
    moves: list[Move]
    wrapped: bool
    clock: ManualClock = field(factory=ManualClock)
    sent: list[list[Event]] = field(factory=list)
    read: list[Event] = field(factory=list)
    errors: list[BaseException] = field(factory=list)

    async def play(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """The next attempt's acts, each event with a number of its own."""
        number = len(self.sent)
        self.sent.append([])
        for index, act in enumerate(self.plays[min(number, len(self.plays) - 1)]):
            event: Event | None = None
            match act:
                case "text":
                    event = TextDelta(f"{number}.{index}")
                case "route":
                    event = Route("p", f"{number}.{index}")
                case "finish":
                    event = Finish("stop", raw=f"{number}.{index}")
                case "swallow":
                    try:
                        await request.clock.sleep(1)
                    except asyncio.CancelledError:
                        event = TextDelta(f"{number}.{index}")
                case _:
                    await self._wait_or_fail(act, request)
            if event is not None:
                self.sent[-1].append(event)
                yield event

    async def _wait_or_fail(self, act: Act, request: ChatRequest) -> None:
        if act == "busy":
            raise RateLimitError("busy", retry_after=1)
        if act == "fail":
            raise RequestRejectedError("no")
        if act == "crash":
            raise KeyError(act)
        if act == "turn":
            await asyncio.sleep(0)
        else:
            await request.clock.sleep(3 if act == "sleep" else 30)

    async def move(self, move: Move, stream: ChatStream) -> None:
        """Do one thing with the stream; errors are kept."""
        task = asyncio.current_task()
        assert task is not None
        try:
            match move:
                case "read":
                    self.read.append(await anext(stream))
                case "wait":
                    reader = asyncio.ensure_future(anext(stream))
                    await asyncio.sleep(0)
                    reader.cancel()
                    self.read.append(await reader)
                case "stop":
                    reader = asyncio.ensure_future(anext(stream))
                    await asyncio.sleep(0)
                    await stream.aclose()
                    self.read.append(await reader)
                case "both":
                    found = await asyncio.gather(anext(stream), anext(stream), return_exceptions=True)
                    self.read += [item for item in found if not isinstance(item, BaseException)]
                    self.errors += [item for item in found if isinstance(item, BaseException)]
                case "work":
                    await self.clock.sleep(100)
        except (CoreError, RuntimeError, StopAsyncIteration, asyncio.CancelledError) as error:
            self.errors.append(error)
        assert task.cancelling() == 0

    async def run(self) -> Player:
        """Make all moves in one block."""
        player = Player([self.play])
        async with Registry(only=[], clock=self.clock) as registry:
            registry.register(player, "p")
            if self.wrapped:
                registry.register(Log())
            async with registry.stream("p:", "hi", timeouts=Timeouts(first_event=20, idle=10)) as stream:
                for move in self.moves:
                    if move == "leave":
                        break
                    await self.move(move, stream)
            assert player.begun == player.closed
        return player


@given(plays=st.lists(acts, min_size=1, max_size=3), moves=moves, wrapped=st.booleans())
@settings(max_examples=300, deadline=None)
def test_nothing_is_lost_repeated_or_left_open(plays: list[list[Act]], moves: list[Move], *, wrapped: bool) -> None:
    """Whatever happens: every attempt is closed once, one attempt's events come in order, and no task stays behind."""

    async def scenario() -> None:
        run = Run(plays, moves, wrapped=wrapped)
        player = await run.run()
        assert player.begun == player.closed == len(run.sent)
        shown = [event for event in run.read if event in (run.sent[-1] if run.sent else [])]
        assert shown == run.read
        assert run.read == run.sent[-1][: len(run.read)] if run.sent else run.read == []
        assert [event for event in run.read[:-1] if isinstance(event, Finish)] == []
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())
