"""Messages and their parts: what a conversation is made of."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, get_args

from attrs import field, frozen

from core_chat.errors import InvalidRequestError, close_names, hint
from core_chat.images import Image, ImageSource, Readable, sniff_image

__all__ = [
    "ROLES",
    "Image",
    "ImageSource",
    "Message",
    "Part",
    "PartsInput",
    "Readable",
    "Reasoning",
    "Role",
    "Text",
    "Tool",
    "ToolCall",
    "ToolResult",
    "flatten",
    "sniff_image",
]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = get_args(Role)


def _text(value: str) -> str:
    given: object = value
    if not isinstance(given, str):
        raise InvalidRequestError(f"a part of a message holds a str, not {type(given).__name__}", parameter="messages")
    return given


@frozen
class Text:
    """A piece of text."""

    text: str = field(converter=_text)


@frozen
class Reasoning:
    """What the model thought before it answered."""

    text: str = field(converter=_text)


@frozen
class ToolCall:
    """The model's wish to call a tool; `arguments` is JSON text, kept as the model wrote it."""

    id: str = field(converter=_text)
    name: str = field(converter=_text)
    arguments: str = field(converter=_text, default="{}")


@frozen
class ToolResult:
    """What a tool returned; `id` is that of the `ToolCall` it answers."""

    id: str = field(converter=_text)
    content: str = field(converter=_text)
    name: str | None = None


Part: TypeAlias = Text | Image | Reasoning | ToolCall | ToolResult
PartsInput: TypeAlias = "str | Part | Iterable[str | Part]"
PARTS: tuple[type, ...] = get_args(Part)
_TURNS: dict[type, tuple[str, ...]] = {ToolResult: ("tool",), ToolCall: ("assistant",), Reasoning: ("assistant",)}


def _parts(given: PartsInput) -> tuple[Part, ...]:
    value: object = given
    if isinstance(value, str):
        return (Text(value),)
    if isinstance(value, PARTS):
        return (value,)  # type: ignore[return-value]  # narrowed by the tuple of classes above
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes | bytearray):
        raise InvalidRequestError(f"a message holds text or parts, not {type(value).__name__}", parameter="messages")
    parts: list[Part] = []
    for part in value:
        if isinstance(part, str):
            parts.append(Text(part))
        elif isinstance(part, PARTS):
            parts.append(part)  # type: ignore[arg-type]  # as above
        else:
            raise InvalidRequestError(
                f"{type(part).__name__} is no part of a message; use {_names()}", parameter="messages"
            )
    return tuple(parts)


def _names() -> str:
    return ", ".join(kind.__name__ for kind in PARTS)


def _check_role(_instance: object, _attribute: object, value: object) -> None:
    if value not in ROLES:
        close = hint(close_names(str(value), ROLES))
        raise InvalidRequestError(f"unknown role {value!r}{close}: use one of {', '.join(ROLES)}", parameter="messages")


def _check_parts(message: "Message", _attribute: object, value: tuple[Part, ...]) -> None:
    """Refuse parts in the wrong turn: upstreams would not take them, or drop them."""
    for part in value:
        if message.role not in _TURNS.get(type(part), (*ROLES[:3],)):
            raise InvalidRequestError(
                f"a {type(part).__name__} has no place in a message of the role {message.role!r}", parameter="messages"
            )


@frozen
class Message:
    """One turn: a role and its parts; `Message("user", "Hello")` is the short form of one text part."""

    role: Role = field(validator=_check_role)
    parts: tuple[Part, ...] = field(converter=_parts, validator=_check_parts, default=())

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def images(self) -> tuple[Image, ...]:
        """The pictures of this turn."""
        return tuple(part for part in self.parts if isinstance(part, Image))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls of this turn."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @property
    def tool_results(self) -> tuple[ToolResult, ...]:
        """The tool results of this turn."""
        return tuple(part for part in self.parts if isinstance(part, ToolResult))


def _check_tool(tool: Any, _attribute: object, _value: object) -> None:
    good = isinstance(tool.name, str) and tool.name.strip() and isinstance(tool.description, str)
    if not good or not isinstance(tool.schema, Mapping):
        raise InvalidRequestError("a tool has a name, a description and a schema that is a mapping", parameter="tools")


@frozen
class Tool:
    """A function the model may ask for; `schema` is the JSON Schema of its arguments, an object."""

    name: str
    description: str = ""
    schema: Mapping[str, Any] = field(factory=lambda: {"type": "object", "properties": {}}, validator=_check_tool)


def flatten(messages: Iterable[Message]) -> str:
    """Return messages as one prompt, for upstreams that take no list.

    One message is its bare text; several become `Role: text` lines, blank ones skipped, ending in `Assistant:`; a
    trailing assistant message is left open to be continued.
    """
    turns = [(message.role, _flat_text(message)) for message in messages]
    turns = [(role, text) for role, text in turns if text.strip()]
    if len(turns) == 1:
        return turns[0][1]
    lines = [f"{role.capitalize()}: {text}" for role, text in turns]
    if turns and turns[-1][0] != "assistant":
        lines.append("Assistant:")
    return "\n".join(lines)


def _flat_text(message: Message) -> str:
    if message.role == "tool":
        return "\n".join(part.content for part in message.tool_results)
    return message.text
