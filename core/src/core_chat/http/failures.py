"""From a failed HTTP exchange to the error that says what it means."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from attrs import define, field
from multidict import CIMultiDict

from core_chat.clock import SYSTEM_CLOCK, Clock
from core_chat.errors import (
    AuthenticationError,
    ContentFilteredError,
    ContextLengthError,
    ModelNotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    RequestRejectedError,
    TimedOutError,
    UnavailableError,
)
from core_chat.http.waits import wait_in_body, wait_in_headers, wait_in_text

E = TypeVar("E", bound=ProviderError)
_LONGEST_TEXT = 500
_TITLE = re.compile(rb"<title[^>]{0,200}>(.{0,300}?)</title>", re.IGNORECASE | re.DOTALL)
_DEEPEST = 20
_CONTEXT = re.compile(
    r"context.{0,3}length|maximum context|context window|too many tokens|prompt is too long|inputs` tokens|"
    r"reduce the length",
    re.IGNORECASE,
)


def _headers(given: Mapping[str, str]) -> Mapping[str, str]:
    return CIMultiDict(given)


def redact(text: str, secrets: Iterable[str | None]) -> str:
    """Return a text that somebody else wrote with these credentials cut out."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[redacted]")
    return text


@define(eq=False)
class Failure:
    """An answer with an error status (or an error inside a good one), read once, in every place vendors hide things.

    `secrets` are cut out of every text.
    """

    status: int
    headers: Mapping[str, str] = field(factory=dict, repr=False, converter=_headers)
    body: bytes = field(default=b"", repr=False)
    reason: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    clock: Clock = field(default=SYSTEM_CLOCK, repr=False)
    data: Any = field(init=False, repr=False, default=None)

    def __attrs_post_init__(self) -> None:
        try:
            self.data = json.loads(self.body)
        except (ValueError, RecursionError):
            self.data = None

    @property
    def text(self) -> str:
        """The upstream's own words, cut to a readable length, or the status line where it said nothing."""
        found = message_in(self.data) or self._plain_text() or self.headers.get("x-error-message") or self.reason
        found = " ".join(str(found).split()) or f"HTTP status {self.status}"
        found = redact(found, self.secrets)
        found = "".join(character if character.isprintable() else "\ufffd" for character in found)
        return found if len(found) <= _LONGEST_TEXT else f"{found[:_LONGEST_TEXT]}…"

    def _plain_text(self) -> str:
        if self.data is not None or not self.body:
            return ""
        if title := _TITLE.search(self.body):
            return f"an HTML page titled {' '.join(title[1].decode('utf-8', 'replace').split())!r}"
        if self.body.lstrip()[:1] == b"<":
            return "an HTML page"
        return self.body.decode("utf-8", "replace")

    @property
    def code(self) -> str:
        """The machine-readable code or type of the error, or an empty text."""
        places = [self.data, self.data.get("error")] if isinstance(self.data, Mapping) else []
        for place in reversed(places):
            if isinstance(place, Mapping):
                for key in ("code", "type", "error_type"):
                    if isinstance(place.get(key), str):
                        return str(place[key])
        return ""

    @property
    def request_id(self) -> str | None:
        """The upstream's id of the request."""
        for name in ("x-request-id", "request-id", "cf-ray"):
            if self.headers.get(name):
                return self.headers[name]
        return None

    @cached_property
    def retry_after(self) -> float | None:
        """Seconds to wait: from the headers, then the body, then the text."""
        found = (wait_in_headers(self.headers, self.clock), wait_in_body(self.data), wait_in_text(self.text))
        return next((seconds for seconds in found if seconds is not None), None)

    def error(self, kind: type[E], text: str | None = None, **details: Any) -> E:
        """Return an error of that class with everything this failure knows."""
        details = {"status": self.status, "request_id": self.request_id, "retry_after": self.retry_after} | details
        return kind(text or self.text, **details)

    def default_error(self) -> ProviderError:
        """Return what the status and the body mean with most vendors."""
        if self.status in (400, 413, 422) and (self.code == "context_length_exceeded" or _CONTEXT.search(self.text)):
            return self.error(ContextLengthError)
        if self.code in ("content_filter", "content_policy_violation"):
            return self.error(ContentFilteredError)
        if self.code == "rate_limit_exceeded":
            return self.error(RateLimitError)
        if self.code == "model_not_found":
            return self.error(ModelNotFoundError)
        if self.status == 503:  # noqa: PLR2004 - the status codes of RFC 9110 need no names
            loading = "loading" in self.text.lower()
            return self.error(UnavailableError, retryable=loading or self.retry_after is not None)
        return self.error(_BY_STATUS.get(self.status, UnavailableError if self.status >= 500 else RequestRejectedError))  # noqa: PLR2004


_BY_STATUS: dict[int, type[ProviderError]] = {
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: ModelNotFoundError,
    407: UnavailableError,
    408: TimedOutError,
    410: ModelNotFoundError,
    424: UnavailableError,
    429: RateLimitError,
    504: TimedOutError,
}


def message_in(data: Any) -> str:
    """Return the sentence in a JSON error body, in whichever of the known places it stands, or an empty text."""
    return _message_in(data, _DEEPEST)


def _message_in(data: Any, depth: int) -> str:
    if isinstance(data, str):
        return data
    if not depth:
        return ""
    if isinstance(data, list):
        return "; ".join(filter(None, (_message_in(item, depth - 1) for item in data)))
    if not isinstance(data, Mapping):
        return ""
    for key in ("error", "error_description", "errors", "message", "detail", "msg", "title"):
        if found := _message_in(data.get(key), depth - 1):
            where = data.get("loc")
            return f"{'.'.join(map(str, where))}: {found}" if key == "msg" and isinstance(where, list) else found
    return ""
