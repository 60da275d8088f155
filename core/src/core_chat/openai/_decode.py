"""From the data of one server-sent event to events of ours, without I/O."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from attrs import evolve

from core_chat.errors import IncompleteStreamError, ProtocolError, ProviderError, UnavailableError
from core_chat.events import Event, Finish, Route, TextDelta
from core_chat.http.failures import Failure, redact
from core_chat.openai._content import Content
from core_chat.openai._errors import Refine, looks_like_error, stream_error
from core_chat.openai._reasons import has_failed, reason_of
from core_chat.openai._tools import ToolCalls
from core_chat.openai._wire import Choice, Chunk, Delta, read_chunk, read_usage


def _as_it_is(_failure: Failure) -> None:
    return None


class ChatDecoder:
    """Decodes one answer: `feed` it the data of every event, then drain `end`.

    Args:
        route: Told before the first piece, with the answer's id where it has none yet.
        headers: Those of the answer, for the errors inside it.
        secrets: Credentials to cut out of what errors quote.
        refine: Gives a more exact error for a failure than the default, or None.

    Attributes:
        started: Whether any piece has been read.
        done: Whether the end marker `[DONE]` has come; nothing counts after it.
    """

    __slots__ = (
        "_calls",
        "_content",
        "_headers",
        "_index",
        "_raw_reason",
        "_refine",
        "_route",
        "_secrets",
        "_usage",
        "done",
        "started",
    )

    def __init__(
        self,
        *,
        route: Route | None = None,
        headers: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        refine: Refine = _as_it_is,
    ) -> None:
        self._route = route
        self._headers = headers
        self._secrets = secrets
        self._refine = refine
        self._content = Content()
        self._calls = ToolCalls()
        self._usage: Any = None
        self._raw_reason: str | None = None
        self._index: object = None
        self.started = False
        self.done = False

    @property
    def finished(self) -> bool:
        """Whether the upstream has said that the answer ended; its usage may still follow."""
        return self.done or self._raw_reason is not None

    def feed(self, data: bytes, event: str = "message") -> list[Event]:
        """Return the events of one piece: its reasoning, its text, its tool calls.

        Raises:
            ProviderError: The upstream reports an error.
            ProtocolError: This is no piece of a chat answer.
        """
        if self.done:
            return []
        try:
            chunk = read_chunk(data)
        except ValueError as error:
            return self._odd(data, event=event, cause=error)
        if chunk.error or event == "error" or (chunk.choices is None and _is_error(data, chunk)):
            raise self._error(data)
        events: list[Event] = []
        if not self.started:
            self._start(chunk, events)
        for choice in chunk.choices or ():
            self._read_choice(choice, events)
        if chunk.usage or chunk.x_groq:
            self._usage = chunk.usage or (chunk.x_groq and chunk.x_groq.usage) or self._usage
        return events

    def read_body(self, body: bytes) -> list[Event]:
        """Return the events of an answer that is no stream; `end` gives the rest.

        Raises:
            ProviderError: The body reports an error.
            ProtocolError: The body is something else.
        """
        events = self.feed(body)
        if self._index is None:
            raise ProtocolError("the upstream answered with JSON that holds no chat answer", got=self._quote(body))
        self.done = True
        return events

    def end(self) -> Iterator[Event]:
        """Yield what was held back, the usage and the `Finish`.

        Raises:
            IncompleteStreamError: There was neither a finish reason nor the end marker, or nothing at all.
            UnavailableError: The upstream gave up on its answer.
        """
        yield from self._content.flush()
        if (usage := read_usage(self._usage)) is not None:
            yield usage
        raw = self._raw_reason
        if has_failed(raw):
            raise UnavailableError(f"the upstream gave its answer up: it ended with {raw!r}")
        if raw is None and not (self.done and self._index is not None):
            raise IncompleteStreamError("the answer broke off: its end did not come")
        yield Finish(reason_of(raw, called=bool(self._calls)), raw=raw)

    def _start(self, chunk: Chunk, events: list[Event]) -> None:
        self.started = True
        if self._route is not None:
            events.append(
                evolve(self._route, upstream_id=self._route.upstream_id or (str(chunk.id) if chunk.id else None))
            )

    def _read_choice(self, choice: Choice, events: list[Event]) -> None:
        if choice.index != self._index:
            self._check_index(choice)
        delta = choice.delta or choice.message
        if delta is None:
            events.extend(self._content.text(choice.text))
        else:
            thought = delta.reasoning or delta.reasoning_content or delta.reasoning_text
            if thought:
                events.extend(self._content.reasoning(thought))
            if content := delta.content or delta.refusal:
                if self._content.plain and type(content) is str:
                    events.append(TextDelta(content))
                else:
                    events.extend(self._content.text(content))
            if delta.tool_calls or delta.function_call:
                events.extend(self._tool_calls(delta, whole=choice.message is not None))
        if choice.finish_reason:
            self._raw_reason = str(choice.finish_reason)
        if choice.usage:
            self._usage = choice.usage

    def _check_index(self, choice: Choice) -> None:
        if self._index is not None and choice.index is not None:
            raise ProtocolError("the upstream sends several answers at once; one was asked for", got="several choices")
        self._index = 0 if choice.index is None else choice.index

    def _tool_calls(self, delta: Delta, *, whole: bool) -> Iterator[Event]:
        yield from self._content.flush()
        yield from self._calls.read(delta.tool_calls or {"index": 0, "function": delta.function_call}, whole=whole)

    def _odd(self, data: bytes, *, event: str, cause: Exception) -> list[Event]:
        if data.strip() == b"[DONE]":
            self.done = True
            return []
        if event == "error" or b'"error"' in data or looks_like_error(_parsed(data)):
            raise self._error(data) from cause
        raise ProtocolError("the upstream sent a piece that is no chat answer", got=self._quote(data)) from cause

    def _error(self, data: bytes) -> ProviderError:
        error = stream_error(data, secrets=self._secrets, refine=self._refine, headers=self._headers)
        error.retryable = error.retryable and not self.started  # what has begun may run on, and cost
        return error

    def _quote(self, data: bytes) -> str:
        return redact(data.decode("utf-8", "replace"), self._secrets)[:200]


def _is_error(data: bytes, chunk: Chunk) -> bool:
    """Whether what holds no choices is an error that does not call itself one; usage alone is none, nor is a ping."""
    return chunk.usage is None and looks_like_error(_parsed(data))


def _parsed(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
