"""Messages as OpenAI-style dicts, read from callers and written for upstreams."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from core_chat.errors import InvalidRequestError, close_names, hint
from core_chat.images import Image
from core_chat.messages import PARTS, Message, Part, Reasoning, Text, Tool, ToolCall, ToolResult

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
    if role == "tool":
        return Message(role, [_read_tool_result(given, where)])
    for key in ("refusal", "tool_call_id", "name"):
        if key in given:
            raise InvalidRequestError(f"{where}: {key!r} has no meaning for the role {role!r}", parameter="messages")
    thoughts = [Reasoning(given[key]) for key in ("reasoning", "reasoning_content") if key in given]
    parts: list[Part] = [*thoughts[:1]]
    parts.extend(_read_content(given.get("content"), where))
    calls = given.get("tool_calls", ())
    if isinstance(calls, str | Mapping) or not isinstance(calls, Iterable):
        raise InvalidRequestError(f"{where}: tool_calls is a list", parameter="messages")
    parts.extend(_read_tool_call(call, where) for call in calls)
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
    if isinstance(part, PARTS):
        return part  # type: ignore[return-value]  # narrowed by the tuple of classes
    if isinstance(part, str):
        return Text(part)
    if isinstance(part, Mapping):
        kind = part.get("type")
        if kind in ("text", "input_text", "output_text"):
            _check_keys(part, ("type", "text"), where)
            return Text(part.get("text"))  # type: ignore[arg-type]  # Text refuses what is none
        if kind in ("image_url", "input_image"):
            return _read_image_part(part, where)
    name = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    raise InvalidRequestError(f"{where}: unknown part {name!r}: use text or image_url", parameter="messages")


def _read_image_part(part: Mapping[str, Any], where: str) -> Image:
    link = part.get("image_url")
    _check_keys(part, ("type", "image_url", "detail"), where)
    details = [part.get("detail")]
    if isinstance(link, Mapping):
        _check_keys(link, ("url", "detail"), where)
        details.append(link.get("detail"))
        link = link.get("url")
    if any(detail not in (None, "auto") for detail in details):
        raise InvalidRequestError(f"{where}: an image's detail cannot be chosen here", parameter="messages")
    return Image(link)


def _read_tool_call(call: object, where: str) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping) or not function.get("name"):
        raise InvalidRequestError(f"{where}: a tool call needs an id and a function with a name", parameter="messages")
    _check_keys(call, ("id", "type", "function", "index"), where)
    _check_keys(function, ("name", "arguments"), where)
    arguments = function.get("arguments", "{}")
    try:
        told = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"{where}: a tool call's arguments are JSON", parameter="messages") from error
    return ToolCall(id=str(call.get("id") or ""), name=str(function["name"]), arguments=told)


def _read_tool_result(given: Mapping[str, Any], where: str) -> ToolResult:
    if not given.get("tool_call_id"):
        raise InvalidRequestError(f"{where}: a tool message needs the tool_call_id it answers", parameter="messages")
    _check_keys(given, ("role", "content", "name", "tool_call_id"), where)
    parts = list(_read_content(given.get("content"), where))
    if not all(isinstance(part, Text) for part in parts):
        raise InvalidRequestError(f"{where}: a tool message holds text", parameter="messages")
    text = "".join(part.text for part in parts if isinstance(part, Text))
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


def tool_as_openai(tool: Tool) -> dict[str, Any]:
    """Return a tool as the OpenAI-style dict of it."""
    description = {"description": tool.description} if tool.description else {}
    return {"type": "function", "function": {"name": tool.name, **description, "parameters": dict(tool.schema)}}


def tool_choice_as_openai(choice: str) -> str | dict[str, Any]:
    """Return a request's `tool_choice` as upstreams take it: a word, or a dict that names a tool."""
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def response_format_as_openai(value: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return a request's `response_format`, which is "json" or such a dict already, as a dict."""
    return {"type": "json_object"} if isinstance(value, str) else dict(value)
