"""From a failed answer to its error: every shape of body, status and wait the vendors' facts name, by hand."""

import json
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_chat import (
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
from core_chat.http import Failure, message_in, redact
from core_chat.testing import ManualClock

NOW = 1_767_225_600.0


def failure(status: int, body: Any = b"", **settings: Any) -> Failure:
    """A failed answer; a body that is no bytes is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Failure(status, body=content, clock=ManualClock(now=NOW), **settings)


# What it says


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "Model not supported by provider hf-inference"}, "Model not supported by provider hf-inference"),
        ({"error": {"message": "The model does not exist", "type": "x", "code": "y"}}, "The model does not exist"),
        ({"object": "error", "message": "bad"}, "bad"),
        ({"error": {"code": 400, "message": "Invalid model X"}}, "Invalid model X"),
        (
            {"error": {"code": 400, "message": "bad", "validation_errors": [{"loc": ["model"], "msg": "required"}]}},
            "bad",
        ),
        ({"title": "Unauthenticated", "detail": "You did not pass a token", "status": 401}, "You did not pass a token"),
        ({"detail": "Not found."}, "Not found."),
        ({"title": "Input validation failed", "status": 422}, "Input validation failed"),
        (
            {"detail": "- input: prompt is required\n", "status": 422, "title": "Input validation failed"},
            "- input: prompt is required",
        ),
        (
            {"detail": [{"loc": ["body", "model"], "msg": "Field required", "type": "missing"}]},
            "body.model: Field required",
        ),
        (
            {
                "type": "request-validation-failed",
                "title": "Request validation error.",
                "errors": [{"loc": ["body", 0], "msg": "a"}, {"loc": ["b"], "msg": "c"}],
            },
            "body.0: a; b: c",
        ),
        ({"error": ["one", {"message": "two"}]}, "one; two"),
        ({"errors": [{"message": "one"}, {"message": "two"}]}, "one; two"),
        ({"error_description": "expired", "code": 1}, "expired"),
        ({"error": {"type": "x"}, "message": "outside"}, "outside"),
        ({"error": True, "message": "outside"}, "outside"),
        ({"error": None, "detail": {"message": "deep"}}, "deep"),
        ([{"error": "in a list"}], "in a list"),
        ("just a text", "just a text"),
        ({"error": "unknown error", "warnings": ["There was an inference error"]}, "unknown error"),
        (b"Failed to deserialize the JSON body into the target type", "Failed to deserialize the JSON body into the"),
        (b"404: Not Found", "404: Not Found"),
        (b"<html><head><TITLE lang='en'>\n502 Bad\nGateway </TITLE></head>", "an HTML page titled '502 Bad Gateway'"),
        (b"\n<!DOCTYPE html><p>oops</p>", "an HTML page"),
        (b"\xff\xfe\xfa", "\ufffd\ufffd\ufffd"),
        ({}, "Bad Gateway"),
        ({"unknown": 1}, "Bad Gateway"),
        (5, "Bad Gateway"),
        (b"", "Bad Gateway"),
    ],
)
def test_the_upstreams_own_words_are_found(body: Any, text: str) -> None:
    """The sentence of every known shape of error body, or what the status line says."""
    assert failure(502, body, reason="Bad Gateway").text.startswith(text)


def test_a_header_may_say_it() -> None:
    """Where the body says nothing, a header does, and else at least the status is told."""
    assert (
        failure(401, headers={"X-Error-Message": "Invalid username or password."}).text
        == "Invalid username or password."
    )
    assert failure(599).text == "HTTP status 599"


def test_a_text_is_cut_and_made_harmless() -> None:
    """Long texts are cut, white space is joined, and what would steer a terminal is replaced."""
    assert len(failure(500, b"x" * 10_000).text) == 501
    assert failure(500, {"error": "a\n\n  b\u2028c"}).text == "a b c"
    assert failure(500, {"error": "\x1b[2J\x07\x00 red"}).text == "\ufffd[2J\ufffd\ufffd red"


def test_secrets_are_cut_out() -> None:
    """An upstream that echoes the key does not bring it into an error; the rest of the text stays."""
    found = failure(401, {"error": "Incorrect API key provided: sk-secret."}, secrets=("sk-secret",))
    assert found.text == "Incorrect API key provided: [redacted]."
    assert "sk-secret" not in str(found.default_error()) + repr(found)
    page = failure(500, b"<title>sk-secret</title>", secrets=("sk-secret",))
    assert "sk-secret" not in page.text


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"error":' * 5_000,
        json.dumps({"error": "x"}).encode().replace(b'"x"', b'{"error":' * 200 + b'"x"' + b"}" * 200),
        b"<title>" * 9_000,
        b"<title" * 10_000,
        b"9" * 60_000,
        b'"\\ud800"',
    ],
)
def test_hostile_bodies_are_read_in_no_time(body: bytes) -> None:
    """Nesting, page titles without end and numbers without end are no way to stop the caller."""
    found = failure(500, body)
    assert isinstance(found.default_error(), UnavailableError)
    assert len(str(found.default_error())) < 700


_KEYS = st.sampled_from(
    ["error", "errors", "message", "detail", "msg", "loc", "title", "code", "retry_after", "parameters"]
)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda item: st.lists(item) | st.dictionaries(_KEYS, item),
    )
)
def test_any_json_is_an_error(data: Any) -> None:
    """Whatever JSON an upstream sends with whatever status, there is an error with a text."""
    for status in (400, 404, 429, 503):
        error = failure(status, data).default_error()
        assert isinstance(error, ProviderError)
        assert str(error)
    assert isinstance(message_in(data), str)


# What it means


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        (400, {"error": "bad"}, RequestRejectedError, False),
        (401, {"error": "Invalid credentials in Authorization header"}, AuthenticationError, False),
        (402, {"error": "You have depleted your monthly included credits."}, PaymentRequiredError, False),
        (402, {"title": "Insufficient credit", "detail": "buy some", "status": 402}, PaymentRequiredError, False),
        (403, {"error": "does not have sufficient permissions"}, PermissionDeniedError, False),
        (404, {"error": "Model X does not exist"}, ModelNotFoundError, False),
        (405, {"error": "Method Not Allowed"}, RequestRejectedError, False),
        (407, b"", UnavailableError, False),
        (408, b"", TimedOutError, False),
        (409, b"", RequestRejectedError, False),
        (410, {"error": "is no longer supported"}, ModelNotFoundError, False),
        (
            413,
            {"error": {"message": "too large", "code": "rate_limit_exceeded", "type": "tokens"}},
            RateLimitError,
            True,
        ),
        (413, b"", RequestRejectedError, False),
        (415, b"", RequestRejectedError, False),
        (422, {"error": "Input validation error: x", "error_type": "validation"}, RequestRejectedError, False),
        (424, {"error": "Request failed during generation", "error_type": "generation"}, UnavailableError, False),
        (429, {"error": "Model is overloaded", "error_type": "overloaded"}, RateLimitError, True),
        (429, b"", RateLimitError, True),
        (500, {"error": "unknown error"}, UnavailableError, False),
        (500, b"Internal Server Error", UnavailableError, False),
        (502, b"<html>", UnavailableError, False),
        (503, b"", UnavailableError, False),
        (503, {"error": "Model X is currently loading", "estimated_time": 20.0}, UnavailableError, True),
        (503, {"error": "Service Unavailable"}, UnavailableError, False),
        (504, b"", TimedOutError, False),
        (529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, UnavailableError, False),
        (400, {"error": {"message": "x", "code": "context_length_exceeded"}}, ContextLengthError, False),
        (400, {"error": {"message": "This model's maximum context length is 8192 tokens."}}, ContextLengthError, False),
        (
            422,
            {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096.", "error_type": "v"},
            ContextLengthError,
            False,
        ),
        (413, {"error": "prompt is too long"}, ContextLengthError, False),
        (500, {"error": "maximum context length"}, UnavailableError, False),
        (400, {"error": {"message": "no", "code": "content_filter"}}, ContentFilteredError, False),
        (400, {"error": {"message": "no", "type": "content_policy_violation"}}, ContentFilteredError, False),
        (400, {"error": {"message": "gone", "code": "model_not_found"}}, ModelNotFoundError, False),
    ],
)
def test_status_and_body_make_the_error(status: int, body: Any, *, kind: type[ProviderError], retryable: bool) -> None:
    """Each status has its class, a code or the words in the body may say more, and few of them can be retried."""
    error = failure(status, body).default_error()
    assert type(error) is kind
    assert (error.retryable, error.status) == (retryable, status)


def test_a_503_can_be_retried_when_it_says_when() -> None:
    """With a wait, whether as seconds or a date, the upstream asks to be tried again."""
    for value in ("5", formatdate(NOW + 5, usegmt=True)):
        error = failure(503, headers={"Retry-After": value}).default_error()
        assert (error.retryable, error.retry_after) == (True, 5)
    assert not failure(500, headers={"Retry-After": "5"}).default_error().retryable


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"code": "a", "type": "b"}}, "a"),
        ({"error": {"type": "b"}}, "b"),
        ({"error": {"code": 5, "type": "b"}}, "b"),
        ({"error": "x", "error_type": "overloaded"}, "overloaded"),
        ({"type": "model-not-found"}, "model-not-found"),
        ({"code": "outer", "error": {"code": "inner"}}, "inner"),
        ({"error": {"code": 400}}, ""),
        ([], ""),
        (b"text", ""),
    ],
)
def test_the_code_for_programs(body: Any, code: str) -> None:
    """The code or type stands in the error, or beside it."""
    assert failure(400, body).code == code


def test_the_request_id_for_the_support() -> None:
    """Vendors send it under different names; it comes into the error's text."""
    for name in ("X-Request-Id", "request-id", "CF-Ray"):
        error = failure(500, {"error": "x"}, headers={name: "abc"}).default_error()
        assert error.request_id == "abc"
        assert str(error) == "x (status 500, request abc)"
    assert failure(500).request_id is None


def test_an_error_of_another_class_knows_the_same() -> None:
    """A provider that knows better builds its own error of what the failure holds."""
    found = failure(400, {"error": "captcha"}, headers={"Retry-After": "3", "x-request-id": "r"})
    error = found.error(PermissionDeniedError, reason="captcha", retryable=True)
    assert (error.text, error.reason, error.status) == ("captcha", "captcha", 400)
    assert (error.retry_after, error.request_id, error.retryable) == (3, "r", True)
    assert found.error(RequestRejectedError, "own words", status=None).text == "own words"


# How long to wait


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": formatdate(NOW + 90, usegmt=True)}, 90),
        ({"Retry-After": formatdate(NOW - 90, usegmt=True)}, 0),
        ({"Retry-After": "Thu Jan  1 00:01:30 2026"}, 90),
        ({"Retry-After": "Thursday, 01-Jan-26 00:01:30 GMT"}, 90),
        ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=12;t=55'}, None),
        ({"RateLimit": '"api";r=3;t=5, "pages"; r=0; t=77'}, 77),
        ({"RateLimit": '"api";r=10;t=55'}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "4"}, 4),
        ({"ratelimit-remaining": "599", "ratelimit-reset": "1"}, None),
        ({"ratelimit-remaining": "0"}, None),
        ({"Retry-After": "2", "RateLimit": '"api";r=0;t=55'}, 2),
    ],
)
def test_the_wait_in_headers(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds, all three forms of an HTTP date, and the reset of a quota that is used up."""
    assert failure(429, headers=headers).retry_after == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"detail": "x", "retry_after": 5}, 5),
        ({"detail": "x", "retry_after": "5"}, 5),
        ({"error": {"message": "x", "retry_after": 2.5}}, 2.5),
        ({"error": "loading", "estimated_time": 20.0}, 20),
        ({"message": "x", "parameters": {"retry_after": 35}}, 35),
        ({"error": {"message": "x", "metadata": {"retry_after": 1}}}, None),
        ({"metadata": {"retry_after_seconds": 8}}, 8),
        ({"retry_after": True}, None),
        ({"retry_after": None}, None),
        ({"retry_after": -1}, None),
        ({"retry_after": [5]}, None),
        (b'{"retry_after": NaN}', None),
        (b'{"retry_after": 1e999}', None),
        ([{"retry_after": 5}], None),
    ],
)
def test_the_wait_in_the_body(body: Any, seconds: float | None) -> None:
    """Fields that vendors put it in; what is no time is none."""
    assert failure(429, body).retry_after == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Your rate limit resets in ~5s.", 5),
        ("Rate limit reached. Please try again in 1m30.5s. Visit …", 90.5),
        ("Please try again in 250ms.", 0.25),
        ("Please retry after 20 seconds", 20),
        ("try again in 2 minutes", 120),
        ("Try again in 1 hour, 5 minutes", 3900),
        ("retry in 2h", 7200),
        ("wait 40 milliseconds", 0.04),
        ("resets in 1 day", 86400),
        ("Retrying in 3 secs", 3),
        ("retry 3 models", None),
        ("wait for 5 months", None),
        ("try again later", None),
        ("we waited 5s", None),
        ("retry 3 times, then wait 10 s", 10),
        ("the limit is 600 per minute", None),
        ("retry retry retry", None),
    ],
)
def test_the_wait_in_the_words(text: str, seconds: float | None) -> None:
    """Vendors that send neither header nor field say it in the sentence."""
    assert failure(429, {"error": text}).retry_after == seconds


def test_headers_come_before_the_body_and_the_body_before_the_words() -> None:
    """The most exact place counts."""
    body = {"detail": "try again in 3s", "retry_after": 2}
    assert failure(429, body, headers={"Retry-After": "1"}).retry_after == 1
    assert failure(429, body).retry_after == 2
    assert failure(429, {"detail": "try again in 3s"}).retry_after == 3


def test_credentials_are_cut_out_of_what_others_wrote() -> None:
    """Every secret goes, and a missing one changes nothing."""
    assert redact("key-1 and key-2, key-1", ["key-1", None, "key-2"]) == "[redacted] and [redacted], [redacted]"
