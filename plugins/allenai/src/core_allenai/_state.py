"""What continues a conversation on the service's side, as it is kept in `reply.conversation`."""

from collections.abc import Mapping
from typing import Any

from attrs import asdict, frozen

_TEXTS = ("root_id", "parent_id", "model", "tools")


@frozen(kw_only=True)
class ThreadState:
    """The ids of a thread.

    Attributes:
        anonymous_user_id: Who began it; None where a token did.
        root_id: The thread.
        parent_id: The last assistant message; the next turn hangs below it.
        model: What answered last.
        tools: A digest of the tools the thread began with.
        private: The visibility that was asked for with the first turn; v4 wants to be told the same with every turn.
    """

    anonymous_user_id: str | None
    root_id: str
    parent_id: str
    model: str
    tools: str = ""
    private: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        return asdict(self)


def read_state(value: Any) -> ThreadState | None:
    """Return the state a reply left, or None where there is none that can be read."""
    if not isinstance(value, Mapping):
        return None
    texts = [value.get(name) for name in _TEXTS]
    user, private = value.get("anonymous_user_id"), value.get("private")
    readable = isinstance(user, str | None) and isinstance(private, bool | None)
    if not readable or not all(isinstance(text, str) for text in texts):
        return None
    return ThreadState(anonymous_user_id=user, private=private, **{name: value[name] for name in _TEXTS})
