"""One streamed answer: deadlines, retries, the fold of its events, and the close."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from types import TracebackType
from typing import Any, Literal, Self

from core_chat._deadline import DeadlineExpiredError
from core_chat._guard import Guard
from core_chat._patience import Patience
from core_chat._retry import Tries
from core_chat.errors import CoreError, ProviderError, RegistryClosedError
from core_chat.events import CONTENT, Event, Finish, Notice, TextDelta
from core_chat.reply import Fold, Reply
from core_chat.requests import ChatRequest, Retry

_CONTENT = frozenset(CONTENT)
_SHOWN_FIRST = _CONTENT | {Finish}
_UNREADABLE = {
    "new": "enter the stream first: async with registry.stream(…)",
    "failed": "the stream has failed; call registry.stream again",
    "closed": "the stream is closed",
}


class ChatStream:
    """An answer as it comes: an async context manager and the iterator of its events.

    ```python
    async with registry.stream("replicate:", "Why is the sky blue?") as stream:
        async for event in stream:
            ...
    ```
    Leaving the block closes the connection at once and cancels the upstream's work where that is possible. Nothing is
    sent before the first event is asked for. After an error, or a cancellation while it was read, there is nothing more
    to be read.
    """

    def __init__(
        self,
        attempt: Callable[[ChatRequest], Guard],
        request: ChatRequest,
        *,
        retry: Retry,
        before: Iterable[Any] = (),
        notices: Iterable[Notice] = (),
    ) -> None:
        self.request = request
        self._attempt = attempt
        self._before = tuple(before)
        self._notices = tuple(notices)
        self._patience = Patience(request.timeouts, request.clock)
        self._deadline = self._patience.deadline
        self._idle = request.timeouts.idle
        self._tries = Tries(retry, target=request.model.full_name, clock=request.clock)
        self._state: Literal["new", "open", "beginning", "started", "done", "failed", "closed"] = "new"
        self._guard: Guard | None = None
        self._closing = asyncio.Lock()
        self._source: Any = None  # the guard's, while its events can go straight through
        self._queue: deque[Event] = deque()
        self._fold = self._new_fold()
        self._log = logging.getLogger(f"core_chat.{request.model.provider}")

    def __repr__(self) -> str:
        return f"<ChatStream {self.request.model.full_name} {self._state}>"

    def _new_fold(self) -> Fold:
        fold = Fold(self.request.model.provider, self._before)
        for notice in self._notices:
            fold.add(notice)
        return fold

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise RegistryClosedError("a stream can be entered once; call registry.stream again")
        self._state = "open"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection and cancel the upstream's work; leaving the `async with` block does it.

        A task that is reading meanwhile gets a `RegistryClosedError`.
        """
        self._state = "closed"
        await self._patience.end()
        await self._release()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        source = self._source
        if source is None:
            return await self._off_path()
        step = source.__anext__()
        try:
            try:
                waits_for = step.send(None)
            except StopIteration as ready:
                event: Event = ready.value
            else:
                if self._patience.left is None:
                    event = await self._deadline.rest_of(step, waits_for=waits_for, seconds=self._idle)
                else:
                    event = await self._patience.rest_of(step, waits_for, seconds=self._idle, which="idle")
            if type(event) is TextDelta:
                self._fold.text.append(event.text)
                return event
            return await self._take(event)
        except BaseException as error:
            found = self._tries.told_by(await self._failed(error))
            if found is error:
                raise
            raise found from found.__cause__

    async def text(self) -> AsyncGenerator[str, None]:
        """Yield only the pieces of text."""
        async for event in self:
            if type(event) is TextDelta:
                yield event.text

    async def reply(self) -> Reply:
        """Read the rest of the stream and return the whole answer, what was read before included.

        An answer that was read to its end can be had after the block, too.
        """
        if self._state != "closed" or not self._fold.complete:
            async for _ in self:
                pass
        return self._fold.reply()

    async def _off_path(self) -> Event:
        """Return an event that does not come straight from the provider: the first ones, or none at the end."""
        if self._state == "open":
            self._state = "beginning"
            await self._begin()
        if self._state == "beginning":
            raise RuntimeError("another task is reading this stream")
        if self._state in _UNREADABLE:
            raise RegistryClosedError(_UNREADABLE[self._state])
        if not self._queue:
            raise StopAsyncIteration
        event = self._queue.popleft()
        if not self._queue and self._guard is not None:
            self._source = self._guard.source
        return event

    async def _begin(self) -> None:
        """Make attempts until one brings content or its end; only then are its events shown."""
        while True:
            try:
                await self._start()
                break
            except BaseException as error:
                found = await self._failed(error)
                wait = None if self._state == "closed" else self._tries.wait(found, left=self._patience.left)
                if wait is None:
                    if self._tries.told_by(found) is error:
                        raise
                    raise found from found.__cause__
            await self._pause(wait)
        self._queue.extendleft(reversed(self._notices))

    async def _start(self) -> None:
        request = self.request
        self._fold = self._new_fold()
        guard = self._guard = self._attempt(request)
        allowed = request.timeouts.first_event
        since = request.clock.time()
        while True:
            left = None if allowed is None else max(0.0, allowed - (request.clock.time() - since))
            event = await self._take(await self._patience.next(guard.source, seconds=left, which="first_event"))
            self._queue.append(event)
            if type(event) in _SHOWN_FIRST:
                break
        if self._state == "beginning":
            self._state = "started"

    async def _pause(self, seconds: float) -> None:
        self._log.debug(
            "%s: attempt %d failed; the next in %.1f s", self.request.model.full_name, self._tries.made, seconds
        )
        self._state = "beginning"
        try:
            await self._patience.pause(seconds)
        except BaseException:
            self._break_off()
            raise

    async def _take(self, event: Event) -> Event:
        """Check and fold an event; `Finish` is passed on once the provider has really ended."""
        guard = self._guard
        if guard is None:
            raise RegistryClosedError(_UNREADABLE["closed"])
        event = guard.check(event)
        if type(event) is Finish:
            await self._end(guard)
        self._fold.add(event)
        return event

    async def _end(self, guard: Guard) -> None:
        try:
            late = await self._patience.next(guard.source, seconds=self._idle, which="idle")
        except StopAsyncIteration:
            self._source = None
            await self._release()
            if self._state != "closed":
                self._state = "done"
        else:
            guard.check(late)

    async def _failed(self, error: BaseException) -> BaseException:
        """Close the attempt, and return what is to be raised for whatever went wrong in it."""
        if isinstance(error, GeneratorExit):
            return error
        if self._deadline.waiting:
            return RuntimeError("another task is reading this stream")
        guard = self._guard
        self._break_off()
        await self._release()
        if isinstance(error, DeadlineExpiredError):
            error = self._patience.too_late("idle", error)
        if guard is not None:
            error = _at_end(guard) if isinstance(error, StopAsyncIteration) else guard.translate(error)
        if isinstance(error, ProviderError):
            error.provider = self.request.model.provider
            error.partial = self._fold.reply()
            self._tries.note(error)
        if isinstance(error, Exception):
            self._log.debug("%s failed: %s", self.request.model.full_name, type(error).__name__)
        return error

    def _break_off(self) -> None:
        """Let nothing be read any more."""
        if self._state != "closed":
            self._state = "failed"
        self._queue.clear()

    async def _release(self) -> None:
        """Close the provider's generator and drop the timer; who comes second waits until that is done."""
        self._source = None
        self._deadline.close()
        async with self._closing:
            guard, self._guard = self._guard, None
            if guard is not None:
                await guard.aclose()


def _at_end(guard: Guard) -> BaseException:
    """Return what the end of a provider's events comes to."""
    try:
        guard.ended()
    except CoreError as error:
        return error
    return StopAsyncIteration()
