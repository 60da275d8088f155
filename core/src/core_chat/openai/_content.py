"""The text and the reasoning of an answer, as plain text or as lists of parts."""

from collections.abc import Iterator
from typing import Any

from core_chat.errors import ProtocolError
from core_chat.events import ReasoningDelta, TextDelta
from core_chat.think import ThinkSplitter


class Content(ThinkSplitter):
    """Reads the `content` and the reasoning fields of one answer, in the order they come."""

    __slots__ = ()

    def text(self, content: Any) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield the events of a text, or of a list of parts with text or thoughts in them.

        Raises:
            ProtocolError: A part is something else.
        """
        for part in content if isinstance(content, list) else (content,):
            if isinstance(part, str):
                if part:
                    yield from self.feed(part)
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                yield from self.text(part["text"])
            elif isinstance(part, dict) and "thinking" in part:
                yield from self.reasoning(part["thinking"])
            elif part is not None:
                raise _unknown("a piece", part)

    def reasoning(self, thought: Any) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield the events of what a reasoning field holds.

        Raises:
            ProtocolError: It is neither text nor a list of texts.
        """
        yield from self.flush()
        for part in thought if isinstance(thought, list) else (thought,):
            text = part.get("text") if isinstance(part, dict) else part
            if not isinstance(text, str):
                raise _unknown("reasoning", part)
            if text:
                yield ReasoningDelta(text)


def _unknown(what: str, part: object) -> ProtocolError:
    return ProtocolError(f"the upstream sent {what} of an unknown kind", got=repr(part)[:200])
