"""The error answers of the upstream, as exceptions that the routes raise."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from core_replicate.sandbox.validation import Fault


class ProblemError(Exception):
    """An answer other than the one asked for; it is sent as it is."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(f"HTTP {response.status}")
        self.response = response


def problem(status: int, /, *, headers: Mapping[str, str] | None = None, **body: Any) -> ProblemError:
    """Return an `application/problem+json` answer; the body's `status` is added."""
    content = json.dumps({**body, "status": status}).encode()
    kind = {"Content-Type": "application/problem+json"}
    return ProblemError(web.Response(status=status, body=content, headers={**kind, **(headers or {})}))


def unauthenticated() -> ProblemError:
    """Return the answer to a missing or wrong token."""
    return problem(401, title="Unauthenticated", detail="You did not pass a valid authentication token")


def not_found(detail: str = "The requested resource could not be found.") -> ProblemError:
    """Return the answer to a path, model or prediction that is not there."""
    return problem(404, detail=detail)


def no_versions() -> ProblemError:
    """Return the answer to a question for the versions of an official model."""
    return problem(
        404, title="Not found", detail="This model is an official model and does not expose a list of versions."
    )


def invalid_version() -> ProblemError:
    """Return the answer to a version that does not exist, or that may not be run by its id."""
    detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
    return problem(422, title="Invalid version or not permitted", detail=detail)


def invalid(faults: Iterable[Fault]) -> ProblemError:
    """Return the answer to a body that breaks its schema."""
    found = list(faults)
    detail = "".join(fault.line for fault in found)
    return problem(
        422, title="Input validation failed", detail=detail, invalid_fields=[fault.as_json() for fault in found]
    )


def streaming_unsupported() -> ProblemError:
    """Return the answer to `stream: true` for a model whose output is no stream of text."""
    detail = "Streaming not supported for the output type of the requested version."
    return problem(422, title="Invalid request", detail=detail)


def throttled(seconds: int) -> ProblemError:
    """Return the answer to too many requests: the wait is in the body and in the text, not in a header."""
    detail = (
        "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute with a "
        f"burst of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~{seconds}s."
    )
    return problem(429, detail=detail, retry_after=seconds)
