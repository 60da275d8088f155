"""When a failed call is tried again, and after how long."""

from core_chat.clock import Clock
from core_chat.errors import ProviderError
from core_chat.requests import Retry

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0


def wait_before_retry(retry: Retry, error: ProviderError, *, tried: int, waited: float, clock: Clock) -> float | None:
    """Return the seconds to wait before the next attempt, or None to give up.

    What the upstream asked for is honoured, a little is added so that callers spread; without it the wait doubles each
    time. A wait that would pass the budget is not begun.
    """
    if not error.retryable or tried >= retry.attempts:
        return None
    if error.retry_after is None:
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (tried - 1)) * (0.5 + clock.random())
    else:
        wait = error.retry_after * (1 + 0.1 * clock.random())
    asked = wait if error.retry_after is None else error.retry_after
    return None if waited + asked > retry.budget else wait
