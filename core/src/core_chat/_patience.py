"""How long one call waits for its upstream: for the first piece, from piece to piece, altogether."""

from collections.abc import AsyncGenerator
from typing import Any

from core_chat._deadline import Deadline, DeadlineExpiredError, Step
from core_chat.clock import Clock
from core_chat.errors import RegistryClosedError, TimedOutError, TimeoutKind
from core_chat.events import Event
from core_chat.requests import Timeouts

_TOLD = {"first_event": "no answer came within", "idle": "nothing came for", "total": "the answer took more than"}


class Patience:
    """The deadlines of one call; time counts only in here, while something is waited for.

    Attributes:
        deadline: What a wait runs under.
        left: Seconds left of `total`, or None where there is no such limit.
    """

    __slots__ = ("_clock", "_closed", "_timeouts", "deadline", "left")

    def __init__(self, timeouts: Timeouts, clock: Clock) -> None:
        self._timeouts = timeouts
        self._clock = clock
        self._closed = False
        self.deadline = Deadline(clock)
        self.left = timeouts.total

    async def next(self, source: AsyncGenerator[Event, None], *, seconds: float | None, which: TimeoutKind) -> Event:
        """Return the next event of a generator, waiting that long for it at most.

        Raises:
            TimedOutError: It did not come in time.
            RegistryClosedError: The wait was ended by `end`.
            StopAsyncIteration: There is none.
        """
        step: Step = source.__anext__()
        try:
            waits_for = step.send(None)
        except StopIteration as ready:
            event: Event = ready.value
            return event
        return await self.rest_of(step, waits_for, seconds=seconds, which=which)

    async def rest_of(self, step: Step, waits_for: Any, *, seconds: float | None, which: TimeoutKind) -> Event:
        """Return the event of a step that waits; only this takes of the time the upstream has."""
        left = self.left
        if left is None:
            return await self._under_deadline(step, waits_for, seconds=seconds, which=which)
        began = self._clock.time()
        try:
            if seconds is None or left < seconds:
                seconds, which = left, "total"
            return await self._under_deadline(step, waits_for, seconds=seconds, which=which)
        finally:
            self.left = max(0.0, left - (self._clock.time() - began))

    async def _under_deadline(self, step: Step, waits_for: Any, *, seconds: float | None, which: TimeoutKind) -> Event:
        try:
            event: Event = await self.deadline.rest_of(step, waits_for=waits_for, seconds=seconds)
        except DeadlineExpiredError as error:
            raise self.too_late(which, error) from error
        return event

    async def pause(self, seconds: float) -> None:
        """Wait between two attempts.

        Raises:
            RegistryClosedError: The wait was ended by `end`.
        """
        if self.left is not None:
            self.left -= seconds
        try:
            with self.deadline.running(None):
                await self._clock.sleep(seconds)
        except DeadlineExpiredError as error:
            raise self.too_late("total", error) from error

    def too_late(self, which: TimeoutKind, cause: DeadlineExpiredError) -> Exception:
        """Return the error for a wait that was too long, or was ended."""
        found: Exception = RegistryClosedError("the stream was closed while it was read")
        if not self._closed:
            found = TimedOutError(f"{_TOLD[which]} {getattr(self._timeouts, which):g} s", timeout=which)
        found.__cause__ = cause
        return found

    async def end(self) -> None:
        """End the wait of another task, and return when it has been left."""
        self._closed = True
        await self.deadline.interrupt()
