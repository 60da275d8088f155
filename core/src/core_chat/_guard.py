"""The stream law, kept around one provider's events: any number of them, then exactly one `Finish`, last."""

from collections.abc import AsyncIterator
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
from core_chat.events import Event, Finish, Notice, Route

_EVENTS = frozenset(get_args(Event))


class Guard:
    """An async iterator over a provider's events that lets only lawful ones through and names every failure.

    `ChatStream` looks through it (`source`, `check`, `translate`) when no middleware stands between, so that one layer
    of the core is passed per event.
    """

    __slots__ = ("_finished", "_provider", "_strict", "source")

    def __init__(self, source: Any, *, provider: str, strict: bool = False) -> None:
        if not hasattr(source, "__anext__"):
            raise PluginError(
                f"{provider}: stream_chat returned {type(source).__name__}, not an async generator", plugin=provider
            )
        self.source: AsyncIterator[Event] = source
        self._provider = provider
        self._strict = strict
        self._finished = False

    def check(self, event: Event) -> Event:
        """Return the event as it may be passed on.

        Raises:
            PluginError: It is no event, or comes after `Finish`.
            InvalidRequestError: The call is strict and the event says that a parameter was not honoured.
        """
        kind = type(event)
        if kind not in _EVENTS:
            raise PluginError(f"{self._provider} yielded {kind.__name__}, which is no event", plugin=self._provider)
        if self._finished:
            raise PluginError(f"{self._provider} yielded {kind.__name__} after Finish", plugin=self._provider)
        if kind is Finish:
            self._finished = True
        elif self._strict and isinstance(event, Notice) and event.parameter is not None:
            raise InvalidRequestError(f"{self._provider}: {event.text}", parameter=event.parameter)
        elif isinstance(event, Route) and event.provider != self._provider:
            return evolve(event, provider=self._provider)
        return event

    def ended(self) -> None:
        """Check, at the end of the events, that the answer was complete.

        Raises:
            IncompleteStreamError: It was not.
        """
        if not self._finished:
            raise IncompleteStreamError("the answer ended without its end marker", provider=self._provider)

    def translate(self, error: Exception) -> Exception:
        """Return the error of the tree for whatever a provider raised."""
        if isinstance(error, ProviderError):
            error.provider = self._provider
        if isinstance(error, CoreError):
            return error
        if isinstance(error, TimeoutError):
            return TimedOutError("the upstream took too long", provider=self._provider)
        if type(error).__module__.partition(".")[0] == "aiohttp":
            from core_chat.http import transport_error

            found = transport_error(error)
            found.provider = self._provider
            return found
        return PluginError(f"{self._provider} failed with {type(error).__name__}", plugin=self._provider)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        try:
            event = await self.source.__anext__()
        except StopAsyncIteration:
            self.ended()
            raise
        except Exception as error:
            found = self.translate(error)
            if found is error:
                raise
            raise found from error
        try:
            return self.check(event)
        except CoreError:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close the provider's generator."""
        close = getattr(self.source, "aclose", None)
        if close is not None:
            await close()


class MiddlewareGuard(Guard):
    """The same law for what the host's middleware made of the events; its own errors pass as they are."""

    __slots__ = ()

    def ended(self) -> None:
        """Check that the middleware passed `Finish` on.

        Raises:
            PluginError: It did not.
        """
        if not self._finished:
            raise PluginError("middleware ended the stream without passing Finish on")

    def translate(self, error: Exception) -> Exception:
        """Return the error unchanged: the provider's were named below, others are the host's."""
        return error
