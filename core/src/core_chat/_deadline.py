"""One timeout that is moved and paused, instead of a new timer for every wait."""

import asyncio
from types import TracebackType
from typing import Self

from core_chat.clock import Clock, TimerHandle


class DeadlineExpiredError(TimeoutError):
    """The seconds of a `Deadline` have passed."""


class Deadline:
    """Cancels the task that waits when time is up, and tells that cancellation from others.

    `with deadline.running(seconds):` around an `await` raises `DeadlineExpiredError` when the seconds have passed
    before it is done. Between two such blocks no time counts. A timer is set once and moved when it fires, so a block
    costs no timer.
    """

    __slots__ = ("_cancelling", "_clock", "_expired", "_task", "_timer", "_timer_at", "_when")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._when: float | None = None
        self._timer: TimerHandle | None = None
        self._timer_at = 0.0
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._expired = False

    def running(self, seconds: float | None) -> Self:
        """Allow the coming block that many seconds; None is for ever."""
        if seconds is None:
            self._when = None
            return self
        when = self._when = self._clock.time() + seconds
        if self._timer is None or self._timer_at > when:
            self._set_timer(when)
        return self

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._clock.call_at(when, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._when is None or self._task is None:
            return
        if self._clock.time() < self._when:
            self._set_timer(self._when)
            return
        self._expired = True
        self._task.cancel()

    def __enter__(self) -> None:
        task = self._task = asyncio.current_task()
        self._cancelling = 0 if task is None else task.cancelling()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task, self._when = self._task, None, None
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
