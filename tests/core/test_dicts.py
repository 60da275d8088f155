"""OpenAI-style dicts, read as messages and written from them."""

from collections.abc import Iterator
from typing import Any

import pytest

from core_chat import Image, InvalidRequestError, Message, Reasoning, Text, Tool, ToolCall, ToolResult
from core_chat.dicts import (
    as_openai,
    read_messages,
    response_format_as_openai,
    tool_as_openai,
    tool_choice_as_openai,
)


def refused(value: Any) -> str:
    """The text of the error for messages that cannot be sent."""
    with pytest.raises(InvalidRequestError) as caught:
        read_messages(value)
    assert caught.value.parameter == "messages"
    return str(caught.value)


PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


@pytest.mark.parametrize(
    "given",
    [
        "hi",
        Message("user", "hi"),
        {"role": "user", "content": "hi"},
        [{"role": "user", "content": "hi"}],
        ({"role": "user", "content": [{"type": "text", "text": "hi"}]},),
        [{"role": "user", "content": [{"type": "input_text", "text": "h"}, "i"]}],
        iter([Message("user", ["h", Text("i")])]),
    ],
)
def test_one_turn_in_every_form(given: Any) -> None:
    """A string, a message, a dict, or any iterable of them is one turn of the user's."""
    (message,) = read_messages(given)
    assert (message.role, message.text) == ("user", "hi")


def test_the_openai_dialect_is_read() -> None:
    """System, developer, tools, reasoning, images and nulls, as servers and clients write them."""
    link = {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "auto"}}
    call = {"id": "1", "type": "function", "index": 0, "function": {"name": "f", "arguments": '{"a": 1}'}}
    messages = read_messages(
        [
            {"role": "developer", "content": "be short"},
            {"role": "user", "content": [{"type": "text", "text": "look"}, link]},
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://example.org/b.png"}]},
            {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "name": None},
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "o"}, "k"], "name": "f"},
            {"role": "assistant", "content": "done", "reasoning_content": "hm", "tool_calls": None},
        ]
    )
    assert messages == (
        Message("system", "be short"),
        Message("user", ["look", Image(url="https://example.org/a.png")]),
        Message("user", [Image(url="https://example.org/b.png")]),
        Message("assistant", [ToolCall("1", "f", '{"a": 1}')]),
        Message("tool", [ToolResult("1", "ok", "f")]),
        Message("assistant", [Reasoning("hm"), Text("done")]),
    )


def test_arguments_may_be_data() -> None:
    """A tool call's arguments are JSON text, or data that is written as such."""
    call = {"id": "1", "function": {"name": "f", "arguments": {"ä": [1, None]}}}
    (message,) = read_messages([{"role": "assistant", "tool_calls": [call]}])
    assert message.tool_calls == (ToolCall("1", "f", '{"ä": [1, null]}'),)


def test_text_stays_as_it_is() -> None:
    """Nothing is stripped or joined: a message's text is what was given."""
    (message,) = read_messages("  a\n\u2028 ")
    assert message.text == "  a\n\u2028 "


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", "message 0 (user) is empty"),
        (" \n\t", "message 0 (user) is empty"),
        ([], "there are no messages to send"),
        (iter([]), "there are no messages to send"),
        ([Message("user", "hi"), Message("assistant", "")], "message 1 (assistant) is empty"),
        ([Message("system", [])], "message 0 (system) is empty"),
        ([{"role": "user", "content": None}], "message 0 (user) is empty"),
        ([{"role": "user", "content": []}], "message 0 (user) is empty"),
        (None, "messages are a str, Messages or dicts, not NoneType"),
        (5, "messages are a str, Messages or dicts, not int"),
        (b"hi", "message 0 is a Message or a dict, not int"),
        (["hi"], "message 0 is a Message or a dict, not str"),
        ([None], "message 0 is a Message or a dict, not NoneType"),
        ([("user", "hi")], "message 0 is a Message or a dict, not tuple"),
        ([{"content": "hi"}], "message 0 has no role"),
        ([{"role": "usr", "content": "hi"}], "unknown role 'usr'; did you mean user?"),
        ([{"role": None, "content": "hi"}], "unknown role None"),
        ([{"role": "function", "content": "hi", "name": ""}], "unknown role 'function'"),
        ([{"role": ["user"], "content": "hi"}], "unknown role ['user']"),
        ([{"role": "user", "contents": "hi"}], "message 0: unknown key 'contents'; did you mean content?"),
        ([{"role": "user", "content": "hi", 5: 5}], "message 0: unknown key 5"),
        ([{"role": "user", "content": "hi", "name": "ada"}], "'name' has no meaning for the role 'user'"),
        ([{"role": "assistant", "content": "a", "refusal": "no"}], "'refusal' has no meaning"),
        ([{"role": "user", "content": "a", "tool_call_id": "1"}], "'tool_call_id' has no meaning"),
        ([{"role": "user", "content": 5}], "message 0: content is text or a list of parts"),
        ([{"role": "user", "content": {"type": "text", "text": "a"}}], "message 0: content is text or a list of parts"),
        ([{"role": "user", "content": [5]}], "message 0: unknown part 'int': use text or image_url"),
        ([{"role": "user", "content": [{"text": "a"}]}], "unknown part None"),
        ([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}], "unknown part 'input_audio'"),
        ([{"role": "user", "content": [{"type": "text"}]}], "a part of a message holds a str, not NoneType"),
        ([{"role": "user", "content": [{"type": "text", "text": 5}]}], "a part of a message holds a str, not int"),
        ([{"role": "user", "content": [{"type": "text", "text": "a", "cache": 1}]}], "unknown key 'cache'"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "an image takes exactly one of"),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c", "detail": "low"}}],
                }
            ],
            "an image's detail cannot be chosen here",
        ),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"uri": "https://a.b/c"}}]}],
            "unknown key 'uri'; did you mean url?",
        ),
        ([{"role": "user", "content": "a", "tool_calls": [{"id": "1", "function": {"name": "f"}}]}], "has no place"),
        (
            [{"role": "user", "content": "a", "reasoning": "hm"}],
            "a Reasoning has no place in",
        ),
        ([{"role": "assistant", "tool_calls": 5}], "message 0: tool_calls is a list"),
        ([{"role": "assistant", "tool_calls": {"id": "1"}}], "message 0: tool_calls is a list"),
        ([{"role": "assistant", "tool_calls": [5]}], "a tool call needs an id and a function with a name"),
        ([{"role": "assistant", "tool_calls": [{"id": "1"}]}], "a tool call needs an id and a function with a name"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "f"}, "idd": 1}]}], "unknown key 'idd'"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "args": 1}}]}], "unknown key 'args'"),
        (
            [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {1, 2}}}]}],
            "arguments are JSON",
        ),
        ([{"role": "tool", "content": "ok"}], "a tool message needs the tool_call_id it answers"),
        ([{"role": "tool", "tool_call_id": "1", "content": "a", "tool_calls": [{}]}], "unknown key 'tool_calls'"),
        (
            [{"role": "tool", "tool_call_id": "1", "content": [Image(PNG)]}],
            "message 0: a tool message holds text",
        ),
    ],
)
def test_bad_messages_are_told_apart(given: Any, told: str) -> None:
    """Every mistake has an error of its own that says where it is; nothing is dropped silently."""
    assert told in refused(given)


def test_an_error_while_iterating_is_the_callers() -> None:
    """A generator that fails is not taken for bad messages."""

    def messages() -> Iterator[Message]:
        yield Message("user", "a")
        raise LookupError("the caller's")

    with pytest.raises(LookupError, match="the caller's"):
        read_messages(messages())


def test_as_openai_goes_back() -> None:
    """Messages written as OpenAI-style dicts are read as the same messages; reasoning is not echoed."""
    messages = (
        Message("system", "s"),
        Message("user", ["look", Image(PNG), Image(url="https://example.org/a.png")]),
        Message("assistant", [ToolCall("1", "f", '{"a":1}'), ToolCall("2", "g")]),
        Message("tool", [ToolResult("1", "x"), ToolResult("2", "y")]),
        Message("assistant", [Reasoning("hm"), Text("done")]),
    )
    dicts = [item for message in messages for item in as_openai(message)]
    again = read_messages(dicts)
    assert [message.role for message in again] == ["system", "user", "assistant", "tool", "tool", "assistant"]
    assert again[:3] == messages[:3]
    assert (again[3].tool_results + again[4].tool_results) == messages[3].tool_results
    assert again[5] == Message("assistant", "done")
    assert dicts[2]["content"] is None


def test_a_tool_call_among_dicts_may_be_an_object() -> None:
    """A `ToolCall` stands for its dict, as parts do."""
    (message,) = read_messages([{"role": "assistant", "content": [Text("a")], "tool_calls": [ToolCall("1", "f")]}])
    assert message.parts == (Text("a"), ToolCall("1", "f"))


def test_as_openai_leaves_reasoning_out_beside_pictures() -> None:
    """Only text and pictures have a place in OpenAI-style content."""
    (body,) = as_openai(Message("assistant", [Reasoning("hm"), "see", Image(PNG)]))
    assert [item["type"] for item in body["content"]] == ["text", "image_url"]


def test_what_goes_with_the_messages_has_its_dicts_too() -> None:
    """Tools, the choice among them and the format of the answer, as upstreams of this style take them."""
    function = {"name": "look_up", "parameters": {"type": "object", "properties": {}}}
    assert tool_as_openai(Tool("look_up")) == {"type": "function", "function": function}
    assert tool_as_openai(Tool("look_up", "Tells"))["function"]["description"] == "Tells"
    assert tool_choice_as_openai("required") == "required"
    assert tool_choice_as_openai("look_up") == {"type": "function", "function": {"name": "look_up"}}
    assert response_format_as_openai("json") == {"type": "json_object"}
    assert response_format_as_openai({"type": "text"}) == {"type": "text"}
