"""Reading what a request brings: its body, its headers and its query."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

from aiohttp import web

from core_replicate.sandbox.limits import cancel_after_seconds
from core_replicate.sandbox.problems import invalid, problem
from core_replicate.sandbox.validation import check_body

_OPTIONAL = ("webhook", "webhook_completed", "webhook_events_filter", "stream")


async def read_body(request: web.Request, *, required: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the body of a create request.

    Raises:
        ProblemError: It is no JSON object (400), or a key is missing, unknown or of the wrong type (422).
    """
    try:
        body = json.loads(await request.read(), parse_constant=_refuse)
    except ValueError:
        raise problem(400, title="Bad request", detail="The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise problem(400, title="Bad request", detail="The body is not a JSON object.")
    if faults := check_body(body, required=required, allowed=(*required, *_OPTIONAL)):
        raise invalid(faults)
    return body


def read_cancel_after(request: web.Request) -> int | None:
    """Return the seconds of the `Cancel-After` header, None without one.

    Raises:
        ProblemError: It cannot be read, or is too short (422).
    """
    value = request.headers.get("Cancel-After")
    if value is None:
        return None
    seconds = cancel_after_seconds(value)
    if seconds is None:
        raise problem(422, title="Invalid header", detail="Cancel-After must be a duration of 5 seconds or more.")
    return seconds


def read_moment(request: web.Request, name: str) -> float | None:
    """Return a time from the query in seconds since 1970, None without one.

    Raises:
        ProblemError: It is no time (400).
    """
    if name not in request.query:
        return None
    try:
        return datetime.fromisoformat(request.query[name]).timestamp()
    except ValueError:
        raise problem(400, title="Bad request", detail=f"{name} must be an ISO 8601 date and time.") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
