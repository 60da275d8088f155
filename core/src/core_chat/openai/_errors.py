"""Errors inside HTTP 200, in every shape they come in."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from core_chat.errors import ProviderError
from core_chat.http.failures import Failure, message_in

Refine: TypeAlias = Callable[[Failure], ProviderError | None]
_SERVER_ERROR = 500
_STATUS_OF: dict[str, int] = {
    "authentication_error": 401,
    "bad_request": 400,
    "incomplete_generation": 424,
    "insufficient_quota": 402,
    "invalid_api_key": 401,
    "invalid_request_error": 400,
    "model_not_found": 404,
    "overloaded": 429,
    "overloaded_error": 429,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "template_error": 422,
    "timeout": 504,
    "validation": 422,
}


def looks_like_error(value: Any) -> bool:
    """Whether JSON without any answer in it says what went wrong."""
    return bool(message_in(value))


def stream_error(
    data: bytes, *, secrets: tuple[str, ...], refine: Refine, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """Return the error that the data of an event, or a body sent with HTTP 200, tells of.

    Its status is the one the data names, and None where it names none. The answer's headers may add to it.
    """
    status = next(_statuses(data), None)
    failure = Failure(
        status or _SERVER_ERROR, headers=headers or {}, body=data, reason="an error without a text", secrets=secrets
    )
    if status is None:
        failure.status = _STATUS_OF.get(failure.code.lower(), _SERVER_ERROR)
    error = refine(failure) or failure.default_error()
    error.status = status
    return error


def _statuses(data: bytes) -> Iterator[int]:
    """Yield the HTTP statuses that an error names, the innermost first."""
    try:
        value = json.loads(data)
    except ValueError:
        return
    inner = value.get("error") if isinstance(value, Mapping) else None
    for place in (inner, value):
        if isinstance(place, Mapping):
            for key in ("http_status_code", "status_code", "status", "code"):
                text = str(place.get(key))
                if text.isdecimal() and 400 <= int(text) < 600:  # noqa: PLR2004 - the error statuses of RFC 9110
                    yield int(text)
