"""What a model's chat template is, and what it is given."""

import json
from pathlib import Path
from typing import Any

import pytest

from core_chat.dicts import read_messages
from core_chat.messages import Message, Reasoning, Text, Tool, ToolCall, ToolResult
from core_chat.models import ModelInfo
from core_chat.requests import ChatRequest
from core_huggingface.rendering import Renderer
from core_huggingface.templates import find_template, special_tokens, template_variables


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"gguf": {"chat_template": "A"}, "config": {"chat_template_jinja": "B"}}, "A"),
        ({"config": {"chat_template_jinja": "B", "tokenizer_config": {"chat_template": "C"}}}, "B"),
        ({"gguf": {}, "config": {"tokenizer_config": {"chat_template": "C"}}}, "C"),
        ({"config": {"tokenizer_config": {}, "processor_config": {"chat_template": "D"}}}, "D"),
        ({"config": {"tokenizer_config": {}}}, None),
        ({"config": None, "gguf": "odd"}, None),
        ({}, None),
    ],
)
def test_a_template_is_found_in_the_order_of_the_hub(model: dict[str, Any], expected: str | None) -> None:
    """The GGUF file's template comes before the repository's own file, that before the tokenizer's."""
    assert find_template(model) == expected


NAMED = [
    {"name": "rag", "template": "R"},
    {"name": "tool_use", "template": "T"},
    {"name": "default", "template": "D"},
    {"broken": True},
]


@pytest.mark.parametrize(("tools", "expected"), [(False, "D"), (True, "T")])
def test_of_several_templates_the_fitting_one_is_chosen(tools: bool, expected: str) -> None:  # noqa: FBT001 - a parameter
    """With tools it is the one for tools, else the default."""
    assert find_template({"config": {"tokenizer_config": {"chat_template": NAMED}}}, tools=tools) == expected


def test_of_several_templates_without_a_default_the_first_is_chosen() -> None:
    """A list need not have a template named default."""
    model = {"config": {"tokenizer_config": {"chat_template": NAMED[:1]}}}
    assert find_template(model, tools=True) == "R"


def test_special_tokens_are_read_in_each_of_their_shapes() -> None:
    """A token is a text, a described object, or null, which is none."""
    config = {
        "bos_token": "<s>",
        "eos_token": {"__type": "AddedToken", "content": "</s>", "lstrip": False},
        "pad_token": None,
        "use_default_system_prompt": True,
    }
    assert special_tokens({"config": {"tokenizer_config": config}}) == {"bos_token": "<s>", "eos_token": "</s>"}
    assert special_tokens({}) == {}


def test_the_variables_are_those_of_the_vendors_tools() -> None:
    """Tools are OpenAI-style functions, the arguments of a call an object, and what is unset is null."""
    messages = [
        Message("user", "What is 2+2?"),
        Message("assistant", [ToolCall("c1", "add", '{"a": 2}'), ToolCall("c2", "odd", "not json")]),
        Message("tool", [ToolResult("c1", "4", name="add"), ToolResult("c2", "?")]),
    ]
    tool = Tool("add", "Adds.", {"type": "object"})
    variables = template_variables(messages, tools=[tool], tokens={"bos_token": "<s>"}, more={"enable_thinking": False})
    assert json.loads(json.dumps(variables)) == {
        "bos_token": "<s>",
        "messages": [
            {"role": "user", "content": "What is 2+2?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "add", "arguments": {"a": 2}}},
                    {"id": "c2", "type": "function", "function": {"name": "odd", "arguments": "not json"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "name": "add", "content": "4"},
            {"role": "tool", "tool_call_id": "c2", "content": "?"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}
        ],
        "documents": None,
        "add_generation_prompt": True,
        "enable_thinking": False,
    }


def test_what_is_not_there_has_no_key() -> None:
    """Templates ask whether a key is there; thoughts go by the name that templates know."""
    variables = template_variables(
        [Message("assistant", [Reasoning("Hm"), Text("Yes")])], tools=[Tool("add")], tokens={}, more={}
    )
    assert variables["messages"] == [{"role": "assistant", "content": "Yes", "reasoning_content": "Hm"}]
    assert set(variables["tools"][0]["function"]) == {"name", "parameters"}


def test_odd_lists_of_templates_hold_none() -> None:
    """Whatever the Hub sends, nothing is raised."""
    odd: list[Any] = [{"a": 1, "b": 2}, {"name": 1, "template": "x"}, {"name": "default", "template": 5}, "x"]
    assert find_template({"config": {"tokenizer_config": {"chat_template": odd}}}) is None


def test_without_tools_the_variable_is_null() -> None:
    """Templates ask whether there are tools by asking whether it is null."""
    variables = template_variables([Message("user", [Text("a"), Text("b")])], tokens={}, more={})
    assert variables["tools"] is None
    assert variables["messages"] == [{"role": "user", "content": "ab"}]


RECORDED = Path(__file__).parents[2].parent / "shared/recorded/huggingface/chat_templates_expected.json"
BEYOND_THE_CORE = {
    "CohereForAI/c4ai-command-r-v01": "tools of a shape of its own",
    "NousResearch/Hermes-2-Pro-Llama-3-8B (JSON Schema)": "what a tool returns",
    "meta-llama/Llama-3.1-8B-Instruct": "what a tool returns",
    "meta-llama/Llama-3.2-11B-Vision-Instruct": "a picture without data",
    "zai-org/GLM-5.1": "references to tools",
}
"""Recorded conversations with something in them that the core's messages and tools do not have."""


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded bodies are not here")
async def test_recorded_conversations_render_the_same_through_the_cores_messages() -> None:
    """Reading them as messages and giving them to the template loses nothing."""
    cases = json.loads(RECORDED.read_text(encoding="utf-8"))
    for case in (case for name, case in cases.items() if name not in BEYOND_THE_CORE):
        given = dict(case["data"])
        messages = read_messages(given.pop("messages"))
        request = ChatRequest(model=ModelInfo("m"), messages=messages, tools=given.pop("tools", None) or ())
        more = {"add_generation_prompt": False, **given}
        variables = template_variables(messages, tools=request.tools, tokens={}, more=more)
        assert await Renderer().render(case["chat_template"], variables) == case["target"]
