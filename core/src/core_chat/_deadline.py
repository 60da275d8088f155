"""One timeout that is moved and paused, instead of a new timer for every wait."""

import asyncio
import types
from collections.abc import Generator
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from core_chat.clock import Clock, TimerHandle

T = TypeVar("T")


class Step(Protocol):
    """One step of an async generator, as its `__anext__` returns it."""

    def send(self, value: Any, /) -> Any:
        """Go on until the step waits for something, which is returned, or is done (`StopIteration`)."""
        ...

    def throw(self, error: BaseException, /) -> Any:
        """Go on with an error."""
        ...

    def close(self) -> None:
        """Give the step up."""
        ...


class DeadlineExpiredError(TimeoutError):
    """The seconds of a `Deadline` have passed, or its wait was ended by `Deadline.interrupt`."""


class Deadline:
    """Cancels the task that waits when time is up, and tells that cancellation from others.

    `with deadline.running(seconds):` around an `await` raises `DeadlineExpiredError` when the seconds have passed
    before it is done. Between two such blocks no time counts. A timer is set once and moved when it fires, so a block
    costs no timer.
    """

    __slots__ = ("_cancelling", "_clock", "_expired", "_left", "_task", "_timer", "_timer_at", "_when")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._when: float | None = None
        self._timer: TimerHandle | None = None
        self._timer_at = 0.0
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._expired = False
        self._left: asyncio.Event | None = None

    @property
    def waiting(self) -> bool:
        """Whether a task is inside a block."""
        return self._task is not None

    def running(self, seconds: float | None) -> Self:
        """Allow the block that begins here that many seconds; None is for ever."""
        if seconds is not None:
            when = self._when = self._clock.time() + seconds
            if self._timer is None or self._timer_at > when:
                self._set_timer(when)
        task = self._task = asyncio.current_task()
        self._cancelling = 0 if task is None else task.cancelling()
        return self

    @types.coroutine
    def rest_of(self, step: Step, *, waits_for: Any, seconds: float | None) -> Generator[Any, Any, Any]:
        """Return what a step brings that has been begun and waits: the block is this wait.

        A step that brings something without waiting needs no deadline, and most pieces of an answer do: several come
        with one read from the network. So its first `send` is the caller's, and what it waits for is handed in here.
        """
        self.running(seconds)
        try:
            while True:
                try:
                    sent = yield waits_for
                except GeneratorExit:
                    step.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - whatever it is, it is the step's
                    waits_for = step.throw(error)
                else:
                    waits_for = step.send(sent)
        except StopIteration as done:
            self.__exit__(None, None, None)
            return done.value
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    async def interrupt(self) -> None:
        """End the block another task is in as if its time were up; return when it has been left."""
        task = self._task
        if task is None or task is asyncio.current_task():
            return
        if not self._ending():
            self._expired = True
            task.cancel()
        self._left = self._left or asyncio.Event()
        await self._left.wait()

    def _ending(self) -> bool:
        """Whether the block is being left already: cancelled once more, its clean-up would not get done."""
        return self._expired or (self._task is not None and self._task.cancelling() > self._cancelling)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._clock.call_at(when, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._when is None or self._task is None or self._ending():
            return
        if self._clock.time() < self._when:
            self._set_timer(self._when)
        elif self._task is asyncio.current_task():
            # A clock moved by the task that waits: cancelled now, it would notice only after the block.
            asyncio.get_running_loop().call_soon(self._fire)
        else:
            self._expired = True
            self._task.cancel()

    def __enter__(self) -> None:
        """Do nothing: the block began with `running`."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._task
        self._task = self._when = None
        if self._left is not None:
            self._left.set()
            self._left = None
        if not self._expired:
            return
        self._expired = False
        if task is not None and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise DeadlineExpiredError from error

    def close(self) -> None:
        """Drop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
