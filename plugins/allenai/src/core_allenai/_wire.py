"""The lines of an answer, in any of the three generations of the wire: read by their shape, without I/O.

Facts: allenai/olmo-api, `v4/message/stream` of 2025, `v4/threads/` of 2026-01 and `v5/threads/chat` of 2026-03.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from core_allenai._errors import stream_error
from core_allenai._lines import Channel, arguments_of, get, messages_of, read_line, text_of
from core_chat.errors import ContextLengthError, IncompleteStreamError, ProtocolError, ProviderError
from core_chat.events import Event, Finish, FinishReason, Notice, ReasoningDelta, Route, TextDelta, ToolCallDelta
from core_chat.http import message_in, redact

_log = logging.getLogger("core_chat.allenai")
_SERVICE_TOOLS = frozenset({"internal", "model_context_protocol"})
_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
_FAILED = frozenset(
    {"unclosed stream", "aborted", "model overloaded", "bad connection", "value error", "tool error", "unknown"}
)


class ThreadReader:
    """Turns the lines of one answer into events.

    A line is a chunk of text, of reasoning or of a tool call; a failure; or a state of the thread, from which the ids
    are learnt and whatever text no chunk brought (v5 puts the first piece of an answer there).

    Args:
        model: What was asked for, for the `Route`.
        provider: The provider's name, for the `Route`.
        after: The id of the message this turn continues; it and what stands before it is no part of the answer.
        secret: The caller's key, to be cut out of what the service tells of failures.

    Attributes:
        root: The id of the thread.
        answer: The id of the last assistant message, which the next turn continues.
        last: The id of the last message of any role.
        complete: Whether the answer has ended as it should.
        failure: What the lines told of going wrong, to be raised at their end.
    """

    def __init__(
        self, *, model: str, provider: str = "allenai", after: str | None = None, secret: str | None = None
    ) -> None:
        self.root: str | None = None
        self.answer: str | None = None
        self.last: str | None = None
        self.complete = False
        self._provider = provider
        self._model = model
        self._after = after
        self._secret = secret
        self._routed = False
        self._started = False
        self._text = Channel(TextDelta)
        self._thoughts = Channel(ReasoningDelta)
        self._calls: dict[str, int] = {}
        self._service_calls: set[str] = set()
        self.failure: ProviderError | None = None
        self._may_recover = False
        self._finish_reason: str | None = None

    def feed(self, line: bytes) -> list[Event]:
        """Return the events of one line.

        Raises:
            ProviderError: The line reports that the answer failed, or is no line of this protocol.
        """
        data = read_line(line, secret=self._secret)
        kind = data.get("type")
        if kind == "modelResponse" or (kind is None and "content" in data and "role" not in data):
            return self._piece(data, self._text)
        if kind == "thinking":
            return self._piece(data, self._thoughts)
        if kind == "toolCall":
            return list(self._tool_call(data))
        if "messages" in data or ("role" in data and "id" in data):
            return list(self._state(data))
        return list(self._mark(data, kind))

    def _mark(self, data: Mapping[str, Any], kind: Any) -> Iterator[Event]:
        if kind == "start":
            self._started = True
            self.root = text_of(data, "message") or self.root
        elif kind == "end":
            self.complete = True
            self.close()
        elif kind == "error":
            yield from self._typed_error(data)
        elif "error" in data:
            text = message_in(data["error"]) or str(data["error"])
            raise stream_error(redact(text, [self._secret]), reason=str(data.get("reason", "")))
        else:
            _log.debug("a line of unknown type %r was skipped", kind)

    def _typed_error(self, data: Mapping[str, Any]) -> Iterator[Event]:
        code = str(data.get("errorCode", ""))
        text = redact(str(data.get("errorDescription") or code), [self._secret])
        if data.get("errorSeverity") in ("warning", "info"):
            yield Notice("upstream_warning", text)
            return
        self.failure = stream_error(text, reason=code)
        self._may_recover = code == "toolCallError"

    def _piece(self, data: Mapping[str, Any], channel: Channel) -> list[Event]:
        text = data.get("content")
        if not isinstance(text, str):
            raise ProtocolError("a chunk of the answer has no text", got=type(text).__name__)
        if not text:
            return []
        before = () if self._routed and self.failure is None else self._before_content()
        return [*before, channel.add(str(data.get("message")), text)]

    def _before_content(self) -> Iterator[Event]:
        """A tool call that failed is forgiven once the model goes on; everything else stays a failure."""
        if not self._routed:
            yield self._route({})
        if self.failure is not None and self._may_recover:
            yield Notice("tool_call_failed", self.failure.text)
            self.failure = None

    def _route(self, message: Mapping[str, Any]) -> Route:
        self._routed = True
        model = text_of(message, "modelId") or self._model
        return Route(self._provider, model, backend=text_of(message, "modelHost"), upstream_id=self.root)

    def _tool_call(self, data: Mapping[str, Any]) -> Iterator[Event]:
        call_id = str(get(data, "toolCallId") or "")
        name = text_of(data, "toolName") or None
        arguments = arguments_of(data)
        if call_id in self._service_calls:
            return
        if call_id in self._calls:
            if arguments:
                yield ToolCallDelta(self._calls[call_id], arguments=arguments)
            return
        yield from self._before_content()
        yield from self._new_call(call_id, name, arguments=arguments, source=get(data, "toolSource"))

    def _new_call(self, call_id: str, name: str | None, *, arguments: str, source: Any) -> Iterator[Event]:
        if source in _SERVICE_TOOLS:
            self._service_calls.add(call_id)
            yield Notice("service_tool", f"the service ran its own tool {name}")
            return
        self._calls[call_id] = len(self._calls)
        yield ToolCallDelta(self._calls[call_id], id=call_id, name=name, arguments=arguments)

    def _state(self, data: Mapping[str, Any]) -> Iterator[Event]:
        messages = [message for message in messages_of(data) if isinstance(message.get("id"), str)]
        seen = [message["id"] for message in messages]
        if self._after in seen[:-1]:
            messages = messages[seen.index(self._after) + 1 :]
        if not messages:
            return
        self.root = self.root or text_of(messages[0], "root") or messages[0]["id"]
        if not self._routed:
            yield self._route(messages[-1])
        for message in messages:
            yield from self._message(message, recovers=data.get("type") == "addMessage")
        if not self._started and "type" not in data and messages[-1].get("final") is True:
            self.complete = True  # the first builds had neither a start nor an end line

    def _message(self, message: Mapping[str, Any], *, recovers: bool) -> Iterator[Event]:
        self.last = message_id = message["id"]
        if message.get("role") != "assistant":
            return
        self.answer = message_id
        if recovers:
            yield from self._before_content()
        yield from self._thoughts.rest(message_id, message.get("thinking"))
        yield from self._text.rest(message_id, message.get("content"))
        if message.get("final") is True:
            yield from self._unseen_calls(message)
            self._stored_end(message)

    def _unseen_calls(self, message: Mapping[str, Any]) -> Iterator[Event]:
        calls = get(message, "toolCalls")
        for call in calls if isinstance(calls, list) else ():
            call_id = str(get(call, "toolCallId") or "")
            if call_id not in self._calls and call_id not in self._service_calls:
                yield from self._new_call(
                    call_id,
                    text_of(call, "toolName"),
                    arguments=arguments_of(call),
                    source=get(call, "toolSource"),
                )

    def _stored_end(self, message: Mapping[str, Any]) -> None:
        reason = text_of(message, "finishReason")
        if reason is None and get(message, "isLimitReached") is True:
            reason = "length"
        self._finish_reason = reason
        if self.failure is None and (reason in _FAILED or text_of(message, "errorCode")):
            text = text_of(message, "errorDescription") or f"the answer ended early: {reason}"
            self.failure = stream_error(redact(text, [self._secret]), reason=reason or "")

    def close(self) -> None:
        """Check, at the end of the lines, that the answer is whole.

        Raises:
            ProviderError: A failure was told, or the closing line is missing.
        """
        if self.failure is not None:
            raise self.failure
        if not self.complete:
            raise IncompleteStreamError("the answer ended without its closing line")
        if self._finish_reason == "length" and self._text.is_empty and self._thoughts.is_empty:
            raise ContextLengthError("the messages leave the model no room for an answer")

    def finish(self, state: Any) -> Finish:
        """Return the last event of a whole answer."""
        reason = self._finish_reason
        if self._calls:
            return Finish("tool_calls", raw=reason, state=state)
        return Finish("stop" if reason is None else _REASONS.get(reason, "other"), raw=reason, state=state)
