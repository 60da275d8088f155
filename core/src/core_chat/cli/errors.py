"""From an error to its exit code and to the one or two lines, or the JSON object, that tell a person or a script."""

import signal
from enum import IntEnum
from typing import Any, TypeAlias

import click

from core_chat.errors import (
    AmbiguousModelError,
    AuthenticationError,
    ContextLengthError,
    IncompleteStreamError,
    InvalidRequestError,
    MissingCredentialError,
    ModelNotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    PluginError,
    ProviderError,
    RateLimitError,
    TimedOutError,
    UnavailableError,
    UnknownModelError,
    UnknownProviderError,
)


class ExitCode(IntEnum):
    """What the command's exit code means; these stay as they are."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CREDENTIAL = 3
    LIMIT = 4
    TIMEOUT = 5
    INCOMPLETE = 6
    INTERRUPTED = 128 + 2
    OUTPUT_CLOSED = 128 + 13


class TerminatedError(Exception):
    """A signal other than that of Ctrl-C asked the command to end; the work was cancelled in order."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


_Rule: TypeAlias = tuple[type[Exception], ExitCode, str]
_RULES: tuple[_Rule, ...] = (
    (click.UsageError, ExitCode.USAGE, "'{command} --help' shows what it takes."),
    (InvalidRequestError, ExitCode.USAGE, ""),
    (UnknownProviderError, ExitCode.USAGE, ""),
    (UnknownModelError, ExitCode.USAGE, "'core-chat models' lists the known ones."),
    (AmbiguousModelError, ExitCode.USAGE, ""),
    (MissingCredentialError, ExitCode.CREDENTIAL, "--sandbox needs no key."),
    (AuthenticationError, ExitCode.CREDENTIAL, "Check the key; 'core-chat plugins --long' says where it belongs."),
    (PermissionDeniedError, ExitCode.CREDENTIAL, "The key is good, but not for this: check its rights."),
    (PaymentRequiredError, ExitCode.LIMIT, "Add credit or a way to pay on the provider's pages."),
    (RateLimitError, ExitCode.LIMIT, "Wait, then try again."),
    (TimedOutError, ExitCode.TIMEOUT, "Try again later."),
    (IncompleteStreamError, ExitCode.INCOMPLETE, "What had come until then was printed; the answer is not whole."),
    (ModelNotFoundError, ExitCode.FAILED, "'core-chat models {provider}' lists the known ones."),
    (ContextLengthError, ExitCode.FAILED, "Shorten the message, or set --max-input-chars."),
    (UnavailableError, ExitCode.FAILED, "Try again later."),
    (PluginError, ExitCode.FAILED, "'core-chat plugins --long' shows the state of every plugin."),
)


def _rule(error: BaseException) -> tuple[ExitCode, str]:
    return next(((code, advice) for kind, code, advice in _RULES if isinstance(error, kind)), (ExitCode.FAILED, ""))


def exit_code(error: BaseException) -> int:
    """Return the exit code for an error."""
    return 128 + error.number if isinstance(error, TerminatedError) else int(_rule(error)[0])


def describe(error: BaseException) -> tuple[str, str]:
    """Return what happened and what to do about it, one line each; the second may be empty.

    The text of an error that is none of ours is not shown: nobody has checked that it holds no secret.
    """
    text, advice = _text(error), _advice(error)
    return " ".join(text.split()), " ".join(advice.split())


def _text(error: BaseException) -> str:
    match error:
        case MissingCredentialError(variable=str()):
            return f"{error.provider or 'the provider'}: no key is configured"
        case click.ClickException():
            return error.format_message()
        case OSError(filename=str() as name, strerror=str() as why):
            return f"{name}: {why}"
        case OSError(strerror=str() as why):
            return why
    if type(error).__module__.partition(".")[0] == "core_chat":
        return str(error) or type(error).__name__
    return f"internal error ({type(error).__name__}); --debug shows where"


def _advice(error: BaseException) -> str:
    advice = _rule(error)[1]
    match error:
        case click.UsageError():
            return advice.format(command=error.ctx.command_path) if error.ctx else ""
        case MissingCredentialError(variable=str()):
            page = f" (get a key at {error.page})" if error.page else ""
            return f"Set {error.variable}{page}. {advice}"
        case TimedOutError(timeout="total"):
            return "Give it longer with --timeout."
        case PermissionDeniedError(reason=str()):
            return ""  # its text says more than the status does
        case ModelNotFoundError(suggestions=(_, *_)):
            return f"Did you mean {', '.join(error.suggestions)}?"
    return advice.format(provider=getattr(error, "provider", None) or "")


def as_json(error: BaseException) -> dict[str, Any]:
    """Return an error as the JSON object that ends the output of `--json`."""
    text, advice = describe(error)
    found: dict[str, Any] = {"type": "error", "error": type(error).__name__, "text": text, "advice": advice}
    if isinstance(error, ProviderError):
        for name in ("provider", "status", "retryable", "retry_after", "request_id"):
            found[name] = getattr(error, name)
    return found | {"exit_code": exit_code(error)}
