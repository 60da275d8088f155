"""One streamed answer: deadlines, retries, the fold of its events, and the close."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from types import TracebackType
from typing import Any, Literal, Self

from core_chat._deadline import Deadline, DeadlineExpiredError, Step
from core_chat._guard import Guard
from core_chat._retry import wait_before_retry
from core_chat.errors import Attempt, CoreError, ProviderError, RegistryClosedError, TimedOutError, TimeoutKind
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
_TOLD = {"first_event": "no answer came within", "idle": "nothing came for", "total": "the answer took more than"}


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
        self._retry = retry
        self._before = tuple(before)
        self._notices = tuple(notices)
        self._deadline = Deadline(request.clock)
        self._left = request.timeouts.total
        self._idle = request.timeouts.idle
        self._state: Literal["new", "open", "beginning", "started", "done", "failed", "closed"] = "new"
        self._guard: Guard | None = None
        self._closing = asyncio.Lock()
        self._source: Any = None  # the guard's, while its events can go straight through
        self._queue: deque[Event] = deque()
        self._attempts: list[Attempt] = []
        self._tries = 0
        self._waited = 0.0
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
        await self._deadline.interrupt()
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
                if self._left is None:
                    event = await self._deadline.rest_of(step, waits_for=waits_for, seconds=self._idle)
                else:
                    event = await self._wait(step, waits_for, seconds=self._idle, which="idle")
            if type(event) is TextDelta:
                self._fold.text.append(event.text)
                return event
            return await self._take(event)
        except BaseException as error:
            found = self._last(await self._failed(error))
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
                wait = self._wait_before_retry(found)
                if wait is None:
                    if self._last(found) is error:
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
            event = await self._take(await self._next(guard, seconds=left, which="first_event"))
            self._queue.append(event)
            if type(event) in _SHOWN_FIRST:
                break
        if self._state == "beginning":
            self._state = "started"

    def _wait_before_retry(self, error: BaseException) -> float | None:
        """Return the seconds until the next attempt, or None where there is none."""
        if not isinstance(error, ProviderError):
            return None
        name, clock = self.request.model.full_name, self.request.clock
        self._tries += 1
        wait = wait_before_retry(self._retry, error, tried=self._tries, waited=self._waited, clock=clock)
        if wait is None or self._state == "closed" or (self._left is not None and wait >= self._left):
            return None
        self._log.debug("%s: attempt %d failed; the next in %.1f s", name, self._tries, wait)
        return wait

    async def _pause(self, seconds: float) -> None:
        self._state = "beginning"
        self._waited += seconds
        if self._left is not None:
            self._left -= seconds
        try:
            with self._deadline.running(None):
                await self.request.clock.sleep(seconds)
        except DeadlineExpiredError as error:
            raise RegistryClosedError(_UNREADABLE["closed"]) from error
        except BaseException:
            self._state = "failed"
            raise

    async def _next(self, guard: Guard, *, seconds: float | None, which: TimeoutKind) -> Event:
        step: Step = guard.source.__anext__()
        try:
            waits_for = step.send(None)
        except StopIteration as ready:
            event: Event = ready.value
            return event
        return await self._wait(step, waits_for, seconds=seconds, which=which)

    async def _wait(self, step: Step, waits_for: Any, *, seconds: float | None, which: TimeoutKind) -> Event:
        """Wait for an event that is not there yet; only this takes of the time the upstream has."""
        left = self._left
        began = 0.0
        if left is not None:
            began = self.request.clock.time()
            if seconds is None or left < seconds:
                seconds, which = left, "total"
        try:
            event: Event = await self._deadline.rest_of(step, waits_for=waits_for, seconds=seconds)
        except DeadlineExpiredError as error:
            raise self._too_late(which, error) from error
        finally:
            if left is not None:
                self._left = max(0.0, left - (self.request.clock.time() - began))
        return event

    def _too_late(self, which: TimeoutKind, cause: DeadlineExpiredError) -> Exception:
        found: Exception = RegistryClosedError("the stream was closed while it was read")
        if self._state != "closed":
            allowed = getattr(self.request.timeouts, which)
            found = TimedOutError(f"{_TOLD[which]} {allowed:g} s", timeout=which)
        found.__cause__ = cause
        return found

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
            late = await self._next(guard, seconds=self._idle, which="idle")
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
        if self._state != "closed":
            self._state = "failed"
        self._queue.clear()
        await self._release()
        if isinstance(error, DeadlineExpiredError):
            error = self._too_late("idle", error)
        if guard is not None:
            error = _at_end(guard) if isinstance(error, StopAsyncIteration) else guard.translate(error)
        if isinstance(error, ProviderError):
            error.provider = self.request.model.provider
            error.partial = self._fold.reply()
            self._attempts.extend(error.attempts or [error.as_attempt(self.request.model.full_name)])
        if isinstance(error, Exception):
            self._log.debug("%s failed: %s", self.request.model.full_name, type(error).__name__)
        return error

    def _last(self, error: BaseException) -> BaseException:
        """Let the error that is raised tell of all that was tried."""
        if isinstance(error, ProviderError) and len(self._attempts) > 1:
            error.attempts = tuple(self._attempts)
        return error

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
