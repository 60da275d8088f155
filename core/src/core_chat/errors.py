"""Every error core-chat raises, in one tree.

```
CoreError
├── PluginError ── PluginConflictError
├── UnknownProviderError, UnknownModelError, AmbiguousModelError     (also LookupError)
├── RegistryClosedError                                              (also RuntimeError)
├── InvalidRequestError                                              (also ValueError)
└── ProviderError
    ├── MissingCredentialError   ├── AuthenticationError   ├── PermissionDeniedError
    ├── PaymentRequiredError     ├── RateLimitError        ├── ModelNotFoundError
    ├── RequestRejectedError     ├── ContextLengthError    ├── ContentFilteredError
    ├── ConversationExpiredError ├── UnavailableError      ├── TimedOutError
    ├── IncompleteStreamError    └── ProtocolError
```

`InvalidRequestError` means nothing was sent. A `ProviderError` says whether trying again can help (`retryable`), how
long to wait (`retry_after`, seconds), what had been received (`partial`) and what was tried before (`attempts`). No
message, repr or cause holds a credential.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from attrs import frozen

if TYPE_CHECKING:
    from core_chat.reply import Reply

_SHORTEST_PART = 4
TimeoutKind = Literal["connect", "headers", "first_event", "idle", "total"]


class CoreError(Exception):
    """The root of every error this library raises."""


class PluginError(CoreError):
    """A plugin is broken or breaks the contract; `plugin` names it."""

    def __init__(self, text: str, *, plugin: str | None = None) -> None:
        super().__init__(text)
        self.plugin = plugin


class PluginConflictError(PluginError):
    """Two plugins claim one name, and neither wins."""


class UnknownProviderError(CoreError, LookupError):
    """No installed plugin has this name."""


class UnknownModelError(CoreError, LookupError):
    """No allowed provider knows this model; `suggestions` are close names."""

    def __init__(self, text: str, *, suggestions: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.suggestions = tuple(suggestions)


class AmbiguousModelError(CoreError, LookupError):
    """Several providers know this bare model name; `candidates` are the full names to choose from."""

    def __init__(self, text: str, *, candidates: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.candidates = tuple(candidates)


class RegistryClosedError(CoreError, RuntimeError):
    """The registry, or one of its streams, was used before it was entered or after it was closed."""


class InvalidRequestError(CoreError, ValueError):
    """What the caller asked for is wrong, and nothing was sent; `parameter` names the part where one is to blame."""

    def __init__(self, text: str, *, parameter: str | None = None) -> None:
        super().__init__(text)
        self.parameter = parameter


@frozen
class Attempt:
    """One failed try of a call: whom it went to, the class name of its error, the HTTP status and the error's text."""

    target: str
    error: str
    status: int | None
    text: str


class ProviderError(CoreError):
    """The upstream, or the way to it, failed.

    Args:
        text: What happened, one or two sentences, without credentials.
        provider: The provider's name; the core fills it in where it is None.
        status: The HTTP status, where one came.
        retryable: Whether the same request can be sent again without the risk of doing or paying something twice.
        retry_after: Seconds the upstream asked to wait.
        request_id: The upstream's id of the request, for its support.
        attempts: What was tried, oldest first, when more than one try was made.
        partial: What had been received before the failure.
    """

    retryable_by_default: ClassVar[bool] = False

    def __init__(
        self,
        text: str = "",
        *,
        provider: str | None = None,
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        attempts: Iterable[Attempt] = (),
        partial: "Reply | None" = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.provider = provider
        self.status = status
        self.retryable = self.retryable_by_default if retryable is None else retryable
        self.retry_after = retry_after
        self.request_id = request_id
        self.attempts = tuple(attempts)
        self.partial = partial

    def __str__(self) -> str:
        head = ": ".join(part for part in (self.provider, self.text or type(self).__name__) if part)
        details = [f"status {self.status}"] if self.status is not None else []
        if self.retry_after is not None:
            details.append(f"retry after {self.retry_after:g} s")
        if self.request_id is not None:
            details.append(f"request {self.request_id}")
        if len(self.attempts) > 1:
            details.append(f"{len(self.attempts)} attempts")
        return f"{head} ({', '.join(details)})" if details else head

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__))

    def as_attempt(self, target: str) -> Attempt:
        """Return this error as one line of another error's `attempts`."""
        return Attempt(target, type(self).__name__, self.status, self.text)


def _rebuild(kind: type[ProviderError], state: dict[str, Any]) -> ProviderError:
    error = kind.__new__(kind, state["text"])
    error.__dict__.update(state)
    return error


class MissingCredentialError(ProviderError):
    """No key is configured; `variable` is the environment variable to set and `page` where to get a key."""

    def __init__(self, text: str = "", *, variable: str | None = None, page: str | None = None, **details: Any) -> None:
        ways = [f"set {variable}"] if variable else []
        ways.append("pass api_key=")
        page_hint = f"; get a key at {page}" if page else ""
        super().__init__(text or f"no key is configured: {' or '.join(ways)}{page_hint}", **details)
        self.variable = variable
        self.page = page


class AuthenticationError(ProviderError):
    """The upstream does not accept the key."""


class PermissionDeniedError(ProviderError):
    """The key is good but may not do this; `reason` is a short code such as "captcha", "gated" or "scope"."""

    def __init__(self, text: str = "", *, reason: str | None = None, **details: Any) -> None:
        super().__init__(text, **details)
        self.reason = reason


class PaymentRequiredError(ProviderError):
    """The account has no credit left, or no way to pay."""


class RateLimitError(ProviderError):
    """Too many requests; `retry_after` says how long to wait where the upstream told."""

    retryable_by_default = True


class ModelNotFoundError(ProviderError):
    """The upstream has no such model, or none this key may use; `suggestions` are close names."""

    def __init__(self, text: str = "", *, suggestions: Iterable[str] = (), **details: Any) -> None:
        super().__init__(text, **details)
        self.suggestions = tuple(suggestions)


class RequestRejectedError(ProviderError):
    """The upstream refused the request as invalid."""


class ContextLengthError(ProviderError):
    """The messages are longer than the model can read."""


class ContentFilteredError(ProviderError):
    """The upstream refused the content of the request or stopped its own answer."""


class ConversationExpiredError(ProviderError):
    """The upstream has forgotten the conversation, and it could not be begun again from the transcript."""


class UnavailableError(ProviderError):
    """The upstream is down, overloaded, or cannot be reached."""


class TimedOutError(ProviderError):
    """The upstream took too long; `timeout` names which of the `Timeouts` ran out."""

    def __init__(self, text: str = "", *, timeout: TimeoutKind | None = None, **details: Any) -> None:
        super().__init__(text, **details)
        self.timeout = timeout


class IncompleteStreamError(ProviderError):
    """The answer broke off before its end; `partial` holds what had come."""


class ProtocolError(ProviderError):
    """The upstream answered something that is not its protocol; `got` says what came instead."""

    def __init__(self, text: str = "", *, got: str | None = None, **details: Any) -> None:
        super().__init__(text, **details)
        self.got = got


def close_names(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names that resemble `name`, the closest first; an owner may be left out."""
    import difflib

    wanted = name.lower()
    folded: dict[str, str] = {}
    for candidate in known:
        for form in (candidate.lower(), candidate.lower().rpartition("/")[2]):
            folded.setdefault(form, candidate)
    matches = difflib.get_close_matches(wanted, list(folded), n=6, cutoff=0.6)
    holding = [form for form in sorted(folded) if len(wanted) >= _SHORTEST_PART and wanted in form]
    return list(dict.fromkeys(folded[form] for form in (*matches, *holding)))[:3]


def hint(names: Iterable[str]) -> str:
    """Return `"; did you mean a, b?"` for an error's text, or nothing where there are no names."""
    listed = ", ".join(names)
    return f"; did you mean {listed}?" if listed else ""


__all__ = [
    "AmbiguousModelError",
    "Attempt",
    "AuthenticationError",
    "ContentFilteredError",
    "ContextLengthError",
    "ConversationExpiredError",
    "CoreError",
    "IncompleteStreamError",
    "InvalidRequestError",
    "MissingCredentialError",
    "ModelNotFoundError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "PluginConflictError",
    "PluginError",
    "ProtocolError",
    "ProviderError",
    "RateLimitError",
    "RegistryClosedError",
    "RequestRejectedError",
    "TimedOutError",
    "UnavailableError",
    "UnknownModelError",
    "UnknownProviderError",
]
