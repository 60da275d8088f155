"""The upstream's rate limits, and the two request headers that say how long a create may take."""

import math
import re

from attrs import define, field

from core_chat.clock import Clock

_PARTS = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_LONGEST_WAIT = 60
_SHORTEST_LIFE = 5


@define(eq=False)
class RateLimit:
    """A bucket of so many requests that is refilled within a minute."""

    capacity: int
    clock: Clock = field(kw_only=True, repr=False)
    _left: float = field(init=False)
    _at: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.capacity
        self._at = self.clock.time()

    def take(self) -> bool:
        """Count one request; False when it is one too many."""
        now = self.clock.time()
        self._left = min(self.capacity, self._left + (now - self._at) * self.capacity / 60)
        self._at = now
        allowed = self._left >= 1
        self._left = max(0.0, self._left - 1)
        return allowed

    @property
    def reset(self) -> int:
        """Seconds until the bucket is full again."""
        return math.ceil((self.capacity - self._left) * 60 / self.capacity)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that show the limit."""
        return {"ratelimit-remaining": str(int(self._left)), "ratelimit-reset": str(self.reset)}


def wait_seconds(prefer: str) -> int | None:
    """Read a `Prefer` header: seconds from 1 to 60, 60 for a bare `wait`; None when nothing (valid) is asked."""
    for preference in prefer.split(","):
        name, _, value = preference.strip().partition("=")
        if name == "wait" and not value:
            return _LONGEST_WAIT
        if name == "wait" and value.isdecimal() and 1 <= int(value) <= _LONGEST_WAIT:
            return int(value)
    return None


def cancel_after_seconds(value: str) -> int | None:
    """Read a `Cancel-After` header such as `30s`, `5m`, `1h30m45s` or `90`; None when it is none or under 5 seconds."""
    match = _PARTS.fullmatch(value.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    return total if total >= _SHORTEST_LIFE else None
