"""When a failed call is tried again, and after how long."""

from core_chat.clock import Clock
from core_chat.errors import Attempt, ProviderError
from core_chat.requests import Retry

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0
_LEAST_SPREAD = 0.1


class Tries:
    """What was tried in one call, and whether to try again."""

    __slots__ = ("_attempts", "_clock", "_retry", "_target", "_waited", "made")

    def __init__(self, retry: Retry, *, target: str, clock: Clock) -> None:
        self._retry = retry
        self._target = target
        self._clock = clock
        self._attempts: list[Attempt] = []
        self._waited = 0.0
        self.made = 0

    def note(self, error: ProviderError) -> None:
        """Remember a failure: what a provider tried by itself is part of it."""
        self._attempts.extend(error.attempts or [error.as_attempt(self._target)])

    def told_by(self, error: BaseException) -> BaseException:
        """Return the error that is raised in the end, telling of all that was tried where that was more than once."""
        if isinstance(error, ProviderError) and len(self._attempts) > 1:
            error.attempts = tuple(self._attempts)
        return error

    def wait(self, error: BaseException, *, left: float | None) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up; a wait of `left` seconds is too long.

        What the upstream asked for is honoured, a little is added so that callers spread; without it the wait doubles
        each time. A wait that would pass the budget is not begun.
        """
        if not isinstance(error, ProviderError):
            return None
        self.made += 1
        if not error.retryable or self.made >= self._retry.attempts:
            return None
        wait = self._seconds(error.retry_after, budget=self._retry.budget - self._waited)
        if wait is None or (left is not None and wait >= left):
            return None
        self._waited += wait
        return wait

    def _seconds(self, asked: float | None, *, budget: float) -> float | None:
        if asked is None or not asked >= 0:
            doubled = _FIRST_WAIT * 2.0 ** min(self.made - 1, 10)
            wait = min(_LONGEST_WAIT, doubled) * (0.5 + self._clock.random())
            return None if wait > budget else wait
        return None if asked > budget else min(budget, asked + max(_LEAST_SPREAD, 0.1 * asked) * self._clock.random())
