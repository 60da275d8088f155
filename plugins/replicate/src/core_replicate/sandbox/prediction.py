"""One prediction: its state, and how it runs."""

import asyncio
import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from core_chat.clock import Clock
from core_replicate.sandbox.answers import count_input
from core_replicate.sandbox.models import Delays, Model
from core_replicate.sandbox.pulse import Pulse


def _opaque(size: int) -> str:
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()


@frozen
class StreamEvent:
    """One event of a prediction's stream; `at` is its id as numbers."""

    at: tuple[int, int]
    event: str
    data: str

    @property
    def id(self) -> str:
        """The id on the wire: the second, and a count within it."""
        return f"{self.at[0]}:{self.at[1]}"


@define(eq=False, kw_only=True)
class Prediction:
    """One prediction; a test may read everything.

    Attributes:
        headers: Those of the create request.
        body: That of the create request.
        pieces: What it will have given when it has succeeded.
        output: What it has given so far.
        stream_path: The opaque part of `urls.stream`.
        cancel_requested: Whether a cancel was posted, were it too late or not.
        connections: How often its stream was opened; `readers` of these are still open.
    """

    model: Model
    version: str
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)
    origin: str
    deployment: str | None = None
    pieces: list[str] = field(factory=list, repr=False)
    delays: Delays = field(factory=Delays, repr=False)
    clock: Clock = field(repr=False)
    id: str = field(factory=lambda: _opaque(16))
    stream_path: str = field(factory=lambda: _opaque(32))
    status: str = "starting"
    output: list[str] = field(factory=list)
    events: list[StreamEvent] = field(factory=list, repr=False)
    changed: Pulse = field(factory=Pulse, repr=False)
    logs: str = ""
    error: str | None = None
    cancel_requested: bool = False
    connections: int = 0
    readers: int = 0
    closed: bool = False
    deadline: float | None = None
    created: float = field(init=False)
    started: float | None = None
    completed: float | None = None

    def __attrs_post_init__(self) -> None:
        self.created = self.clock.now()

    @property
    def input(self) -> Mapping[str, Any]:
        """The input as it was sent."""
        given: Mapping[str, Any] = self.body.get("input", {})
        return given

    @property
    def finished(self) -> bool:
        """Whether its status is final."""
        return self.completed is not None

    async def run(self) -> None:
        """Go from `starting` to the end that the model's behaviour says."""
        behaviour = self.model.behaviour
        await self.clock.sleep(self.delays.slow_start if behaviour.slow_start else self.delays.start)
        if behaviour.ends == "aborted":
            self.finish("aborted")
            return
        self.status, self.started = "processing", self.clock.now()
        self.changed.beat()
        for piece in self.pieces[: behaviour.stops_after]:
            await self.clock.sleep(self.delays.token)
            self._emit("output", piece)
            self.output.append(piece)
        if behaviour.ends == "never":
            await asyncio.Event().wait()
        self.finish(behaviour.ends, error=behaviour.error)

    def finish(self, status: str, *, error: str | None = None) -> None:
        """End with a final status; a prediction ends once."""
        if self.finished:
            return
        self.status, self.error, self.completed = status, error, self.clock.now()
        if self.model.counts_in_logs:
            counts = self.count_tokens()
            self.logs += f"Input token count: {counts[0]}\nOutput token count: {counts[1]}\n"
        if error is not None:
            self.logs += f"Traceback: {error}\n"
            self._emit("error", error if self.model.behaviour.plain_error else json.dumps({"detail": error}))
        reason = {"succeeded": None, "failed": "error"}.get(status, "canceled")
        self._emit("done", json.dumps({"reason": reason} if reason else {}))

    async def finished_within(self, seconds: float) -> bool:
        """Wait so long for a final status, and return whether it has one."""
        until = self.clock.time() + seconds
        timer = self.clock.call_at(until, self.changed.beat)
        try:
            await self.changed.until(lambda: self.finished or self.closed or self.clock.time() >= until)
        finally:
            timer.cancel()
        return self.finished

    def close(self) -> None:
        """Let the readers of the stream go; the sandbox is shutting down."""
        self.closed = True
        self.changed.beat()

    def count_tokens(self) -> tuple[int, int]:
        """Return the tokens of the input, which are words here, and of the output."""
        return count_input(self.model, self.input), sum(1 for piece in self.output if piece)

    def _emit(self, event: str, data: str) -> None:
        second = int(self.clock.now())
        last = self.events[-1].at if self.events else (0, 0)
        at = (second, 0) if second > last[0] else (last[0], last[1] + 1)
        self.events.append(StreamEvent(at, event, data))
        self.changed.beat()
