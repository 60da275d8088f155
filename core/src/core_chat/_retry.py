"""When a failed call is tried again, and after how long."""

from core_chat.clock import Clock
from core_chat.errors import ProviderError
from core_chat.requests import Retry

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0
_LEAST_SPREAD = 0.1


def wait_before_retry(retry: Retry, error: ProviderError, *, tried: int, waited: float, clock: Clock) -> float | None:
    """Return the seconds to wait before the next attempt, or None to give up.

    What the upstream asked for is honoured, a little is added so that callers spread; without it the wait doubles each
    time. A wait that would pass the budget is not begun.
    """
    if not error.retryable or tried >= retry.attempts:
        return None
    left = retry.budget - waited
    asked = error.retry_after
    if asked is None or not asked >= 0:
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(tried - 1, 10)) * (0.5 + clock.random())
        return None if wait > left else wait
    return None if asked > left else min(left, asked + max(_LEAST_SPREAD, 0.1 * asked) * clock.random())
