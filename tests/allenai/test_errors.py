"""What refusals mean, in both families of bodies and from the ingress."""

import json
from typing import Any

import pytest

from core_allenai._errors import RouteMissingError, refine, stream_error, told
from core_chat import (
    AuthenticationError,
    ContentFilteredError,
    ContextLengthError,
    ConversationExpiredError,
    IncompleteStreamError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    RequestRejectedError,
    TimedOutError,
    UnavailableError,
)
from core_chat.http import Failure


def v4(message: str, *, status: int = 400, parts: list[dict[str, Any]] | None = None) -> Failure:
    """A refusal of v4."""
    error = {"code": status, "message": message} | ({} if parts is None else {"validation_errors": parts})
    return Failure(status, body=json.dumps({"error": error}).encode())


def v5(kind: str, detail: str = "", *, status: int = 422, **more: Any) -> Failure:
    """A refusal of v5."""
    body = {"type": kind, "title": "A title", "status": status, "detail": detail} | more
    return Failure(status, body=json.dumps(body).encode())


def page(status: int, title: str) -> Failure:
    """A page of the ingress."""
    return Failure(status, body=f"<html><head><title>{title}</title></head></html>".encode())


def error_of(failure: Failure) -> ProviderError:
    """The error that is raised."""
    return refine(failure) or failure.default_error()


CAPTCHA = "Value error, Failed to evaluate captcha. Please reload the page and try again."
PARENT = "Value error, Parent message msg_1 not found"
CASES: list[tuple[Failure, type[ProviderError]]] = [
    (v4("Invalid model nope"), ModelNotFoundError),
    (v4("Invalid model/host combination"), ModelNotFoundError),
    (v4("This model isn't available yet"), ModelNotFoundError),
    (v5("model-not-found", "Model with ID 'nope' not found"), ModelNotFoundError),
    (v5("model-not-available", "This model isn't available yet"), ModelNotFoundError),
    (v5("unprocessable-problem", "Model with ID 'nope' not found"), ModelNotFoundError),
    (v5("model-not-found", "Model with ID 'nope' not found", status=404), ModelNotFoundError),
    (
        v4("1 validation error", parts=[{"loc": [], "msg": "Value error, Parent message msg_1 not found"}]),
        ConversationExpiredError,
    ),
    (v4("Parent message  not found"), ConversationExpiredError),
    (v5("unprocessable-problem", "Parent message msg_1 not exist"), ConversationExpiredError),
    (
        v5("invalid-parent", "Message with ID msg_1 was not found when trying to access it as a parent"),
        ConversationExpiredError,
    ),
    (v4("1 validation error", parts=[{"loc": [], "msg": "Message has an invalid root m"}]), ConversationExpiredError),
    (v5("invalid-parent", "gone"), ConversationExpiredError),
    (v4("Parent and child must have different roles"), RequestRejectedError),
    (v5("unprocessable-problem", "Visibility must be identical for all messages in a thread"), RequestRejectedError),
    (v4("inappropriate_prompt_text"), ContentFilteredError),
    (v4("inappropriate_prompt_file"), ContentFilteredError),
    (v5("inappropriate_prompt_text"), ContentFilteredError),
    (v5("inappropriate_file"), ContentFilteredError),
    (v5("bad-request-problem", "Text was flagged as inappropriate", status=400), ContentFilteredError),
    (v4("1 validation error", parts=[{"loc": ["captchaToken"], "msg": CAPTCHA}]), PermissionDeniedError),
    (v4("failed_captcha_assessment"), PermissionDeniedError),
    (v5("recaptcha", "Failed"), PermissionDeniedError),
    (
        v5("request-validation-failed", errors=[{"loc": ["body", "User", "captchaToken"], "msg": CAPTCHA}]),
        PermissionDeniedError,
    ),
    (v4("Default temperature must be less than or equal to the configured upper limit of 1.0"), RequestRejectedError),
    (v5("unsupported_type", "Unsupported file types in input"), RequestRejectedError),
    (v4("This model's maximum context length is 4096 tokens."), ContextLengthError),
    (v4("no", status=401), AuthenticationError),
    (v5("http-unauthorized", status=401), AuthenticationError),
    (v4("no", status=404), RouteMissingError),
    (v4("no", status=405), RouteMissingError),
    (v5("http-not-found", "Not Found", status=404), RouteMissingError),
    (v5("about:blank", status=404), RouteMissingError),
    (page(404, "404 Not Found"), RouteMissingError),
    (page(413, "413 Request Entity Too Large"), RequestRejectedError),
    (page(429, "429 Too Many Requests"), RateLimitError),
    (v4("Internal Server Error", status=500), UnavailableError),
    (v5("unhandled-exception", status=500), UnavailableError),
    (page(502, "502 Bad Gateway"), UnavailableError),
    (page(504, "504 Gateway Time-out"), TimedOutError),
]


@pytest.mark.parametrize(("failure", "kind"), CASES)
def test_every_refusal_has_its_error(failure: Failure, kind: type[ProviderError]) -> None:
    """By its status, its type or its sentence; the status is kept."""
    error = error_of(failure)
    assert type(error) is kind
    assert error.status == failure.status
    assert error.text


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (v4("1 validation error", parts=[{"loc": ["captchaToken"], "msg": CAPTCHA}]), "captcha"),
        (v5("recaptcha", "Failed"), "captcha"),
        (v5("forbidden-problem", "Cannot create message when not creator", status=403), "owner"),
        (v4("You don't have the permission to access the requested resource.", status=403), "owner"),
        (v5("http-forbidden", "The current thread was not created by the current user.", status=403), "owner"),
        (v4("User is not allowed to change this setting", status=403), None),
        (page(403, "403 Forbidden"), "blocked"),
    ],
)
def test_denials_say_why(failure: Failure, reason: str | None) -> None:
    """In a word that a program can act on."""
    error = error_of(failure)
    assert isinstance(error, PermissionDeniedError)
    assert error.reason == reason


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (v4("a dump\n of much", parts=[{"loc": ["model"], "msg": "Field required"}]), "model: Field required"),
        (v5("request-validation-failed", errors=[{"loc": ["body", "model"], "msg": "Missing"}]), "body.model: Missing"),
        (v5("model-not-found", "Model gone"), "Model gone"),
        (v4("Invalid model x"), "Invalid model x"),
        (page(502, "502 Bad Gateway"), "an HTML page titled '502 Bad Gateway'"),
    ],
)
def test_the_sentence_is_found(failure: Failure, text: str) -> None:
    """Not the dump around it."""
    assert told(failure) == text


def test_a_rate_limit_in_the_text_can_be_retried() -> None:
    """With the wait, if one is told."""
    error = stream_error("http error: status_code: 429, body: try again in 20s", reason="Model http error")
    assert isinstance(error, RateLimitError)
    assert (error.retryable, error.retry_after) == (True, 20)
    assert not stream_error("status_code: 500").retryable


@pytest.mark.parametrize(
    ("text", "reason", "kind", "shown"),
    [
        ("", "aborted", IncompleteStreamError, "the Playground failed with aborted"),
        ("", "", UnavailableError, "the answer failed"),
        ("OperationalError", "otherError", UnavailableError, "the Playground failed with OperationalError"),
        ("Text was flagged as inappropriate", "", ContentFilteredError, "Text was flagged as inappropriate"),
    ],
)
def test_a_bare_word_becomes_a_sentence(*, text: str, reason: str, kind: type[ProviderError], shown: str) -> None:
    """Where the service tells no more."""
    error = stream_error(text, reason=reason)
    assert type(error) is kind
    assert error.text == shown
