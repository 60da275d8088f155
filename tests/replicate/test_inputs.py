"""From a request to a model's inputs, for every family of models."""

import base64
from typing import Any

import pytest

from core_chat import (
    ChatRequest,
    Image,
    InvalidRequestError,
    Message,
    ModelInfo,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from core_replicate._inputs import Inputs, build_inputs
from core_replicate._schema import FALLBACK, Property, Schema

MODEL = ModelInfo("a/b", provider="replicate")
STRING, NUMBER, INTEGER, ARRAY = (Property(kind) for kind in ("string", "number", "integer", "array"))
PNG = b"\x89PNG\r\n\x1a\n"
PNG_URI = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
SYSTEM = Message("system", "Be brief.")
HI = Message("user", "Hi")
TURNS = (HI, Message("assistant", "Hello."), Message("user", "And at sunset?"))
FLAT = "User: Hi\nAssistant: Hello.\nUser: And at sunset?\nAssistant:"


def build(schema: Schema, *messages: Message, **parameters: Any) -> Inputs:
    """Return the inputs for a request."""
    return build_inputs(ChatRequest(model=MODEL, messages=messages or (HI,), **parameters), schema)


def takes(**inputs: Property) -> Schema:
    """Return the schema of a model that takes a prompt and more, and gives text."""
    return Schema({"prompt": STRING, **inputs}, "text")


def noticed(inputs: Inputs) -> list[tuple[str, str | None]]:
    """Return the code and parameter of every notice."""
    return [(notice.code, notice.parameter) for notice in inputs.notices]


SAMPLING = {"temperature": NUMBER, "top_p": NUMBER}
PENALTIES = {"presence_penalty": NUMBER, "frequency_penalty": NUMBER}
OPENAI = {"system_prompt": STRING, "messages": ARRAY, "image_input": ARRAY}
FAMILIES: dict[str, tuple[dict[str, Property], dict[str, Any], set[str]]] = {
    "openai/gpt-4o": (
        {**OPENAI, "max_completion_tokens": INTEGER, **SAMPLING, **PENALTIES},
        {"system_prompt": "Be brief.", "prompt": "Hi", "max_completion_tokens": 100, "temperature": 0, "top_p": 0.9},
        {"top_k"},
    ),
    "openai/gpt-5": (
        {**OPENAI, "max_completion_tokens": INTEGER, "reasoning_effort": STRING},
        {"system_prompt": "Be brief.", "prompt": "Hi", "max_completion_tokens": 100},
        {"temperature", "top_p", "top_k"},
    ),
    "openai/gpt-5-structured": (
        {"instructions": STRING, "input_item_list": ARRAY, "max_output_tokens": INTEGER},
        {"instructions": "Be brief.", "prompt": "Hi", "max_output_tokens": 100},
        {"temperature", "top_p", "top_k"},
    ),
    "anthropic/claude-4-sonnet": (
        {"system_prompt": STRING, "max_tokens": Property("integer", minimum=1024, maximum=64000), "image": STRING},
        {"system_prompt": "Be brief.", "prompt": "Hi", "max_tokens": 1024},
        {"max_tokens", "temperature", "top_p", "top_k"},
    ),
    "google/gemini-2.5-flash": (
        {"system_instruction": STRING, "max_output_tokens": INTEGER, "images": ARRAY, **SAMPLING},
        {"system_instruction": "Be brief.", "prompt": "Hi", "max_output_tokens": 100, "temperature": 0, "top_p": 0.9},
        {"top_k"},
    ),
    "meta/meta-llama-3-70b-instruct": (
        {"max_tokens": INTEGER, "top_k": INTEGER, **SAMPLING, **PENALTIES, "prompt_template": STRING},
        {
            "prompt": "System: Be brief.\nUser: Hi\nAssistant:",
            "max_tokens": 100,
            "top_k": 40,
            "temperature": 0,
            "top_p": 0.9,
        },
        set(),
    ),
    "meta/llama-2-70b-chat": (
        {
            "system_prompt": STRING,
            "max_new_tokens": INTEGER,
            "top_k": INTEGER,
            "top_p": NUMBER,
            "temperature": Property("number", minimum=0.01, maximum=5),
        },
        {
            "system_prompt": "Be brief.",
            "prompt": "Hi",
            "max_new_tokens": 100,
            "top_k": 40,
            "temperature": 0.01,
            "top_p": 0.9,
        },
        {"temperature"},
    ),
    "deepseek-ai/deepseek-r1": (
        {"max_tokens": INTEGER, **SAMPLING, **PENALTIES},
        {"prompt": "System: Be brief.\nUser: Hi\nAssistant:", "max_tokens": 100, "temperature": 0, "top_p": 0.9},
        {"top_k"},
    ),
    "ibm-granite/granite-3.3": (
        {
            "system_prompt": STRING,
            "messages": ARRAY,
            "max_tokens": INTEGER,
            "top_k": INTEGER,
            **SAMPLING,
            "stream": Property("boolean"),
        },
        {
            "system_prompt": "Be brief.",
            "prompt": "Hi",
            "max_tokens": 100,
            "temperature": 0,
            "top_p": 0.9,
            "top_k": 40,
            "stream": True,
        },
        set(),
    ),
    "replicate/flan-t5-xl": (
        {"max_length": INTEGER, **SAMPLING},
        {"prompt": "System: Be brief.\nUser: Hi\nAssistant:", "max_length": 100, "temperature": 0, "top_p": 0.9},
        {"top_k"},
    ),
}


@pytest.mark.parametrize(("inputs", "values", "refused"), FAMILIES.values(), ids=FAMILIES)
def test_each_family_gets_its_own_names(inputs: dict[str, Property], values: dict[str, Any], refused: set[str]) -> None:
    """The system message and the limits go under the family's own keys; what it does not take is noticed."""
    built = build(takes(**inputs), SYSTEM, HI, max_tokens=100, temperature=0, top_p=0.9, top_k=40)
    assert built.values == values
    assert {notice.parameter for notice in built.notices} == refused


def test_without_a_schema_the_usual_inputs_are_sent() -> None:
    """Whatever the usual inputs do not have is noticed, and not sent."""
    built = build(FALLBACK, SYSTEM, *TURNS, max_tokens=9, temperature=0.1, top_p=1, top_k=1, seed=0)
    assert built.values == {
        "system_prompt": "Be brief.",
        "prompt": FLAT,
        "max_tokens": 9,
        "temperature": 0.1,
        "top_p": 1,
    }
    assert noticed(built) == [("unsupported_parameter", "top_k"), ("unsupported_parameter", "seed")]


def test_what_is_not_asked_for_is_not_sent() -> None:
    """A plain request is the prompt alone, so that the model's own defaults hold."""
    everything = dict.fromkeys(("system_prompt", "image", "seed", "stop_sequences", "tools"), STRING)
    assert build(takes(**everything, **SAMPLING, max_tokens=INTEGER)) == Inputs({"prompt": "Hi"})


def test_zero_is_a_value() -> None:
    """An explicit 0 is sent, not taken for nothing."""
    names = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")
    built = build(takes(**dict.fromkeys(names, NUMBER)), **dict.fromkeys(names, 0))
    assert built.values == {"prompt": "Hi", **dict.fromkeys(names, 0)}


@pytest.mark.parametrize("system", ["", "  \n"])
def test_an_empty_system_prompt_is_not_sent(system: str) -> None:
    """An empty system message would replace the model's default one, so it counts as none."""
    empty = Message("system", system)
    assert build(takes(system_prompt=STRING), empty, HI).values == {"prompt": "Hi"}
    assert build(takes(messages=ARRAY), empty, HI).values == {"prompt": "Hi"}


def test_a_system_message_alone_is_the_prompt() -> None:
    """With no other turn the system message is what is answered."""
    assert build(takes(system_prompt=STRING), SYSTEM).values == {"prompt": "Be brief."}


def test_several_system_messages_are_joined() -> None:
    """All system messages go into the one key, wherever they stand."""
    late = Message("system", "Be kind.")
    built = build(takes(system_prompt=STRING), SYSTEM, HI, late)
    assert built.values == {"system_prompt": "Be brief.\n\nBe kind.", "prompt": "Hi"}


def test_a_conversation_is_flattened_for_a_prompt() -> None:
    """Turns become lines with their roles; a last assistant turn is left open."""
    assert build(takes(), *TURNS).values == {"prompt": FLAT}
    assert build(takes(), HI, Message("assistant", "Hel")).values == {"prompt": "User: Hi\nAssistant: Hel"}


def test_a_conversation_goes_as_messages_where_they_are_taken() -> None:
    """Messages go as a list, the system message among them, since beside a list the other keys are ignored."""
    built = build(takes(messages=ARRAY, system_prompt=STRING), SYSTEM, *TURNS)
    roles = ["system", "user", "assistant", "user"]
    texts = ["Be brief.", "Hi", "Hello.", "And at sunset?"]
    listed = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    assert built.values == {"messages": listed}
    assert not built.notices


def test_a_system_message_without_a_key_goes_as_messages() -> None:
    """One turn goes as a list too where only there is a place for the system message."""
    built = build(takes(messages=ARRAY), SYSTEM, HI)
    assert [item["role"] for item in built.values["messages"]] == ["system", "user"]


def test_a_model_without_a_prompt_gets_messages() -> None:
    """A model that takes only messages gets one turn as a list."""
    built = build(Schema({"messages": ARRAY}, "text"))
    assert built.values == {"messages": [{"role": "user", "content": "Hi"}]}


def test_a_prompt_that_is_required_is_sent_beside_messages() -> None:
    """Where the prompt may not be missing, the last turn stands there too."""
    schema = Schema({"messages": ARRAY, "prompt": STRING}, "text", frozenset({"prompt"}))
    built = build(schema, *TURNS)
    assert built.values["prompt"] == "And at sunset?"
    assert len(built.values["messages"]) == 3


def test_an_assistant_message_that_cannot_be_continued_is_told() -> None:
    """A list that ends with an assistant message is answered, not continued, and the caller is told."""
    assert noticed(build(takes(messages=ARRAY), HI, Message("assistant", "Hel"))) == [
        ("unsupported_parameter", "messages")
    ]


CALL = Message("assistant", [Reasoning("hm"), Text("Wait."), ToolCall("1", "now", '{"zone": "UTC"}')])
RESULT = Message("tool", [ToolResult("1", "noon")])


def test_tool_turns_go_as_messages() -> None:
    """Calls and results keep their form in a list of messages."""
    built = build(takes(messages=ARRAY), HI, CALL, RESULT)
    assert [item["role"] for item in built.values["messages"]] == ["user", "assistant", "tool"]
    assert built.values["messages"][1]["tool_calls"][0]["function"]["name"] == "now"
    assert not built.notices


def test_tool_turns_in_a_prompt_are_told() -> None:
    """A prompt has no place for a tool call, and the caller is told; the result stays."""
    built = build(takes(), HI, CALL, RESULT)
    assert built.values == {"prompt": "User: Hi\nAssistant: Wait.\nTool: noon\nAssistant:"}
    assert noticed(built) == [("unsupported_parameter", "messages")]


PICTURE = Message("user", [Text("What is it?"), Image(PNG), Image("https://example.com/b.png")])


@pytest.mark.parametrize(
    ("inputs", "values", "notices"),
    [
        ({"image_input": ARRAY}, {"image_input": [PNG_URI, "https://example.com/b.png"]}, 0),
        ({"images": ARRAY}, {"images": [PNG_URI, "https://example.com/b.png"]}, 0),
        ({"image": STRING}, {"image": "https://example.com/b.png"}, 1),
        ({"image_input": STRING}, {"image_input": "https://example.com/b.png"}, 1),
        ({}, {}, 1),
    ],
)
def test_pictures(inputs: dict[str, Property], values: dict[str, Any], notices: int) -> None:
    """Pictures go into the model's list of them or its single one; what is left out is told."""
    built = build(takes(**inputs), PICTURE)
    assert built.values == {"prompt": "What is it?", **values}
    assert noticed(built) == [("unsupported_parameter", "messages")] * notices


def test_pictures_beside_messages_stand_in_their_own_input() -> None:
    """A list of messages is text alone; the pictures of all turns are sent beside it."""
    built = build(takes(messages=ARRAY, image_input=ARRAY), PICTURE, Message("assistant", "A cat."), HI)
    assert built.values["messages"][0] == {"role": "user", "content": "What is it?"}
    assert len(built.values["image_input"]) == 2


@pytest.mark.parametrize(
    ("known", "value", "sent"),
    [
        (Property("number", minimum=0.01, maximum=5), 0, 0.01),
        (Property("number", maximum=1), 2, 1),
        (Property("integer"), 0.6, 1),
        (Property("integer", minimum=0.5), 0.4, 1),
        (Property("integer", maximum=1.5), 1.6, 1),
    ],
)
def test_values_are_brought_within_the_limits(known: Property, value: float, sent: float) -> None:
    """A value that the model would refuse becomes the nearest one it takes, and the caller is told both."""
    built = build(takes(temperature=known), temperature=value)
    assert built.values["temperature"] == sent
    assert isinstance(built.values["temperature"], int) or known.type == "number"
    assert noticed(built) == [("adjusted_parameter", "temperature")]
    assert f"temperature={value}" in built.notices[0].text
    assert f"{sent} is sent" in built.notices[0].text


@pytest.mark.parametrize(("asked", "sent"), [(10, 1024), (1024, 1024), (70000, 64000), (1234567, 64000)])
def test_max_tokens_stays_within_the_limits(asked: int, sent: int) -> None:
    """A limit outside of the model's own is moved to its end, which is told only where it was moved."""
    schema = takes(max_tokens=Property("integer", minimum=1024.0, maximum=64000.0))
    built = build(schema, max_tokens=asked)
    assert built.values["max_tokens"] == sent
    assert type(built.values["max_tokens"]) is int
    assert noticed(built) == ([] if asked == sent else [("adjusted_parameter", "max_tokens")])


def test_the_first_of_several_names_for_the_limit_is_used() -> None:
    """A model with an old and a new name for the limit gets one of them."""
    assert build(takes(max_new_tokens=INTEGER, max_tokens=INTEGER), max_tokens=7).values == {
        "prompt": "Hi",
        "max_tokens": 7,
    }


def test_choices() -> None:
    """A value goes out where it is among the choices; else the caller is told these."""
    effort = takes(reasoning_effort=Property("string", choices=("low", "high")))
    assert build(effort, reasoning_effort="high").values == {"prompt": "Hi", "reasoning_effort": "high"}
    refused = build(effort, reasoning_effort="most")
    assert refused.values == {"prompt": "Hi"}
    assert refused.notices[0].parameter == "reasoning_effort"
    assert "low, high" in refused.notices[0].text


@pytest.mark.parametrize(
    ("inputs", "stop", "values", "left"),
    [
        ({"stop_sequences": STRING}, ("END", "\nUser:"), {"stop_sequences": "END,\nUser:"}, ()),
        ({"stop_sequences": STRING}, ("a,b", "END"), {}, ("a,b", "END")),
        ({"stop_sequences": ARRAY}, ("a,b", "END"), {"stop_sequences": ["a,b", "END"]}, ()),
        ({"stop": ARRAY}, "END", {"stop": ["END"]}, ()),
        ({"stop": STRING, "stop_sequences": STRING}, "END", {"stop_sequences": "END"}, ()),
        ({"stop": Property("boolean")}, "END", {}, ("END",)),
        ({}, "END", {}, ("END",)),
    ],
)
def test_stop_texts(
    *, inputs: dict[str, Property], stop: str | tuple[str, ...], values: dict[str, Any], left: tuple[str, ...]
) -> None:
    """Stop texts go to the model where it can take all of them exactly; else they are watched for here."""
    built = build(takes(**inputs), stop=stop)
    assert built.values == {"prompt": "Hi", **values}
    assert built.stop == left
    assert not built.notices


TOOL = Tool("now", "The time", {"type": "object", "properties": {"zone": {"type": "string"}}})


def test_tools_go_where_they_are_taken() -> None:
    """Tools, a choice among them and a response format go in the form of OpenAI."""
    schema = takes(tools=ARRAY, tool_choice=STRING, response_format=Property("object"))
    built = build(schema, tools=[TOOL], tool_choice="now", response_format="json")
    function = {"name": "now", "description": "The time", "parameters": TOOL.schema}
    assert built.values["tools"] == [{"type": "function", "function": function}]
    assert built.values["tool_choice"] == {"type": "function", "function": {"name": "now"}}
    assert built.values["response_format"] == {"type": "json_object"}
    named = {"type": "json_schema", "json_schema": {}}
    built = build(schema, tools=[TOOL], tool_choice="auto", response_format=named)
    assert (built.values["tool_choice"], built.values["response_format"]) == ("auto", named)
    assert not built.notices


def test_tools_that_are_not_taken_are_told() -> None:
    """A model without tools gets none, and the caller is told of each."""
    built = build(takes(), tools=[TOOL], tool_choice="auto", response_format="json")
    assert built.values == {"prompt": "Hi"}
    assert [notice.parameter for notice in built.notices] == ["tools", "tool_choice", "response_format"]


def test_only_a_boolean_stream_is_switched_on() -> None:
    """An input `stream` is set where it is a yes or no, and the caller's own word on it counts."""
    switch = takes(stream=Property("boolean"))
    assert build(switch).values == {"prompt": "Hi", "stream": True}
    assert build(switch, extra={"stream": False}).values == {"prompt": "Hi", "stream": False}
    assert build(takes(stream=STRING)).values == {"prompt": "Hi"}


def test_extra_goes_in_last_and_as_it_is() -> None:
    """Extra inputs override everything, whether the model knows them or not."""
    extra = {"prompt": "Other", "max_tokens": 0, "unknown": {"deep": [1]}}
    built = build(takes(max_tokens=Property("integer", minimum=1)), max_tokens=5, extra=extra)
    assert built.values == extra
    assert list(built.values) == ["prompt", "max_tokens", "unknown"]


PICTURES = Schema(
    {
        "prompt": STRING,
        "aspect_ratio": Property("string", choices=("1:1", "16:9")),
        "width": INTEGER,
        "height": INTEGER,
    },
    "files",
)


def test_pictures_are_made_from_the_last_user_message() -> None:
    """A model of files gets one prompt, and the size; that the rest is not used is told."""
    built = build(PICTURES, SYSTEM, *TURNS, aspect_ratio="16:9", width=64, height=32)
    assert built.values == {"prompt": "And at sunset?", "aspect_ratio": "16:9", "width": 64, "height": 32}
    assert noticed(built) == [("unsupported_parameter", "messages")]
    assert noticed(build(PICTURES)) == []


def test_a_picture_without_a_user_message() -> None:
    """Without a user message everything there is becomes the prompt."""
    assert build(PICTURES, SYSTEM).values == {"prompt": "Be brief."}


def test_what_has_no_meaning_for_pictures_is_told() -> None:
    """Stop texts and token limits are for text: no link is ever cut at one."""
    built = build(PICTURES, stop="http", max_tokens=5)
    assert built.stop == ()
    assert [notice.parameter for notice in built.notices] == ["max_tokens", "stop"]


def test_a_text_model_has_no_size() -> None:
    """What is asked of a picture is told where the model makes none."""
    built = build(takes(), width=64, height=64, aspect_ratio="1:1")
    assert built.values == {"prompt": "Hi"}
    assert [notice.parameter for notice in built.notices] == ["width", "height", "aspect_ratio"]


def test_bad_values_never_get_this_far() -> None:
    """The request itself refuses what no model takes."""
    with pytest.raises(InvalidRequestError):
        build(takes(), temperature=9)
