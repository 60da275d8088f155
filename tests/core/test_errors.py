"""The tree of errors: texts, copies, and that none shows what it should not."""

import copy
import inspect
import pickle

import pytest

from core_chat import (
    AmbiguousModelError,
    Attempt,
    ConversationExpiredError,
    CoreError,
    InvalidRequestError,
    Message,
    MissingCredentialError,
    ModelNotFoundError,
    PermissionDeniedError,
    PluginConflictError,
    PluginError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    RegistryClosedError,
    Reply,
    TimedOutError,
    UnknownModelError,
    UnknownProviderError,
    errors,
)
from core_chat.errors import close_names, hint

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CoreError)]
PROVIDER_ERRORS = [kind for kind in TREE if issubclass(kind, ProviderError)]


@pytest.mark.parametrize("kind", TREE)
def test_every_error_is_in_the_drawing_and_in_the_package(kind: type[CoreError]) -> None:
    """The tree in the module's docstring is whole, and hosts import each class from `core_chat`."""
    import core_chat

    assert kind.__name__ in (errors.__doc__ or "")
    assert getattr(core_chat, kind.__name__) is kind
    assert kind.__doc__


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (UnknownProviderError, LookupError),
        (UnknownModelError, LookupError),
        (AmbiguousModelError, LookupError),
        (RegistryClosedError, RuntimeError),
        (InvalidRequestError, ValueError),
        (PluginConflictError, PluginError),
        (ConversationExpiredError, ProviderError),
    ],
)
def test_errors_are_also_what_python_calls_them(kind: type[CoreError], also: type[Exception]) -> None:
    """A host that knows nothing of this library can catch the usual classes."""
    assert issubclass(kind, also)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ProviderError(), "ProviderError"),
        (RateLimitError(), "RateLimitError"),
        (ProviderError("no"), "no"),
        (ProviderError("no", provider="p"), "p: no"),
        (ProviderError(provider="p"), "p: ProviderError"),
        (ProviderError("no", status=500, provider="p"), "p: no (status 500)"),
        (RateLimitError("no", retry_after=7.0, request_id="r1"), "no (retry after 7 s, request r1)"),
        (RateLimitError("no", retry_after=0.25, status=429), "no (status 429, retry after 0.25 s)"),
        (ProviderError("no", attempts=[Attempt("a", "E", 1, "t")]), "no"),
        (ProviderError("no", attempts=[Attempt("a", "E", 1, "t")] * 2), "no (2 attempts)"),
        (
            MissingCredentialError(variable="X_KEY", page="https://example.org/keys"),
            "no key is configured: set X_KEY or pass api_key=; get a key at https://example.org/keys",
        ),
        (MissingCredentialError(), "no key is configured: pass api_key="),
        (MissingCredentialError("other"), "other"),
    ],
)
def test_the_text_is_made_of_the_attributes(error: ProviderError, text: str) -> None:
    """Provider, status, wait, request and attempts stand in the text where they are known."""
    assert str(error) == text


def test_what_is_retryable_by_default() -> None:
    """Only too many requests; each error can say otherwise."""
    assert [kind.__name__ for kind in PROVIDER_ERRORS if kind().retryable] == ["RateLimitError"]
    assert ProviderError(retryable=True).retryable
    assert not RateLimitError(retryable=False).retryable


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301 - its own
@pytest.mark.parametrize("kind", TREE)
def test_every_error_survives_a_copy_and_a_pickle(again: object, kind: type[CoreError]) -> None:
    """Class, text and attributes are the same afterwards: errors cross processes and queues."""
    assert callable(again)
    error = kind("what happened")
    if isinstance(error, ProviderError):
        error.provider, error.status, error.retry_after, error.request_id = "p", 503, 1.5, "r"
        error.attempts = (Attempt("t", "E", 500, "x"),) * 2
        error.partial = Reply(text="so far", conversation=Reply().conversation)
    for name, value in (("plugin", "x"), ("suggestions", ("a",)), ("candidates", ("b",)), ("parameter", "c")):
        if hasattr(error, name):
            setattr(error, name, value)
    twin = again(error)
    assert type(twin) is kind
    assert str(twin) == str(error)
    assert twin.args == error.args
    assert vars(twin) == vars(error)


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (PermissionDeniedError("no", reason="gated", status=403), "reason", "gated"),
        (ModelNotFoundError("no", suggestions=iter(["a", "b"])), "suggestions", ("a", "b")),
        (TimedOutError("late", timeout="idle"), "timeout", "idle"),
        (ProtocolError("odd", got="HTML"), "got", "HTML"),
        (MissingCredentialError(variable="V", page="P"), "variable", "V"),
    ],
)
def test_attributes_of_their_own(error: ProviderError, name: str, value: object) -> None:
    """What a class adds is kept, and survives a pickle."""
    assert getattr(error, name) == value
    assert getattr(pickle.loads(pickle.dumps(error)), name) == value  # noqa: S301 - its own


def test_a_subclass_of_a_plugin_survives_too() -> None:
    """A plugin may derive a class with a constructor of its own."""
    error = OwnError(7)
    twin = copy.copy(error)
    assert (type(twin), str(twin), twin.number) == (OwnError, "number 7", 7)


class OwnError(ProviderError):
    """An error with another constructor."""

    def __init__(self, number: int) -> None:
        super().__init__(f"number {number}")
        self.number = number


def test_an_error_as_one_line_of_another() -> None:
    """What was tried is told by target, class, status and text."""
    error = RateLimitError("slow down", status=429, provider="p")
    assert error.as_attempt("p:m") == Attempt("p:m", "RateLimitError", 429, "slow down")


def test_the_partial_reply_is_not_in_the_text() -> None:
    """What a model said does not end up in logs with the error."""
    error = ProviderError("cut", partial=Reply(text="private", notices=()))
    assert "private" not in str(error) + repr(error)
    assert error.partial is not None
    assert error.partial.message == Message("assistant", "private")


def test_close_names() -> None:
    """Near names are found whatever their case, the closest first, three at most."""
    assert close_names("LLAMA", ["llama-1", "Llama", "lama", "other", "llamas", "llamaa"])[0] == "Llama"
    assert len(close_names("llama", ["llama1", "llama2", "llama3", "llama4"])) == 3
    assert close_names("zzz", ["llama"]) == []
    assert hint([]) == ""
    assert hint(["a", "b"]) == "; did you mean a, b?"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("claude", ["anthropic/claude-haiku", "anthropic/claude-sonnet"]),
        ("gpt4o", ["openai/gpt-4o"]),
        ("Claude-Sonet", ["anthropic/claude-sonnet"]),
        ("foo", []),
        ("son", []),
    ],
)
def test_names_that_resemble_one_are_found(name: str, found: list[str]) -> None:
    """By likeness or as a part, with or without the owner; too short a part says nothing."""
    assert close_names(name, ["openai/gpt-4o", "anthropic/claude-sonnet", "anthropic/claude-haiku"]) == found
