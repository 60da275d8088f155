"""The lines of an answer in the three generations of the wire."""

import json
from collections.abc import Iterator
from typing import Any

from attrs import define

from core_allenai.sandbox._answers import Call, Fault, Say, Think
from core_allenai.sandbox._models import camel
from core_allenai.sandbox._store import Stored, stamp

USER_TOOL = "user_defined"
SERVICE_TOOL = "model_context_protocol"


@define(eq=False)
class Thread:
    """What one request adds to a thread; `answer` is the assistant message now being written."""

    root: str
    is_new: bool
    added: list[Stored]
    answer: Stored | None = None


def _fields(message: Stored) -> dict[str, Any]:
    return {
        "id": message.id,
        "content": message.content,
        "snippet": message.content[:100],
        "creator": message.creator,
        "role": message.role,
        "opts": message.opts,
        "root": message.root,
        "created": stamp(message.created),
        "model_id": message.model,
        "model_host": message.host,
        "deleted": None,
        "parent": message.parent,
        "template": None,
        "completion": None,
        "final": message.final,
        "original": None,
        "private": message.private,
        "model_type": "chat" if message.role == "assistant" else None,
        "finish_reason": message.finish_reason,
        "harmful": None,
        "expiration_time": stamp(message.expires),
        "labels": [],
        "file_urls": message.file_urls or None,
        "thinking": message.thinking,
        "error_code": message.error_code,
        "error_description": message.error_description,
        "error_severity": "error" if message.error_code else None,
    }


def flat(message: Stored, children: list[str]) -> dict[str, Any]:
    """Return a message as the two newer generations show it: camelCase, its children by id."""
    shown = {camel(key): value for key, value in _fields(message).items()}
    return shown | {
        "opts": {camel(key): value for key, value in message.opts.items()},
        "agentId": None,
        "children": children,
        "inputParts": None,
        "isLimitReached": message.finish_reason == "length",
        "isOlderThan30Days": False,
        "toolCalls": message.tool_calls,
        "toolDefinitions": message.tool_definitions,
        "extraParameters": None,
    }


def nested(messages: list[Stored]) -> dict[str, Any]:
    """Return a chain as the oldest generation shows it: snake_case, each message inside the one before."""
    head, *rest = messages
    return _fields(head) | {"logprobs": None, "children": [nested(rest)] if rest else None}


def _flat_all(messages: list[Stored]) -> list[dict[str, Any]]:
    return [flat(message, [child.id for child in messages if child.parent == message.id]) for message in messages]


class V4:
    """`v4/threads/`: snapshots without a type, ASCII, a failure aborts the body."""

    aborts = True

    def encode(self, line: dict[str, Any]) -> bytes:
        """Return a line's bytes."""
        return json.dumps(line, sort_keys=True).encode() + b"\n"

    def snapshot(self, messages: list[Stored]) -> dict[str, Any]:
        """Return the state of what was added."""
        return {"id": messages[0].id, "messages": _flat_all(messages)}

    def opening(self, thread: Thread) -> Iterator[dict[str, Any]]:
        """Yield what comes before the answer."""
        yield {"message": thread.root, "type": "start"}

    def announce(self, thread: Thread, answer: Stored) -> Iterator[dict[str, Any]]:
        """Yield what presents a new, still empty assistant message."""
        yield self.snapshot(thread.added)
        yield {"content": "", "message": answer.id, "type": "modelResponse"}

    def piece(self, answer: Stored, step: Think | Say | Call, *, first: bool) -> Iterator[dict[str, Any]]:  # noqa: ARG002 - v5 needs it
        """Yield the lines of one step of the answer."""
        if isinstance(step, Call):
            yield from _call_lines(answer, step)
        elif isinstance(step, Think):
            yield {"content": step.text, "id": None, "message": answer.id, "type": "thinking"}
        else:
            yield {"content": step.text, "message": answer.id, "type": "modelResponse"}

    def tool_result(self, thread: Thread, result: Stored) -> Iterator[dict[str, Any]]:  # noqa: ARG002 - v5 needs it
        """Yield what shows the result of a tool that the service ran."""
        yield self.snapshot(thread.added)

    def failure(self, message_id: str, fault: Fault) -> dict[str, Any]:
        """Return the line that reports a failure of the backend."""
        return {"error": fault.text, "message": message_id, "reason": fault.reason}

    def closing(self, thread: Thread) -> Iterator[dict[str, Any]]:
        """Yield the stored state, all of it final."""
        yield self.snapshot(thread.added)


class V4Message(V4):
    """`v4/message/stream`: as above, but one nested snake_case object for the state."""

    def encode(self, line: dict[str, Any]) -> bytes:
        """Return a line's bytes."""
        return json.dumps(line).encode() + b"\n"

    def snapshot(self, messages: list[Stored]) -> dict[str, Any]:
        """Return the state of what was added."""
        return nested(messages)


class V5(V4):
    """`v5/threads/chat`: typed lines, raw UTF-8, the first piece inside the new message, failures end cleanly."""

    aborts = False

    def encode(self, line: dict[str, Any]) -> bytes:
        """Return a line's bytes."""
        return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def opening(self, thread: Thread) -> Iterator[dict[str, Any]]:
        """Yield what comes before the answer."""
        yield {"message": thread.root, "type": "start"}
        yield self._messages("startThread" if thread.is_new else "addMessage", thread.added)

    def _messages(self, kind: str, messages: list[Stored]) -> dict[str, Any]:
        return {"message": messages[0].id, "id": messages[0].id, "messages": _flat_all(messages), "type": kind}

    def piece(self, answer: Stored, step: Think | Say | Call, *, first: bool) -> Iterator[dict[str, Any]]:
        """Yield the lines of one step of the answer; the first piece of text is in the message itself."""
        if first:
            yield self._messages("addMessage", [answer])
        if not first or isinstance(step, Call):
            yield from super().piece(answer, step, first=first)

    def tool_result(self, thread: Thread, result: Stored) -> Iterator[dict[str, Any]]:  # noqa: ARG002 - as v4
        """Yield what shows the result of a tool that the service ran."""
        yield self._messages("addMessage", [result])

    def failure(self, message_id: str, fault: Fault) -> dict[str, Any]:
        """Return the line that reports a failure of the backend."""
        code = "toolCallError" if fault.reason == "tool error" else "otherError"
        return error_line(message_id, code, text=fault.text.removeprefix("http error: "))

    def closing(self, thread: Thread) -> Iterator[dict[str, Any]]:
        """Yield the stored state, all of it final."""
        yield self._messages("finalThread", thread.added)


def error_line(message_id: str, code: str, *, text: str) -> dict[str, Any]:
    """Return a typed error line."""
    return {
        "errorCode": code,
        "errorDescription": text,
        "errorSeverity": "error",
        "message": message_id,
        "type": "error",
    }


def _call_lines(answer: Stored, call: Call) -> Iterator[dict[str, Any]]:
    source = USER_TOOL if call.result is None else SERVICE_TOOL
    line = {"message": answer.id, "toolCallId": call.id, "type": "toolCall"}
    yield line | {"args": "", "toolName": call.name, "toolSource": source}
    for piece in call.pieces:
        yield line | {"args": piece, "toolName": "", "toolSource": None}
