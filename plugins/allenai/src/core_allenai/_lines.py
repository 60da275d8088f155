"""What stands in one line of an answer: its fields in both spellings, its messages, and what they add to the text."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from attrs import define, field

from core_chat.errors import ProtocolError
from core_chat.events import ReasoningDelta, TextDelta
from core_chat.http import redact

_decode = msgspec.json.Decoder().decode


def read_line(line: bytes, *, secret: str | None = None) -> dict[str, Any]:
    """Return a line as the object it is.

    Raises:
        ProtocolError: It is none.
    """
    try:
        data = _loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a line of the answer is no JSON", got=_shown(line, secret)) from error
    if not isinstance(data, dict):
        raise ProtocolError("a line of the answer is no JSON object", got=_shown(line, secret))
    return data


def _loads(line: bytes) -> Any:
    try:
        return _decode(line)
    except msgspec.DecodeError:
        return json.loads(line)  # Python's servers write half a surrogate pair, which only Python reads


def _shown(line: bytes, secret: str | None) -> str:
    return f"{redact(line.decode('utf-8', 'replace'), [secret])[:60]!r}, {len(line)} bytes"


def get(data: Mapping[str, Any], name: str) -> Any:
    """Return a field by its camelCase name, or by the snake_case one of the first generation."""
    if name in data:
        return data[name]
    return data.get("".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name))


def text_of(data: Mapping[str, Any], name: str) -> str | None:
    """Return a field where it is a text."""
    value = get(data, name)
    return value if isinstance(value, str) else None


def arguments_of(data: Mapping[str, Any]) -> str:
    """Return the arguments of a tool call as JSON text: they come as a text or as an object."""
    value = data.get("args")
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def messages_of(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the messages of a state line, the oldest first: a list, or a chain of objects, each in the one before."""
    listed = data.get("messages", [data])
    for message in listed if isinstance(listed, list) else ():
        if isinstance(message, dict):
            yield message
            children = message.get("children")
            for child in children if isinstance(children, list) else ():
                if isinstance(child, dict):
                    yield from messages_of(child)


@define(eq=False)
class Channel:
    """One kind of text, per message: what the chunks brought, and what a stored message has beyond that."""

    event: type[TextDelta | ReasoningDelta]
    _pieces: dict[str, list[str]] = field(init=False, factory=dict)

    def add(self, message_id: str, text: str) -> TextDelta | ReasoningDelta:
        """Return the event for a chunk."""
        self._pieces.setdefault(message_id, []).append(text)
        return self.event(text)

    def rest(self, message_id: str, whole: Any) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield what a stored message has and no chunk brought."""
        if not isinstance(whole, str):
            return
        before = "".join(self._pieces.get(message_id, ()))
        if len(whole) > len(before) and whole.startswith(before):
            yield self.add(message_id, whole[len(before) :])

    @property
    def is_empty(self) -> bool:
        """Whether no text has come at all."""
        return not self._pieces
