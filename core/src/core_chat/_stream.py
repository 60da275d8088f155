"""One streamed answer: deadlines, retries, the fold of its events, and the close."""

import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from types import TracebackType
from typing import Any, Literal, NoReturn, Self

from core_chat._deadline import Deadline, DeadlineExpiredError
from core_chat._guard import Guard
from core_chat._retry import wait_before_retry
from core_chat.errors import Attempt, CoreError, ProviderError, RegistryClosedError, TimedOutError, TimeoutKind
from core_chat.events import CONTENT, Event, Finish, Notice, TextDelta
from core_chat.reply import Fold, Reply
from core_chat.requests import ChatRequest, Retry

_CONTENT = frozenset(CONTENT)


class ChatStream:
    """An answer as it comes: an async context manager and the iterator of its events.

    ```python
    async with registry.stream("replicate:", "Why is the sky blue?") as stream:
        async for event in stream:
            ...
    ```
    Leaving the block closes the connection at once and cancels the upstream's work where that is possible. Nothing is
    sent before the first event is asked for.
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
        self._state: Literal["new", "open", "started", "done", "closed"] = "new"
        self._guard: Guard | None = None
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
        """Close the connection and cancel the upstream's work; leaving the `async with` block does it."""
        self._state = "closed"
        self._queue.clear()
        self._deadline.close()
        guard, self._guard = self._guard, None
        if guard is not None:
            await guard.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._queue:
            return self._queue.popleft()
        if self._state != "started":
            return await self._begin()
        event = await self._pull(self.request.timeouts.idle, "idle")
        if type(event) is TextDelta:
            self._fold.text.append(event.text)
            return event
        return await self._take(event)

    async def text(self) -> AsyncGenerator[str, None]:
        """Yield only the pieces of text."""
        async for event in self:
            if type(event) is TextDelta:
                yield event.text

    async def reply(self) -> Reply:
        """Read the rest of the stream and return the whole answer, what was read before included."""
        async for _ in self:
            pass
        return self._fold.reply()

    async def _begin(self) -> Event:
        """Make attempts until one brings content or its end; only then are its events shown."""
        if self._state == "done":
            raise StopAsyncIteration
        if self._state != "open":
            raise RegistryClosedError(
                "the stream is closed"
                if self._state == "closed"
                else "enter the stream first: async with registry.stream(…)"
            )
        while True:
            try:
                await self._start()
            except ProviderError as error:
                await self._wait_or_raise(error)
            except CoreError:
                self._state = "done"
                raise
            else:
                self._queue.extendleft(reversed(self._notices))
                return self._queue.popleft()

    async def _start(self) -> None:
        request = self.request
        self._fold = self._new_fold()
        self._queue.clear()
        self._guard = self._attempt(request)
        allowed = request.timeouts.first_event
        since = request.clock.time()
        while True:
            left = None if allowed is None else max(0.0, allowed - (request.clock.time() - since))
            event = await self._take(await self._pull(left, "first_event"))
            self._queue.append(event)
            if type(event) in _CONTENT or type(event) is Finish:
                break
        if self._state == "open":
            self._state = "started"

    async def _take(self, event: Event) -> Event:
        """Fold an event in; `Finish` is passed on once the provider has really ended."""
        self._fold.add(event)
        if type(event) is Finish:
            await self._end()
        return event

    async def _end(self) -> None:
        try:
            await self._pull(self.request.timeouts.idle, "idle")
        except StopAsyncIteration:
            self._state = "done"
            await self._drop()
            self._deadline.close()

    async def _pull(self, seconds: float | None, which: TimeoutKind) -> Event:
        """Return the next lawful event; whatever goes wrong closes the attempt and is raised by its right name."""
        guard = self._guard
        if guard is None:
            raise RegistryClosedError("the stream is closed")
        if self._left is not None:
            return await self._pull_within_total(seconds, which)
        try:
            with self._deadline.running(seconds):
                event = await guard.source.__anext__()
            return guard.check(event)
        except StopAsyncIteration:
            await self._stop(guard)
            raise
        except DeadlineExpiredError as error:
            await self._fail(guard, TimedOutError(f"nothing came for {seconds or 0:g} s", timeout=which), error)
        except Exception as error:  # noqa: BLE001 - any of them ends the attempt and is named by the guard
            await self._fail(guard, error)

    async def _pull_within_total(self, seconds: float | None, which: TimeoutKind) -> Event:
        left, self._left = self._left, None
        began = self.request.clock.time()
        shorter = left is not None and (seconds is None or left < seconds)
        try:
            return await self._pull(left if shorter else seconds, "total" if shorter else which)
        finally:
            self._left = max(0.0, (left or 0.0) - (self.request.clock.time() - began))

    async def _stop(self, guard: Guard) -> None:
        try:
            guard.ended()
        except CoreError as error:
            await self._fail(guard, error)

    async def _fail(self, guard: Guard, error: Exception, cause: Exception | None = None) -> NoReturn:
        if self._state == "started":
            self._state = "done"
        await self._drop()
        found = guard.translate(error)
        if isinstance(found, ProviderError):
            found.provider = self.request.model.provider
            found.partial = found.partial or self._fold.reply()
        self._log.debug("%s failed: %s", self.request.model.full_name, type(found).__name__)
        if found is error:
            raise found from (cause or error.__cause__)
        raise found from error

    async def _drop(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            await guard.aclose()

    async def _wait_or_raise(self, error: ProviderError) -> None:
        """Wait before the next attempt, or raise the error with all that was tried."""
        name, clock = self.request.model.full_name, self.request.clock
        self._attempts.extend(error.attempts or [error.as_attempt(name)])
        self._tries += 1
        wait = wait_before_retry(self._retry, error, tried=self._tries, waited=self._waited, clock=clock)
        if wait is None:
            self._state = "done"
            error.attempts = tuple(self._attempts)
            raise error
        self._log.debug("%s: attempt %d failed; the next in %.1f s", name, self._tries, wait)
        self._waited += wait
        await clock.sleep(wait)
