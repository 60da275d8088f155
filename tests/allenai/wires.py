"""Hand-written answers in the three generations of the wire, and short ways to read them."""

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from core_allenai._wire import ThreadReader
from core_chat import Event, Route
from core_chat.http import LineSplitter

ROOT, ASKED, ANSWER = "msg_ROOT000000", "msg_ASKED00000", "msg_ANSWER0000"
GENERATIONS = ("v5", "v4", "v4-message", "seed")
"""`seed` is v4-message as it was before its lines had types."""


def message(message_id: str, role: str, content: str = "", **more: Any) -> dict[str, Any]:
    """Return a message as the two newer generations write it, as far as it is read."""
    known = {"id": message_id, "role": role, "content": content, "root": ROOT, "final": False, "thinking": None}
    return {**known, "modelId": "olmo", "modelHost": "hub", "toolCalls": [], "finishReason": None, **more}


def nested(*messages: dict[str, Any]) -> dict[str, Any]:
    """Return messages as the oldest generation writes them."""
    head, *rest = messages
    renamed = {"modelId": "model_id", "modelHost": "model_host", "finishReason": "finish_reason"}
    own = {renamed.get(key, key): value for key, value in head.items() if key != "toolCalls"}
    return {**own, "children": [nested(*rest)] if rest else None}


def chunk(text: str, *, kind: str | None = "modelResponse", message_id: str = ANSWER) -> dict[str, Any]:
    """Return a chunk of text."""
    line = {"message": message_id, "content": text}
    return line if kind is None else {**line, "type": kind}


def call(arguments: Any, *, name: str = "", source: str | None = None, call_id: str = "call_1") -> dict[str, Any]:
    """Return a chunk of a tool call."""
    line = {"message": ANSWER, "toolCallId": call_id, "toolName": name, "toolSource": source, "args": arguments}
    return {**line, "type": "toolCall"}


START = {"message": ROOT, "type": "start"}
END = {"message": ROOT, "type": "end"}
QUESTION = message(ROOT, "user", "Hello")


def thread(*messages: dict[str, Any], kind: str | None = None) -> dict[str, Any]:
    """Return a state line of the two newer generations."""
    line = {"id": messages[0]["id"], "messages": list(messages)}
    return line if kind is None else {**line, "message": messages[0]["id"], "type": kind}


def answer(pieces: Sequence[str], *, generation: str) -> list[dict[str, Any]]:
    """Return the lines of a whole answer in new thread."""
    whole = message(ANSWER, "assistant", "".join(pieces), final=True)
    asked = {**QUESTION, "final": True}
    chunks = [chunk(piece, kind=None if generation == "seed" else "modelResponse") for piece in pieces]
    if generation == "v5":
        first = thread(message(ANSWER, "assistant", pieces[0] if pieces else ""), kind="addMessage")
        new = thread(QUESTION, kind="startThread")
        return [START, new, first, *chunks[1:], thread(asked, whole, kind="finalThread"), END]
    empty = message(ANSWER, "assistant")
    if generation == "v4":
        return [START, thread(QUESTION, empty), chunk(""), *chunks, thread(asked, whole), END]
    lines = [nested(QUESTION, empty), *chunks, nested(asked, whole)]
    return lines if generation == "seed" else [START, *lines, END]


def encoded(lines: Iterable[Any], *, ascii_only: bool = False) -> bytes:
    """Return lines as bytes."""
    return b"".join(json.dumps(line, ensure_ascii=ascii_only).encode() + b"\n" for line in lines)


def read(body: bytes, *, cuts: Iterable[int] = (), reader: ThreadReader | None = None) -> list[Event]:
    """Return the events of a body that comes in pieces, up to and with its `Finish`."""
    reader = reader or ThreadReader(model="olmo")
    splitter = LineSplitter(ends="lf")
    edges = [0, *sorted(cuts), len(body)]
    pieces = [body[start:end] for start, end in itertools.pairwise(edges)]
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    events = [event for line in (*lines, splitter.close()) if line.strip() for event in reader.feed(line)]
    reader.close()
    return [*events, reader.finish(None)]


ROUTE = Route("allenai", "olmo", backend="hub", upstream_id=ROOT)
