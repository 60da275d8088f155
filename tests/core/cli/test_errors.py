"""From an error to its exit code and its lines."""

import json
from typing import TYPE_CHECKING

import click
import pytest

from core_chat import (
    AmbiguousModelError,
    AuthenticationError,
    ContentFilteredError,
    ContextLengthError,
    CoreError,
    IncompleteStreamError,
    InvalidRequestError,
    MissingCredentialError,
    ModelNotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    PluginError,
    ProtocolError,
    RateLimitError,
    RequestRejectedError,
    TimedOutError,
    UnavailableError,
    UnknownModelError,
    UnknownProviderError,
)
from core_chat.cli.errors import ExitCode, TerminatedError, as_json, describe, exit_code

if TYPE_CHECKING:
    from tests.core.cli.conftest import Run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnavailableError("down"), 1),
        (ProtocolError("what?"), 1),
        (RequestRejectedError("no"), 1),
        (ModelNotFoundError("gone"), 1),
        (ContextLengthError("long"), 1),
        (ContentFilteredError("no"), 1),
        (PluginError("broken"), 1),
        (OSError(28, "No space left on device"), 1),
        (KeyError("x"), 1),
        (click.UsageError("what?"), 2),
        (InvalidRequestError("wrong"), 2),
        (UnknownProviderError("who?"), 2),
        (UnknownModelError("which?"), 2),
        (AmbiguousModelError("which?"), 2),
        (MissingCredentialError(variable="KEY"), 3),
        (AuthenticationError("no"), 3),
        (PermissionDeniedError("no"), 3),
        (RateLimitError("slow"), 4),
        (PaymentRequiredError("pay"), 4),
        (TimedOutError("late", timeout="idle"), 5),
        (IncompleteStreamError("half"), 6),
        (TerminatedError(15), 143),
    ],
)
def test_exit_codes_stay_as_they_are(error: Exception, code: int) -> None:
    """Scripts rely on these numbers."""
    assert exit_code(error) == code


def test_the_other_exit_codes_stay_too() -> None:
    """Success, Ctrl-C and a closed pipe have the numbers shells know."""
    assert (ExitCode.OK, ExitCode.INTERRUPTED, ExitCode.OUTPUT_CLOSED) == (0, 130, 141)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            MissingCredentialError(variable="ECHO_KEY", page="https://echo.invalid", provider="echo"),
            ("echo: no key is configured", "Set ECHO_KEY (get a key at https://echo.invalid). --sandbox needs no key."),
        ),
        (
            ModelNotFoundError("no such model", provider="echo", status=404),
            ("echo: no such model (status 404)", "'core-chat models echo' lists the known ones."),
        ),
        (ModelNotFoundError("no such model", suggestions=["a", "b"]), ("no such model", "Did you mean a, b?")),
        (TimedOutError("too slow", timeout="total"), ("too slow", "Give it longer with --timeout.")),
        (TimedOutError("too slow", timeout="idle"), ("too slow", "Try again later.")),
        (InvalidRequestError("line 1\nline 2"), ("line 1 line 2", "")),
        (OSError(2, "No such file", "cat.png"), ("cat.png: No such file", "")),
        (OSError(28, "No space left"), ("No space left", "")),
        (ValueError("canary"), ("internal error (ValueError); --debug shows where", "")),
    ],
)
def test_an_error_is_told_in_one_line_and_what_to_do_in_another(error: Exception, expected: tuple[str, str]) -> None:
    """The text of an error nobody has checked for secrets is not shown."""
    assert describe(error) == expected


def test_as_json_a_provider_error_has_its_details() -> None:
    """A script reads whether and when to try again."""
    error = RateLimitError("slow down", provider="echo", status=429, retry_after=7.5, request_id="r-1")
    assert as_json(error) == {
        "type": "error",
        "error": "RateLimitError",
        "text": "echo: slow down (status 429, retry after 7.5 s, request r-1)",
        "advice": "Wait, then try again.",
        "provider": "echo",
        "status": 429,
        "retryable": True,
        "retry_after": 7.5,
        "request_id": "r-1",
        "exit_code": 4,
    }
    assert "status" not in as_json(CoreError("other"))


def test_a_traceback_is_shown_only_with_debug(run_here: "Run") -> None:
    """A provider's crash is one line, with --debug a traceback and the library's log; the key is in neither."""
    plain = run_here("chat", "-m", "echo:crash", "Hi")
    assert (plain.code, "Traceback" in plain.err) == (1, False)
    assert plain.err.startswith("Error: echo failed with KeyError\n")
    crashed = run_here("chat", "--debug", "-m", "echo:crash", "Hi")
    assert "KeyError: '[redacted]'" in crashed.err
    debugged = run_here("chat", "--debug", "-m", "echo:broken-off", "Hi")
    assert "Traceback" in debugged.err
    assert "echo:broken-off failed: IncompleteStreamError" in debugged.err
    assert "canary" not in plain.err + crashed.err + debugged.err


def test_with_json_an_error_before_the_call_is_json_too(run_here: "Run") -> None:
    """A wrong value, wherever it stands on the line, is told as JSON on standard output."""
    done = run_here("chat", "Hi", "--seed", "x", "--json")
    found = json.loads(done.out)
    assert (done.code, done.err, found["type"], found["exit_code"]) == (2, "", "error", 2)
    assert "'x' is not a valid integer" in found["text"]


def test_what_an_upstream_says_cannot_steer_the_terminal(run_here: "Run") -> None:
    """Control characters of names and texts are shown as pictures."""
    done = run_here("chat", "-m", "no\x1b[2Jpe:", "Hi")
    assert (done.code, "\x1b" in done.err) == (2, False)
    assert "␛" in done.err or "\\x1b" in done.err
