"""Messages and their parts: what a conversation is made of, and the OpenAI-style dicts that are read as such."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable

import attrs
from attrs import field, frozen

from core_chat.errors import InvalidRequestError, close_names, hint

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = get_args(Role)


@runtime_checkable
class Readable(Protocol):
    """A binary file object that the caller opened."""

    def read(self) -> bytes:
        """Return the rest of the file."""
        ...


ImageSource: TypeAlias = str | bytes | bytearray | memoryview | Readable


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidRequestError(f"a text part holds a str, not {type(value).__name__}", parameter="messages")
    return value


@frozen
class Text:
    """A piece of text."""

    text: str = field(converter=_text)


@frozen(init=False)
class Image:
    """A picture for the model to look at.

    Args:
        source: A URL, a data URI, the bytes, or a binary file object that the caller opened (it is read here).
        url: The same, by name, for a URL or data URI.
        data: The same, by name, for bytes.
        media_type: Such as `image/png`; found from the bytes where it is None.

    Raises:
        InvalidRequestError: It is none of these, or the bytes are no picture (PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF,
            HEIC).
    """

    url: str | None
    data: bytes | None = field(repr=lambda value: "None" if value is None else f"<{len(value)} bytes>")
    media_type: str | None

    def __init__(
        self,
        source: ImageSource | None = None,
        *,
        url: str | None = None,
        data: ImageSource | None = None,
        media_type: str | None = None,
    ) -> None:
        given = [value for value in (source, url, data) if value is not None]
        if len(given) != 1:
            raise _bad_image("takes exactly one of a URL, a data URI, bytes or an open file")
        link, content, kind = _read_image(given[0])
        self.__attrs_init__(url=link, data=content, media_type=media_type or kind)

    def as_url(self) -> str:
        """Return the URL, or the bytes as a data URI."""
        if self.data is None:
            return self.url or ""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"


def _bad_image(why: str) -> InvalidRequestError:
    return InvalidRequestError(f"an image {why}", parameter="messages")


def _read_image(source: ImageSource) -> tuple[str | None, bytes | None, str | None]:
    if isinstance(source, str):
        if source.startswith("data:"):
            return None, *_read_data_uri(source)
        if source.startswith(("http://", "https://")) and not any(c.isspace() for c in source):
            return source, None, None
        raise _bad_image(f"is an http(s) URL, a data URI, bytes or an open file; this text is none: {source[:60]!r}")
    raw: object = source.read() if isinstance(source, Readable) else source
    if isinstance(raw, str):
        raise _bad_image("file must be opened in binary mode ('rb')")
    if not isinstance(raw, bytes | bytearray | memoryview):
        raise _bad_image(f"is a URL, a data URI, bytes or an open file, not {type(raw).__name__}")
    content = bytes(raw)
    return None, content, sniff_image(content)


def _read_data_uri(uri: str) -> tuple[bytes, str]:
    head, comma, payload = uri.partition(",")
    if not comma or not head.endswith(";base64"):
        raise _bad_image("data URI must look like data:image/png;base64,…")
    try:
        content = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_image("data URI holds broken base64") from error
    return content, sniff_image(content)


_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
)


def sniff_image(content: bytes) -> str:
    """Return the media type of a picture's bytes, by their first bytes (WHATWG MIME Sniffing, section 6.1).

    Raises:
        InvalidRequestError: The bytes are no picture of a kind known here.
    """
    for offset, magic, media_type in _MAGIC:
        if content.startswith(magic, offset):
            return media_type
    raise _bad_image(
        f"was expected, but these {len(content)} bytes are no PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF or HEIC"
    )


@frozen
class Reasoning:
    """What the model thought before it answered."""

    text: str = field(converter=_text)


@frozen
class ToolCall:
    """The model's wish to call a tool; `arguments` is JSON text, kept as the model wrote it."""

    id: str
    name: str
    arguments: str = "{}"


@frozen
class ToolResult:
    """What a tool returned; `id` is that of the `ToolCall` it answers."""

    id: str
    content: str = field(converter=_text)
    name: str | None = None


Part: TypeAlias = Text | Image | Reasoning | ToolCall | ToolResult
_PARTS: tuple[type, ...] = get_args(Part)


def _parts(value: object) -> tuple[Part, ...]:
    if isinstance(value, str):
        return (Text(value),)
    if isinstance(value, _PARTS):
        return (value,)  # type: ignore[return-value]  # narrowed by the tuple of classes above
    if not isinstance(value, Iterable):
        raise InvalidRequestError(f"a message holds text or parts, not {type(value).__name__}", parameter="messages")
    parts: list[Part] = []
    for part in value:
        if isinstance(part, str):
            parts.append(Text(part))
        elif isinstance(part, _PARTS):
            parts.append(part)  # type: ignore[arg-type]  # as above
        else:
            raise InvalidRequestError(
                f"{type(part).__name__} is no part of a message; use {_names()}", parameter="messages"
            )
    return tuple(parts)


def _names() -> str:
    return ", ".join(kind.__name__ for kind in _PARTS)


def _check_role(_instance: object, _attribute: object, value: object) -> None:
    if value not in ROLES:
        close = hint(close_names(str(value), ROLES))
        raise InvalidRequestError(f"unknown role {value!r}{close}: use one of {', '.join(ROLES)}", parameter="messages")


@frozen
class Message:
    """One turn: a role and its parts; `Message("user", "Hello")` is the short form of one text part."""

    role: Role = field(validator=_check_role)
    parts: tuple[Part, ...] = field(converter=_parts, default=())

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


@frozen
class Tool:
    """A function the model may ask for; `schema` is the JSON Schema of its arguments, an object."""

    name: str = field(validator=attrs.validators.instance_of(str))
    description: str = ""
    schema: Mapping[str, Any] = field(factory=lambda: {"type": "object", "properties": {}})


MessagesInput: TypeAlias = "str | Message | Mapping[str, Any] | Iterable[Message | Mapping[str, Any]]"


def read_messages(value: MessagesInput) -> tuple[Message, ...]:
    """Return the messages that a caller gave as a string, `Message`s or OpenAI-style dicts.

    Raises:
        InvalidRequestError: There is no message, one is empty, or a role, key or part is unknown.
    """
    messages: tuple[Message, ...]
    if isinstance(value, str):
        messages = (Message("user", value),)
    elif isinstance(value, Message | Mapping):
        messages = (_read_message(value, 0),)
    elif isinstance(value, Iterable):
        messages = tuple(_read_message(item, index) for index, item in enumerate(value))
    else:
        raise InvalidRequestError(
            f"messages are a str, Messages or dicts, not {type(value).__name__}", parameter="messages"
        )
    if not messages:
        raise InvalidRequestError("there are no messages to send", parameter="messages")
    for index, message in enumerate(messages):
        if not any(not isinstance(part, Text) or part.text.strip() for part in message.parts):
            raise InvalidRequestError(f"message {index} ({message.role}) is empty", parameter="messages")
    return messages


_MESSAGE_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content", "reasoning", "refusal")
_UNUSED_WHEN_NULL = ("name", "refusal", "tool_calls", "tool_call_id", "reasoning", "reasoning_content")


def _read_message(item: object, index: int) -> Message:
    if isinstance(item, Message):
        return item
    if not isinstance(item, Mapping):
        raise InvalidRequestError(
            f"message {index} is a Message or a dict, not {type(item).__name__}", parameter="messages"
        )
    where = f"message {index}"
    given = {key: value for key, value in item.items() if not (key in _UNUSED_WHEN_NULL and not value)}
    _check_keys(given, _MESSAGE_KEYS, where)
    if "role" not in given:
        raise InvalidRequestError(f"{where} has no role", parameter="messages")
    role: Any = "system" if given["role"] == "developer" else given["role"]
    thoughts = [Reasoning(given[key]) for key in ("reasoning", "reasoning_content") if key in given]
    parts: list[Part] = [*thoughts[:1]]
    if role == "tool":
        parts.append(_read_tool_result(given, where))
        return Message(role, parts)
    for key in ("refusal", "tool_call_id", "name"):
        if key in given:
            raise InvalidRequestError(f"{where}: {key!r} has no meaning for the role {role!r}", parameter="messages")
    parts.extend(_read_content(given.get("content"), where))
    parts.extend(_read_tool_call(call, where) for call in given.get("tool_calls", ()))
    return Message(role, parts)


def _check_keys(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            close = hint(close_names(str(key), known))
            raise InvalidRequestError(f"{where}: unknown key {key!r}{close}", parameter="messages")


def _read_content(content: object, where: str) -> Iterable[Part]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),)
    if isinstance(content, Mapping) or not isinstance(content, Iterable):
        raise InvalidRequestError(f"{where}: content is text or a list of parts", parameter="messages")
    return [_read_part(part, where) for part in content]


def _read_part(part: object, where: str) -> Part:
    if isinstance(part, _PARTS):
        return part  # type: ignore[return-value]  # narrowed by the tuple of classes
    if isinstance(part, str):
        return Text(part)
    if isinstance(part, Mapping):
        kind = part.get("type")
        if kind in ("text", "input_text", "output_text"):
            _check_keys(part, ("type", "text"), where)
            return Text(part.get("text"))
        if kind in ("image_url", "input_image"):
            _check_keys(part, ("type", "image_url"), where)
            link = part.get("image_url")
            return Image(link.get("url") if isinstance(link, Mapping) else link)
    name = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    raise InvalidRequestError(f"{where}: unknown part {name!r}: use text or image_url", parameter="messages")


def _read_tool_call(call: object, where: str) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping) or not function.get("name"):
        raise InvalidRequestError(f"{where}: a tool call needs an id and a function with a name", parameter="messages")
    arguments = function.get("arguments", "{}")
    return ToolCall(
        id=str(call.get("id") or ""),
        name=str(function["name"]),
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False),
    )


def _read_tool_result(given: Mapping[str, Any], where: str) -> ToolResult:
    if not given.get("tool_call_id"):
        raise InvalidRequestError(f"{where}: a tool message needs the tool_call_id it answers", parameter="messages")
    content = given.get("content")
    text = (
        content
        if isinstance(content, str)
        else "".join(p.text for p in _read_content(content, where) if isinstance(p, Text))
    )
    return ToolResult(id=str(given["tool_call_id"]), content=text, name=given.get("name"))


def as_openai(message: Message) -> list[dict[str, Any]]:
    """Return a message as the OpenAI-style dicts of it: one, or one per result for a tool message."""
    if message.role == "tool":
        return [{"role": "tool", "tool_call_id": part.id, "content": part.content} for part in message.tool_results]
    body: dict[str, Any] = {"role": message.role}
    if message.images:
        body["content"] = [item for part in message.parts for item in _openai_part(part)]
    else:
        body["content"] = message.text
    if message.tool_calls:
        body["content"] = body["content"] or None
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return [body]


def _openai_part(part: Part) -> list[dict[str, Any]]:
    if isinstance(part, Text):
        return [{"type": "text", "text": part.text}]
    if isinstance(part, Image):
        return [{"type": "image_url", "image_url": {"url": part.as_url()}}]
    return []


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
