"""The stream law, kept around one provider's events: any number of them, then exactly one `Finish`, last."""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from types import AsyncGeneratorType
from typing import Any, Self, get_args

from attrs import evolve

from core_chat.errors import (
    CoreError,
    IncompleteStreamError,
    InvalidRequestError,
    PluginError,
    ProviderError,
    TimedOutError,
)
from core_chat.events import Event, Finish, FinishReason, Notice, Route

_EVENTS = frozenset(get_args(Event))
_REASONS = frozenset(get_args(FinishReason))


class Guard:
    """An async iterator over a provider's events that lets only lawful ones through and names every failure.

    `ChatStream` looks through it (`source`, `check`, `translate`) when no middleware stands between, so that one layer
    of the core is passed per event.
    """

    __slots__ = ("_finished", "_log", "_provider", "_strict", "_who", "source")

    def __init__(self, source: Any, *, provider: str, strict: bool = False) -> None:
        self._provider = provider
        self._who = self._name()
        self._log = logging.getLogger(f"core_chat.{provider}")
        if not hasattr(source, "__anext__"):
            raise self._broken(f"returned {type(source).__name__} from stream_chat, not an async generator")
        self.source: AsyncGenerator[Event, None] = (
            source if isinstance(source, AsyncGeneratorType) else _generator_over(source)
        )
        self._strict = strict
        self._finished = False

    def _name(self) -> str:
        return self._provider

    def _broken(self, what: str) -> PluginError:
        return PluginError(f"{self._who} {what}", plugin=self._provider)

    def check(self, event: Event) -> Event:
        """Return the event as it may be passed on.

        Raises:
            PluginError: It is no event, a malformed `Finish`, or comes after `Finish`.
            InvalidRequestError: The call is strict and the event says that a parameter was not honoured.
        """
        kind = type(event)
        if kind not in _EVENTS:
            raise self._broken(f"yielded {kind.__name__}, which is no event")
        if self._finished:
            raise self._broken(f"yielded {kind.__name__} after Finish")
        if isinstance(event, Finish):
            self._check_finish(event)
            self._finished = True
        elif self._strict and isinstance(event, Notice) and event.parameter is not None:
            raise InvalidRequestError(f"{self._provider}: {event.text}", parameter=event.parameter)
        elif isinstance(event, Route) and event.provider != self._provider:
            return evolve(event, provider=self._provider)
        return event

    def _check_finish(self, event: Finish) -> None:
        if event.reason not in _REASONS:
            raise self._broken(f"yielded Finish({event.reason!r}): the reason is one of {', '.join(sorted(_REASONS))}")
        try:
            json.dumps(event.state, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise self._broken("yielded Finish with a state that is no JSON data") from error

    def ended(self) -> None:
        """Check, at the end of the events, that the answer was complete.

        Raises:
            IncompleteStreamError: It was not.
        """
        if not self._finished:
            raise IncompleteStreamError("the answer ended without its end marker", provider=self._provider)

    def translate(self, error: BaseException) -> BaseException:
        """Return the error to raise for what the provider raised."""
        return translate(error, self._provider)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        try:
            event = await self.source.__anext__()
        except StopAsyncIteration:
            self.ended()
            raise
        except BaseException as error:
            found = self.translate(error)
            if found is error:
                raise
            raise found from found.__cause__
        try:
            return self.check(event)
        except CoreError:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close the provider's generator; a failure in there is logged, and hides neither an error nor an answer."""
        try:
            await self.source.aclose()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a provider's clean-up may fail in any way
            self._log.warning("%s failed while it was closed: %s", self._who, type(error).__name__)


class MiddlewareGuard(Guard):
    """The same law for what the host's middleware made of the events; its own errors pass as they are."""

    __slots__ = ()

    def _name(self) -> str:
        return f"middleware around {self._provider}"

    def _broken(self, what: str) -> PluginError:
        return PluginError(f"{self._who} {what}")

    def ended(self) -> None:
        """Check that the middleware passed `Finish` on.

        Raises:
            PluginError: It did not.
        """
        if not self._finished:
            raise self._broken("ended the stream without passing Finish on")

    def translate(self, error: BaseException) -> BaseException:
        """Return the error unchanged: the provider's were named below, others are the host's."""
        return error


def translate(error: BaseException, provider: str) -> BaseException:
    """Return the error of the tree for whatever a provider raised, its cause set.

    What ends a task is returned as it is.
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, ProviderError):
        error.provider = provider
    if isinstance(error, CoreError) or not isinstance(error, Exception | SystemExit):
        return error
    found = _named(error, provider)
    found.__cause__ = error
    return found


def _named(error: BaseException, provider: str) -> CoreError:
    if isinstance(error, ConnectionError) or type(error).__module__.partition(".")[0] == "aiohttp":
        from core_chat.http import transport_error

        found = transport_error(error)
        found.provider = provider
        return found
    if isinstance(error, TimeoutError):
        return TimedOutError("the upstream took too long", provider=provider)
    return PluginError(f"{provider} failed with {type(error).__name__}", plugin=provider)


async def _generator_over(source: AsyncIterator[Event]) -> AsyncGenerator[Event, None]:
    """Make a generator of an iterator of another kind, which middleware may return."""
    try:
        async for event in source:
            yield event
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()
