"""When one inference provider fails before the first content, which one is asked next."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator

from attrs import define, evolve, field

from core_chat import (
    ChatRequest,
    Event,
    ModelNotFoundError,
    Notice,
    PaymentRequiredError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    Route,
    TimedOutError,
    UnavailableError,
)
from core_chat.errors import close_names
from core_chat.http import Failure
from core_huggingface._aliases import BUNDLED
from core_huggingface._hub import CHAT, TEXT_TO_IMAGE, Offers
from core_huggingface._router import BACKEND_HEADER, POLICIES, account_is_empty, refine

_LOG = logging.getLogger("core_chat.huggingface")
_LIMIT = 4
_ELSEWHERE_KINDS = (PaymentRequiredError, ModelNotFoundError, RateLimitError, UnavailableError)
_ELSEWHERE_STATUSES = (404, 408, 413, 429)


def may_work_elsewhere(error: ProviderError) -> bool:
    """Whether another inference provider could answer what this one did not: never for a bad key or a bad request."""
    if isinstance(error, PermissionDeniedError):
        return error.reason is None
    if isinstance(error, TimedOutError):
        return error.timeout in (None, "connect")
    return isinstance(error, _ELSEWHERE_KINDS) or error.status in _ELSEWHERE_STATUSES


@define(eq=False)
class Fallback:
    """The attempts of one call: whom to ask, and in the end what to raise.

    The first attempt leaves the choice to the router (or to the suffix the caller gave); the next ones go to the
    providers that the Hub's mapping lists as live, without the one that answered.

    Args:
        model: The model's id, without a suffix.
        suffix: The routing suffix of the first attempt, or nothing; where it names a provider, no other is asked.
        choice: The caller's own list of providers, asked one after the other; no other is.
        find: Looks up who serves the model; None where there is no Hub to ask.

    Attributes:
        pictures: Whether it turned out that nobody chats with this model, but somebody makes pictures with it.
    """

    model: str
    suffix: str = ""
    choice: tuple[str, ...] = ()
    find: Callable[[], Awaitable[Offers]] | None = None
    pictures: bool = field(init=False, default=False)
    _failures: list[tuple[str, ProviderError]] = field(init=False, factory=list)
    _waiting: deque[str] | None = field(init=False, default=None)
    _last_chance: bool = field(init=False, default=False)
    _backend: str | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        if self.choice:
            self._waiting = deque(self.choice)
            self.suffix = self._waiting.popleft()
        elif self._pinned:
            self._waiting = deque()

    @property
    def target(self) -> str:
        """The id to ask for now."""
        return f"{self.model}:{self.suffix}" if self.suffix else self.model

    def shown(self, request: ChatRequest) -> ChatRequest:
        """Return the request as the `Route` of this attempt tells it: the suffix is no part of the model's name."""
        return evolve(request, model=evolve(request.model, name=self.model))

    def refine(self, failure: Failure) -> ProviderError | None:
        """Read one of the router's errors, and remember which provider answered."""
        self._backend = failure.headers.get(BACKEND_HEADER)
        return refine(failure)

    def told(self, beginning: Iterable[Event]) -> Iterator[Event]:
        """Yield the beginning of an answer, the provider in its `Route`, and before it whatever failed."""
        if self._failures:
            failed = "; ".join(f"{target}: {error.text}" for target, error in self._failures)
            yield Notice("fallback", f"{self.target} answers, as others failed: {failed}")
        for event in beginning:
            if isinstance(event, Route) and event.backend is None and self._pinned:
                yield evolve(event, backend=self.suffix)
            else:
                yield event

    @property
    def _pinned(self) -> bool:
        return bool(self.suffix) and self.suffix not in POLICIES

    async def failed(self, error: ProviderError) -> None:
        """Move on to the next provider, or to `pictures`.

        Raises:
            ProviderError: There is none, or it would not help: the first failure, with all that was tried.
        """
        backend, self._backend = self._backend or (self.suffix if self._pinned else None), None
        target = self.target if self._pinned or backend is None else f"{self.target} ({backend})"
        self._failures.append((target, error))
        if isinstance(error, ModelNotFoundError) and len(self._failures) == 1:
            offers = await self._look_up()
            self.pictures = offers is not None and offers.only(TEXT_TO_IMAGE)
            if self.pictures:
                return
        if self._last_chance or not may_work_elsewhere(error):
            raise self._verdict()
        self._last_chance = account_is_empty(error)
        if self._waiting is None:
            self._waiting = deque(await self._others(backend))
        if not self._waiting:
            raise self._verdict()
        self.suffix = self._waiting.popleft()

    async def _others(self, backend: str | None) -> Iterable[str]:
        offers = await self._look_up()
        if offers is None:
            return ()
        self.model = offers.model
        others = (serving.provider for serving in offers.live(CHAT) if serving.provider != backend)
        return list(dict.fromkeys(others))[: _LIMIT - 1]

    async def _look_up(self) -> Offers | None:
        """Return who serves the model; a mapping that cannot be read never hides the failure it was wanted for."""
        if self.find is None:
            return None
        try:
            return await self.find()
        except ProviderError as error:
            _LOG.debug("no mapping of %s: %s", self.model, type(error).__name__)
            return None

    def _verdict(self) -> ProviderError:
        first = self._failures[0][1]
        if isinstance(first, ModelNotFoundError) and self.find is not None:
            first.suggestions = first.suggestions or tuple(close_names(self.model, BUNDLED))
        if len(self._failures) > 1:
            first.attempts = tuple(error.as_attempt(target) for target, error in self._failures)
            first.retryable = all(error.retryable for _, error in self._failures)
        return first
