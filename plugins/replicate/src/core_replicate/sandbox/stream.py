"""The stream of a prediction, framed as the upstream's server (nchan) frames it, and the ways it can go wrong."""

from contextlib import suppress
from typing import Final

from aiohttp import web
from attrs import define, field

from core_replicate.sandbox.prediction import Prediction, StreamEvent

_HELLO: Final = b": hi\n\n"
_TIMED_OUT: Final = b":408: 408 Request Timeout\n"
_BEFORE_FAULT: Final = 3
"""So many events pass before a faulty stream shows its fault; the first one is empty."""


def frame(event: StreamEvent) -> bytes:
    r"""Return an event's bytes: event, id, and a data line for each part between `\n`s; `\r` stays where it is."""
    lines = [f"event: {event.event}", f"id: {event.id}", *(f"data: {line}" for line in event.data.split("\n"))]
    return ("\n".join(lines) + "\n\n").encode()


def position_after(prediction: Prediction, last_event_id: str) -> int:
    """Return the index of the first event after an id; 0 for none, so that everything is replayed.

    Raises:
        ValueError: It is no id.
    """
    if not last_event_id:
        return 0
    second, _, count = last_event_id.partition(":")
    at = (int(second), int(count))
    return sum(1 for event in prediction.events if event.at <= at)


@define(eq=False)
class Reader:
    """One connection to the stream of a prediction."""

    prediction: Prediction
    request: web.Request
    position: int
    response: web.StreamResponse = field(init=False)

    async def serve(self) -> web.StreamResponse:
        """Send what there is and what comes, until `done`, a fault, or too long a silence."""
        headers = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
        self.response = web.StreamResponse(headers=headers)
        self.prediction.connections += 1
        self.prediction.readers += 1
        self.prediction.changed.beat()
        first = self.prediction.connections == 1
        try:
            with suppress(ConnectionResetError):  # the reader left, which it may
                await self.response.prepare(self.request)
                await self.response.write(_HELLO)
                await self._events(first=first)
        finally:
            self.prediction.readers -= 1
            self.prediction.changed.beat()
        return self.response

    async def _events(self, *, first: bool) -> None:
        fault = self.prediction.model.behaviour.stream_fault
        while await self._more():
            event = self.prediction.events[self.position]
            if self.position >= _BEFORE_FAULT and (fault in {"never-done", "expired"} or (first and fault == "close")):
                await self.response.write(_TIMED_OUT if fault == "expired" else b"")
                return
            if self.position >= _BEFORE_FAULT and first and fault == "cut":
                await self._cut(event)
                return
            await self.response.write(frame(event))
            self.position += 1
            if event.event == "done" and fault != "linger":
                return

    async def _more(self) -> bool:
        """Wait for another event; False when there was none for too long, or the sandbox shuts down."""
        prediction, clock = self.prediction, self.prediction.clock
        if self.position < len(prediction.events):
            return True
        until = clock.time() + prediction.delays.idle

        def awake() -> bool:
            return self.position < len(prediction.events) or prediction.closed or clock.time() >= until

        timer = clock.call_at(until, prediction.changed.beat)
        try:
            await prediction.changed.until(awake)
        finally:
            timer.cancel()
        if self.position < len(prediction.events):
            return True
        await self.response.write(b"" if prediction.closed else _TIMED_OUT)
        return False

    async def _cut(self, event: StreamEvent) -> None:
        """Break the connection inside a data line."""
        whole = frame(event)
        await self.response.write(whole[: whole.index(b"data: ") + len(b"data: ") + 1])
        if self.request.transport is not None:
            self.request.transport.close()
