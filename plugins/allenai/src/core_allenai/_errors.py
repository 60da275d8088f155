"""What the service's refusals and in-stream failures mean, in both families of error bodies."""

import re
from collections.abc import Mapping
from typing import Any

from core_chat.errors import (
    ContentFilteredError,
    ContextLengthError,
    ConversationExpiredError,
    IncompleteStreamError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    RequestRejectedError,
    UnavailableError,
)
from core_chat.http import Failure

_CONTEXT = re.compile(r"maximum context length|context.{0,3}length|prompt is too long", re.IGNORECASE)
_PARENT_GONE = re.compile(
    r"parent message \S* *(?:was )?(?:does )?not (?:found|exist)|to access it as a parent|has an invalid root",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"invalid model\b|^model with id .* not found|isn't available yet|unsupported model host", re.IGNORECASE
)
_BACKEND_STATUS = re.compile(r"status_code: ?(\d{3})")
_FOREIGN = re.compile(r"not creator|not created by|permission to access", re.IGNORECASE)
_CAPTCHA = (
    "the Playground wants a reCAPTCHA solved, which a program cannot do: "
    "use https://playground.allenai.org in a browser, or sign in and pass a token"
)
_OWNER = "this conversation belongs to somebody else: another anonymous id or another token began it"


class RouteMissingError(UnavailableError):
    """The server does not have this generation of the API."""


def is_own_problem(data: Any) -> bool:
    """Whether a body is one of the service's own problems (RFC 9457), and not its framework's "no such route"."""
    kind = data.get("type") if isinstance(data, Mapping) else None
    return isinstance(kind, str) and not kind.startswith(("http-", "about:"))


def refine(failure: Failure) -> ProviderError | None:
    """Return the exact error for a refused request, or None where the status alone says it."""
    text = told(failure)
    if failure.status in (404, 405) and not is_own_problem(failure.data):
        return failure.error(RouteMissingError, f"this server has no such endpoint: {text}")
    if failure.status == 403:  # noqa: PLR2004 - the status codes of RFC 9110 need no names
        return _forbidden(failure, text)
    if failure.status in (400, 404, 422):
        return _refused(failure, text)
    return None


def _refused(failure: Failure, text: str) -> ProviderError | None:
    """The two families tell the same things, one by the sentence alone, the other by a type too."""
    if "captcha" in f"{failure.code} {text}".lower():
        return failure.error(PermissionDeniedError, _CAPTCHA, reason="captcha")
    if "inappropriate" in f"{failure.code} {text}".lower():
        return failure.error(ContentFilteredError, f"the Playground's moderation refused the message: {text}")
    if _PARENT_GONE.search(text) or failure.code == "invalid-parent":
        return failure.error(ConversationExpiredError, "the Playground has forgotten this conversation")
    if _NO_MODEL.search(text) or failure.code in ("model-not-found", "model-not-available"):
        return failure.error(ModelNotFoundError, text)
    return None if _CONTEXT.search(text) else failure.error(RequestRejectedError, text)


def _forbidden(failure: Failure, text: str) -> ProviderError:
    if failure.data is None:
        return failure.error(PermissionDeniedError, reason="blocked")
    if _FOREIGN.search(text):
        return failure.error(PermissionDeniedError, _OWNER, reason="owner")
    return failure.error(PermissionDeniedError, text)


def told(failure: Failure) -> str:
    """Return the sentence of a refusal; of v4's validation the parts instead of the dump around them."""
    error = failure.data.get("error") if isinstance(failure.data, Mapping) else None
    parts = error.get("validation_errors") if isinstance(error, Mapping) else None
    if parts is None and isinstance(failure.data, Mapping):
        parts = failure.data.get("errors")
    if isinstance(parts, list) and (sentences := [_part(part) for part in parts if isinstance(part, Mapping)]):
        return "; ".join(sentences)
    return failure.text


def _part(part: Mapping[str, Any]) -> str:
    where = ".".join(str(step) for step in part.get("loc") or ())
    text = str(part.get("msg", "")).removeprefix("Value error, ")
    return f"{where}: {text}" if where else text


_BY_REASON: dict[str, type[ProviderError]] = {
    "length": ContextLengthError,
    "value error": RequestRejectedError,
    "unclosed stream": IncompleteStreamError,
    "aborted": IncompleteStreamError,
    "tool error": ProviderError,
    "toolCallError": ProviderError,
}


def stream_error(text: str, *, reason: str = "") -> ProviderError:
    """Return the error for a failure told inside an answer; the reason is v4's, v5's code, or what a message keeps."""
    text = text or reason or "the answer failed"
    if text.isidentifier():
        text = f"the Playground failed with {text}"
    if _CONTEXT.search(text):
        return ContextLengthError(text)
    if _NO_MODEL.search(text):
        return ModelNotFoundError(text)
    if "inappropriate" in text.lower():
        return ContentFilteredError(text)
    if status := _BACKEND_STATUS.search(text):
        return _backend_error(text, status=int(status[1]))
    return _BY_REASON.get(reason, UnavailableError)(text)


def _backend_error(text: str, *, status: int) -> ProviderError:
    """The model's own server failed; its 401 or 404 are the service's affair and not the caller's."""
    if status == 429:  # noqa: PLR2004 - the status codes of RFC 9110 need no names
        return RateLimitError(text, status=status, retry_after=Failure(status, body=text.encode()).retry_after)
    if status in (400, 413, 422):
        return RequestRejectedError(text, status=status)
    return UnavailableError(text, status=status)
