"""How long an upstream asks to wait, in every place where vendors say so."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from core_chat.clock import Clock

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(
    r"[\s,]*(\d+(?:\.\d+)?)\s*(?:(?P<ms>milliseconds?|msecs?|ms)|(?P<s>seconds?|secs?|s)|(?P<m>minutes?|mins?|m)"
    r"|(?P<h>hours?|hrs?|h)|(?P<d>days?|d))(?![a-z])",
    re.IGNORECASE,
)
_ASKED = re.compile(r"(?:try again|retry|retrying|resets?|wait)\b\D{0,20}?(?=\d)", re.IGNORECASE)
_QUOTA = re.compile(r"\br=(\d+)\s*;\s*t=(\d+)")


def _number(value: object) -> float | None:
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def wait_in_headers(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Return the seconds that headers ask for.

    `Retry-After` as seconds or a date (RFC 9110, section 10.2.3), `retry-after-ms`, and of a used-up quota its reset:
    `RateLimit` as the Hugging Face Hub sends it, `ratelimit-reset` as Replicate does.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is not None:
        seconds = _number(value)
        if seconds is None:
            seconds = _until(value, clock)
        if seconds is not None:
            return seconds
    resets = [float(reset) for left, reset in _QUOTA.findall(headers.get("ratelimit", "")) if int(left) == 0]
    if resets:
        return max(resets)
    if headers.get("ratelimit-remaining") == "0":
        return _number(headers.get("ratelimit-reset"))
    return None


def _until(date: str, clock: Clock) -> float | None:
    try:
        when = parsedate_to_datetime(date)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)  # an HTTP date is always in GMT
        return max(0.0, when.timestamp() - clock.now())
    except (ValueError, TypeError, OverflowError):
        return None


def wait_in_body(data: Any) -> float | None:
    """Return the seconds that a JSON error body asks for, in the places known to be used."""
    if not isinstance(data, Mapping):
        return None
    for place in (data, *(data.get(key) for key in ("error", "parameters", "metadata"))):
        if isinstance(place, Mapping):
            for key in ("retry_after", "retry_after_seconds", "estimated_time"):
                if (seconds := _number(place.get(key))) is not None:
                    return seconds
    return None


def wait_in_text(text: str) -> float | None:
    """Return the seconds that a sentence asks for, such as "try again in 1m30.5s" or "resets in ~5s"."""
    asked = _ASKED.search(text)
    while asked is not None:
        total, position = 0.0, asked.end()
        while span := _SPAN.match(text, position):
            total += float(span[1]) * _SECONDS[str(span.lastgroup)]
            position = span.end()
        if position > asked.end():
            return total
        asked = _ASKED.search(text, asked.end())
    return None
