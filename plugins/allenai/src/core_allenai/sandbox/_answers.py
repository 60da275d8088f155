"""What the emulated model does with a turn: the steps of its answer, canned, or failing where its name says so."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from attrs import field, frozen

from core_allenai.sandbox._checks import Turn
from core_allenai.sandbox._store import Stored
from core_chat.sandbox import canned_answer

UNICODE = ("Tülu 🐕 ", "line1\nline2 ", "sep\u2028end\u2029 ", "   ", '"q" \\ tab\t', "日本語", "\r\n\x85 👩‍👩‍👧")
"""Pieces that a careless decoder breaks."""


@frozen
class Think:
    """A piece of reasoning."""

    text: str


@frozen
class Say:
    """A piece of the answer."""

    text: str


@frozen(kw_only=True)
class Call:
    """A tool call; with a `result` the service runs the tool itself and goes on."""

    id: str
    name: str
    arguments: str
    result: str | None = None

    @property
    def pieces(self) -> tuple[str, str]:
        """The arguments in two pieces, as models stream them."""
        half = len(self.arguments) // 2
        return self.arguments[:half], self.arguments[half:]


@frozen
class Fault:
    """A failure of the backend: v4's `reason` and the text."""

    reason: str
    text: str


@frozen
class ToolFault:
    """The model used a tool that does not exist; the answer ends early but cleanly."""

    text: str


@frozen
class SaveFault:
    """The finished thread could not be stored."""


@frozen
class Pause:
    """Nothing is sent for a while."""


@frozen
class Cut:
    """The connection breaks; or, where it is `clean`, the body ends without the closing line."""

    clean: bool = False


@frozen
class Stop:
    """The model stops, with a reason the service stores."""

    reason: str = field(default="stop")


Step: TypeAlias = Think | Say | Call | Fault | ToolFault | SaveFault | Pause | Cut | Stop

_THOUGHTS = (Think("A sandbox has "), Think("no thoughts;\n"), Think("these are canned."))
_CONTEXT = "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens."


def _backend(status: int, message: str) -> Fault:
    body = {"message": message, "code": status}
    return Fault("Model http error", f"http error: status_code: {status}, model_name: canned, body: {body}")


def _says(pieces: Sequence[str]) -> list[Step]:
    return [Say(piece) for piece in pieces]


_CHOSEN: dict[str, Callable[[list[Step]], list[Step]]] = {
    "context-length": lambda _: [Fault("length", _CONTEXT)],
    "cut-midway": lambda answer: [*answer[:3], Cut()],
    "empty": lambda _: [],
    "error-after-text": lambda answer: [*answer[:3], _backend(500, "boom")],
    "error-before-text": lambda _: [_backend(500, "boom")],
    "length": lambda answer: [*answer[:3], Stop("length")],
    "no-end": lambda answer: [*answer, Cut(clean=True)],
    "overloaded": lambda _: [Fault("model overloaded", "The model took too long to answer.")],
    "rate-limited": lambda _: [_backend(429, "Rate limit")],
    "retired": lambda _: [Fault("Unknown error", "Unknown Error Unsupported model host: inferd")],
    "save-failed": lambda answer: [*answer, SaveFault()],
    "server-tool": lambda answer: [
        Say("One moment. "),
        Call(id="call_server", name="create_random_number", arguments='{"upto": 10}', result="7"),
        *answer,
    ],
    "slow-start": lambda answer: [Pause(), *answer],
    "thinking": lambda answer: [*_THOUGHTS, *answer],
    "tool-error": lambda answer: [*answer[:3], ToolFault("Could not find tool 'x'.")],
    "tool-limit": lambda _: [Fault("tool error", "Call exceed the max tool call limit of 10.")],
    "unicode": lambda _: _says(UNICODE),
}


def steps(turn: Turn, history: Sequence[Stored]) -> list[Step]:
    """Return what the model does next; its text repeats the last thing it was told."""
    answer = _says(canned_answer(history[-1].content))
    behaviour = turn.model.id.removeprefix("sandbox/")
    if turn.model.id.startswith("sandbox/") and behaviour in _CHOSEN:
        return _CHOSEN[behaviour](answer)
    if turn.tools and turn.role == "user":
        wanted = turn.tools if behaviour == "all-tools" else turn.tools[:1]
        return [
            Call(id=f"call_{number}", name=tool["name"], arguments=json.dumps(example(tool.get("parameters") or {})))
            for number, tool in enumerate(wanted, 1)
        ]
    return [*_THOUGHTS, *answer] if turn.model.can_think else answer


def example(schema: dict[str, Any]) -> Any:
    """Return a value of the kind a JSON Schema asks for."""
    kind = schema.get("type")
    if kind == "object":
        return {name: example(part or {}) for name, part in (schema.get("properties") or {}).items()}
    return {"string": "sandbox", "integer": 1, "number": 1.5, "boolean": True, "array": []}.get(str(kind))
