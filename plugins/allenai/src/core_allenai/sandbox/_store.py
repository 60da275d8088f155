"""Messages as the service keeps them: a tree by parents, owned, and for anonymous people kept for a day."""

import secrets
import string
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import define, field

DAY = 24 * 60 * 60.0
_LETTERS = string.ascii_uppercase + string.digits


def new_id() -> str:
    """Return a fresh message id in the service's form."""
    return "msg_" + "".join(secrets.choice(_LETTERS) for _ in range(10))


@define(kw_only=True, eq=False)
class Stored:
    """One stored message; times are seconds since 1970."""

    id: str = field(factory=new_id)
    role: str
    content: str
    creator: str
    model: str
    host: str
    created: float
    expires: float | None
    private: bool
    opts: dict[str, Any]
    root: str = ""
    parent: str | None = None
    thinking: str | None = None
    tool_calls: list[dict[str, Any]] = field(factory=list)
    tool_definitions: list[dict[str, Any]] = field(factory=list)
    file_urls: list[str] = field(factory=list)
    final: bool = False
    finish_reason: str | None = None
    error_code: str | None = None
    error_description: str | None = None

    def plain(self) -> dict[str, Any]:
        """Return what a model is shown of this message."""
        shown: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            shown["tool_calls"] = self.tool_calls
        if self.file_urls:
            shown["files"] = len(self.file_urls)
        return shown


def stamp(seconds: float | None) -> str | None:
    """Return a time as the service writes it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


@define(eq=False)
class Store:
    """The message table."""

    now: Callable[[], float]
    messages: dict[str, Stored] = field(factory=dict)

    def add(self, message: Stored, *, parent: Stored | None) -> Stored:
        """Keep a message under its parent; without one it is the root of a new thread."""
        message.parent = parent.id if parent else None
        message.root = parent.root if parent else message.id
        self.messages[message.id] = message
        return message

    def get(self, message_id: str) -> Stored | None:
        """Return a message, or None where there is none any more."""
        message = self.messages.get(message_id)
        if message is None or (message.expires is not None and message.expires <= self.now()):
            return None
        return message

    def chain(self, message: Stored) -> list[Stored]:
        """Return a message and those before it, the root first."""
        chain = [message]
        while chain[0].parent is not None and (parent := self.messages.get(chain[0].parent)) is not None:
            chain.insert(0, parent)
        return chain

    def thread(self, root: str) -> list[Stored]:
        """Return all messages of a thread, oldest first."""
        return [message for message in self.messages.values() if message.root == root]

    def delete(self, root: str) -> None:
        """Forget a thread."""
        for message in self.thread(root):
            del self.messages[message.id]

    def expire(self) -> None:
        """Let a day pass for every message that expires at all."""
        for message in self.messages.values():
            if message.expires is not None:
                message.expires = self.now() - 1


def missing_results(chain: Sequence[Stored]) -> list[str]:
    """Return the ids of the caller's tool calls that have no result yet, in the last assistant message of a chain."""
    last = next((message for message in reversed(chain) if message.role == "assistant"), None)
    if last is None:
        return []
    answered = {call["toolCallId"] for m in chain if m.role == "tool_call_result" for call in m.tool_calls}
    return [call["toolCallId"] for call in last.tool_calls if call["toolCallId"] not in answered]
