"""Messages and their parts, and their flat text."""

from typing import Any

import pytest

from core_chat import Image, InvalidRequestError, Message, Reasoning, Text, Tool, ToolCall, ToolResult, flatten

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (5, "a message holds text or parts, not int"),
        ({"type": "text", "text": "a"}, "a message holds text or parts, not dict"),
        (b"hi", "a message holds text or parts, not bytes"),
        (
            [{"type": "text", "text": "a"}],
            "dict is no part of a message; use Text, Image, Reasoning",
        ),
        ([None], "NoneType is no part of a message"),
        (ToolCall("1", "f"), "a ToolCall has no place in a message of the role 'user'"),
        (ToolResult("1", "x"), "a ToolResult has no place in a message of the role 'user'"),
    ],
)
def test_a_message_is_checked_when_it_is_made(parts: Any, told: str) -> None:
    """A message that could not be sent cannot be made."""
    with pytest.raises(InvalidRequestError) as caught:
        Message("user", parts)
    assert told in str(caught.value)


def test_parts_belong_to_roles() -> None:
    """A tool's turn holds results and nothing else; calls and reasoning are the assistant's."""
    for parts in (["text"], [Image(PNG)], [ToolCall("1", "f")]):
        with pytest.raises(InvalidRequestError, match="has no place in a message of the role 'tool'"):
            Message("tool", parts)
    with pytest.raises(InvalidRequestError):
        Message("system", Reasoning("hm"))
    assert Message("assistant", [Reasoning("a"), "b", Image(PNG), ToolCall("1", "f")]).tool_calls[0].name == "f"


@pytest.mark.parametrize("part", [Text, Reasoning])
def test_parts_hold_texts(part: Any) -> None:
    """A part with anything but a str is refused."""
    for value in (None, 5, b"x"):
        with pytest.raises(InvalidRequestError, match="a part of a message holds a str"):
            part(value)
    for make in (lambda: ToolCall(1, "f"), lambda: ToolCall("1", None), lambda: ToolResult("1", None)):  # type: ignore[arg-type]  # the mistake
        with pytest.raises(InvalidRequestError):
            make()


@pytest.mark.parametrize("arguments", [("",), (5,), ("f", None), ("f", "", "schema"), ("f", "", None)])
def test_a_tool_is_checked(arguments: tuple[Any, ...]) -> None:
    """A tool has a name, a description and a schema."""
    with pytest.raises(InvalidRequestError) as caught:
        Tool(*arguments)
    assert caught.value.parameter == "tools"


@pytest.mark.parametrize(
    ("messages", "flat"),
    [
        ([Message("user", "hi")], "hi"),
        ([Message("assistant", "so it")], "so it"),
        ([Message("system", "s"), Message("user", "u")], "System: s\nUser: u\nAssistant:"),
        (
            [Message("user", "a"), Message("assistant", "b"), Message("user", "c")],
            "User: a\nAssistant: b\nUser: c\nAssistant:",
        ),
        ([Message("user", "a"), Message("assistant", "b")], "User: a\nAssistant: b"),
        ([Message("system", " \n"), Message("user", "a")], "a"),
        ([Message("user", "a"), Message("assistant", ""), Message("user", "b")], "User: a\nUser: b\nAssistant:"),
        ([Message("user", "a"), Message("tool", [ToolResult("1", "42")])], "User: a\nTool: 42\nAssistant:"),
        ([], ""),
    ],
)
def test_flatten(messages: list[Message], flat: str) -> None:
    """One message is its bare text, several are `Role: text` lines; a trailing assistant's is left open."""
    assert flatten(messages) == flat
