"""A provider in a real registry, over a scripted upstream."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from attrs import define, field, frozen

from core_chat._stream import ChatStream
from core_chat.clock import Clock
from core_chat.errors import CoreError
from core_chat.events import Event, Notice, TextDelta
from core_chat.registry import Registry
from core_chat.requests import Retry
from core_chat.testing.clock import ManualClock
from core_chat.testing.requests import Request
from core_chat.testing.responses import Response
from core_chat.testing.upstream import Script, Upstream

Play: TypeAlias = Script | Sequence[Script] | Mapping[str, Script | Sequence[Script]]
"""What an upstream answers during one call: one response, several in order, or routes as `Upstream` takes them."""

Fault: TypeAlias = Callable[[Response], Response]


@define(eq=False)
class Outcome:
    """What one call gave: its events, and the error that ended it."""

    events: list[Event] = field(factory=list)
    error: CoreError | None = None

    @property
    def pieces(self) -> list[str]:
        """The text of each text event."""
        return [event.text for event in self.events if isinstance(event, TextDelta)]

    @property
    def noticed(self) -> set[str | None]:
        """The parameters that notices named."""
        return {event.parameter for event in self.events if isinstance(event, Notice)}


@define(eq=False, kw_only=True)
class Bench:
    """One registry, its upstream and the full name of the model to ask."""

    provider: object
    registry: Registry
    upstream: Upstream
    model: str
    prompt: str
    key: str

    def stream(self, messages: Any = None, **parameters: Any) -> ChatStream:
        """Return a stream that asks with the test's key."""
        return self.registry.stream(self.model, messages or self.prompt, **{"api_key": self.key, **parameters})

    async def ask(self, messages: Any = None, **parameters: Any) -> Outcome:
        """Make one call to its end or its error."""
        outcome = Outcome()
        try:
            async with self.stream(messages, **parameters) as stream:
                async for event in stream:
                    outcome.events.append(event)
        except CoreError as error:
            outcome.error = error
        return outcome


@frozen(kw_only=True)
class FaultAt:
    """A fault, and the number of the request whose response gets it; None is every streamed one."""

    fault: Fault
    number: int | None = None

    def __call__(self, request: Request, response: Response) -> Response:
        """Return the response for a request."""
        hit = is_streamed(response) if self.number is None else request.number == self.number
        return self.fault(response) if hit else response


def is_streamed(response: Response) -> bool:
    """Whether a response comes piece by piece, without a length."""
    return response.framing != "length"


def scripted(play: Play, *, times: int = 1) -> tuple[list[Script], dict[str, Script | Sequence[Script]]]:
    """Return the script and the routes of a play, enough for that many calls."""
    if isinstance(play, Mapping):
        routes: dict[str, Script | Sequence[Script]] = {
            route: [*item] * times if isinstance(item, Sequence) else item for route, item in play.items()
        }
        return [], routes
    return ([*play] if isinstance(play, Sequence) else [play]) * times, {}


@asynccontextmanager
async def registry_over(provider: object, *, name: str, clock: Clock | None) -> AsyncIterator[Registry]:
    """Yield a registry that holds just this provider and makes one attempt for each call."""
    async with Registry(only=(), retry=Retry(attempts=1), clock=clock or ManualClock()) as registry:
        registry.register(provider, name)
        yield registry
