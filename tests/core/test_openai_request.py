"""The request body of the OpenAI-style chat wire."""

from typing import Any

import pytest

from core_chat import ChatRequest, Image, InvalidRequestError, Message, ModelInfo, Tool, ToolCall, ToolResult
from core_chat.dicts import MessagesInput, read_messages
from core_chat.openai import chat_body

WEATHER = Tool("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
BASE = {"model", "messages", "stream", "stream_options"}


def request(messages: MessagesInput = "Hi", **fields: Any) -> ChatRequest:
    """A request to a provider called acme."""
    return ChatRequest(model=ModelInfo("m-1", provider="acme"), messages=read_messages(messages), **fields)


def test_a_plain_question_sends_nothing_more() -> None:
    """What was not asked for is not sent, so that the upstream's defaults hold; the model comes first."""
    body = chat_body(request())
    assert next(iter(body.json)) == "model"
    assert body.json == {
        "model": "m-1",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert body.notices == ()


def test_everything_the_wire_knows_is_sent_as_it_was_given() -> None:
    """Zeros are values too."""
    given: dict[str, Any] = {
        "temperature": 0,
        "top_p": 0.5,
        "max_tokens": 7,
        "seed": 0,
        "presence_penalty": 0.0,
        "frequency_penalty": -1.5,
        "reasoning_effort": "low",
    }
    body = chat_body(request(stop=["a", "b"], **given))
    assert {key: body.json[key] for key in given} == given
    assert body.json["stop"] == ["a", "b"]
    assert set(body.json) == BASE | set(given) | {"stop"}


def test_what_the_wire_does_not_know_is_told_and_not_sent() -> None:
    """Each such parameter has a notice of its own."""
    body = chat_body(request(top_k=5, width=64, height=64, aspect_ratio="1:1"))
    assert set(body.json) == BASE
    assert [notice.parameter for notice in body.notices] == ["top_k", "width", "height", "aspect_ratio"]


def test_a_vendor_may_know_more() -> None:
    """`also` names the fields it takes; what `extra` sends needs no notice either."""
    body = chat_body(request(top_k=5), also=("top_k",))
    assert (body.json["top_k"], body.notices) == (5, ())
    body = chat_body(request(top_k=5, extra={"top_k": 6}))
    assert (body.json["top_k"], body.notices) == (6, ())


def test_extra_comes_last_and_wins() -> None:
    """It goes into the body verbatim; the model keeps its place."""
    body = chat_body(request(temperature=1, extra={"temperature": None, "model": "other", "x": {"y": [1]}}))
    assert next(iter(body.json.items())) == ("model", "other")
    assert body.json["temperature"] is None
    assert list(body.json.items())[-1] == ("x", {"y": [1]})


def test_another_model_is_asked_with_the_same_body() -> None:
    """It stays first, and the original is not changed."""
    body = chat_body(request(temperature=1))
    other = body.asking("m-2")
    assert next(iter(other.items())) == ("model", "m-2")
    assert {**other, "model": "m-1"} == body.json


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("json", {"type": "json_object"}),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}, None),
        ({"type": "text"}, None),
    ],
)
def test_response_formats(given: Any, sent: Any) -> None:
    """A short word, or the wire's own mapping."""
    assert chat_body(request(response_format=given)).json["response_format"] == (sent or given)


@pytest.mark.parametrize("given", ["xml", {"properties": {}}, 5, ["json"]])
def test_a_response_format_that_is_none_is_refused(given: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidRequestError, match="response_format") as caught:
        chat_body(request(response_format=given))
    assert caught.value.parameter == "response_format"


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_tools_and_their_choice(choice: str, sent: Any) -> None:
    """Tools become functions; the choice is a word or one of them."""
    body = chat_body(request(tools=[WEATHER, Tool("plain")], tool_choice=choice)).json
    assert body["tool_choice"] == sent
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "weather", "description": "Tells the weather.", "parameters": dict(WEATHER.schema)},
        },
        {"type": "function", "function": {"name": "plain", "parameters": {"type": "object", "properties": {}}}},
    ]


def test_a_choice_of_no_tool_is_refused() -> None:
    """Near names help; with no tools at all, only the words that ask for none are fine."""
    with pytest.raises(InvalidRequestError, match="did you mean weather"):
        chat_body(request(tools=[WEATHER], tool_choice="wether"))
    with pytest.raises(InvalidRequestError, match="none of the tools"):
        chat_body(request(tool_choice="required"))
    assert set(chat_body(request(tool_choice="auto")).json) == BASE


def test_several_answers_are_refused() -> None:
    """A stream holds one."""
    with pytest.raises(InvalidRequestError, match="one answer"):
        chat_body(request(extra={"n": 2}))
    assert chat_body(request(extra={"n": 1})).json["n"] == 1


def test_a_whole_conversation_goes_out_in_the_wires_own_shape() -> None:
    """System message, pictures, tool calls and their results; old reasoning stays behind."""
    picture = Image(data=b"\x89PNG\r\n\x1a\nrest")
    turns = [
        Message("system", "Be brief."),
        Message("user", ["Look:", picture]),
        Message("assistant", [ToolCall("c1", "weather", '{"city": "Rome"}')]),
        Message("tool", [ToolResult("c1", "sunny")]),
    ]
    messages = chat_body(request(turns)).json["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool"]
    assert messages[1]["content"] == [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": picture.as_url()}},
    ]
    assert messages[2]["content"] is None
    assert messages[2]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Rome"}'}
    assert messages[3] == {"role": "tool", "tool_call_id": "c1", "content": "sunny"}


def test_the_assistants_own_pictures_are_not_sent_back() -> None:
    """Only a user's message may hold them; the notice says so."""
    picture = Image(data=b"\x89PNG\r\n\x1a\nrest")
    body = chat_body(request([Message("user", "Paint"), Message("assistant", [picture]), Message("user", "Thanks")]))
    assert body.json["messages"][1] == {"role": "assistant", "content": "[picture]"}
    assert [notice.code for notice in body.notices] == ["images_left_out"]


def test_an_answer_to_be_continued_is_sent_with_a_notice() -> None:
    """Not every upstream goes on where the assistant's last message ends."""
    body = chat_body(request([Message("user", "Count."), Message("assistant", "1, 2,")]))
    assert body.json["messages"][-1] == {"role": "assistant", "content": "1, 2,"}
    assert [notice.parameter for notice in body.notices] == ["messages"]
