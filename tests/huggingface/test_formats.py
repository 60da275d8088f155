"""The named prompt formats, each by an expected string."""

import json
from pathlib import Path

import pytest

from core_chat.errors import InvalidRequestError
from core_chat.messages import Message, ToolCall, ToolResult
from core_huggingface.formats import FORMATS, format_prompt
from core_huggingface.rendering import Renderer

RECORDED = Path(__file__).parents[2].parent / "shared/recorded/huggingface/hub_model_info_zephyr.json"

LONE = [Message("user", "Hi")]
TALK = [
    Message("system", "Be brief."),
    Message("user", " Hi\n"),
    Message("assistant", "Hello! "),
    Message("user", "Why?"),
]
OPEN = [Message("user", "Count."), Message("assistant", " One, ")]

EXPECTED: dict[tuple[str, str], str] = {
    ("plain", "lone"): "Hi",
    ("plain", "talk"): "System: Be brief.\nUser:  Hi\n\nAssistant: Hello! \nUser: Why?\nAssistant:",
    ("plain", "open"): "User: Count.\nAssistant:  One, ",
    ("mistral", "lone"): "<s>[INST] Hi[/INST]",
    ("mistral", "talk"): "<s>[INST]  Hi\n[/INST] Hello!</s>[INST] Be brief.\n\nWhy?[/INST]",
    ("mistral", "open"): "<s>[INST] Count.[/INST] One, ",
    ("qwen", "lone"): "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    ("qwen", "talk"): (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi\n<|im_end|>\n"
        "<|im_start|>assistant\nHello! <|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    ),
    ("qwen", "open"): "<|im_start|>user\nCount.<|im_end|>\n<|im_start|>assistant\n One, ",
    ("qwen2", "lone"): (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    ),
    ("qwen2", "talk"): (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi\n<|im_end|>\n"
        "<|im_start|>assistant\nHello! <|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    ),
    ("llama", "talk"): (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nHello!<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWhy?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    ("llama", "open"): (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nCount.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nOne, "
    ),
    ("custom", "talk"): (
        "<|system|>\nBe brief.</s>\n<|user|>\n Hi\n</s>\n<|assistant|>\nHello! </s>\n"
        "<|user|>\nWhy?</s>\n<|assistant|>\n"
    ),
    ("custom", "open"): "<|user|>\nCount.</s>\n<|assistant|>\n One, ",
}
CONVERSATIONS = {"lone": LONE, "talk": TALK, "open": OPEN}


@pytest.mark.parametrize(("case", "expected"), EXPECTED.items())
def test_each_format_writes_what_its_model_reads(case: tuple[str, str], expected: str) -> None:
    """Character by character."""
    assert format_prompt(case[0], CONVERSATIONS[case[1]], end_token="</s>") == expected


def test_every_format_is_shown() -> None:
    """No format is without an expected string."""
    assert {name for name, _ in EXPECTED} == set(FORMATS)


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded bodies are not here")
async def test_custom_is_the_shape_of_zephyr() -> None:
    """The format gives what the real template of zephyr-7b-beta gives."""
    config = json.loads(RECORDED.read_text(encoding="utf-8"))["config"]["tokenizer_config"]
    turns = [{"role": message.role, "content": message.text} for message in TALK]
    variables = {"messages": turns, "add_generation_prompt": True, "eos_token": config["eos_token"]}
    rendered = await Renderer().render(config["chat_template"], variables)
    assert rendered == format_prompt("custom", TALK, end_token=config["eos_token"])


LLAMA3 = (
    "{% for m in messages %}{{ ('<|begin_of_text|>' if loop.first else '') + '<|start_header_id|>' + m['role'] "
    "+ '<|end_header_id|>\n\n' + m['content']|trim + '<|eot_id|>' }}{% endfor %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
)


async def test_a_template_and_a_format_of_one_shape_agree() -> None:
    """A template written by hand in the shape of Llama 3 gives the same prompt as the format."""
    turns = [{"role": message.role, "content": message.text} for message in TALK]
    assert await Renderer().render(LLAMA3, {"messages": turns}) == format_prompt("llama", TALK)


def test_an_unknown_format_is_refused_with_the_list() -> None:
    """The error has near names and all names."""
    with pytest.raises(InvalidRequestError, match="did you mean qwen") as caught:
        format_prompt("quen", LONE)
    assert all(name in str(caught.value) for name in FORMATS)


def test_custom_needs_an_end_token() -> None:
    """The end of a turn is never guessed."""
    with pytest.raises(InvalidRequestError, match="end_token"):
        format_prompt("custom", LONE)


def test_mistral_needs_a_user_message() -> None:
    """Its system message has no place of its own."""
    with pytest.raises(InvalidRequestError, match="user message"):
        format_prompt("mistral", [Message("system", "Be brief.")])


@pytest.mark.parametrize("name", ["mistral", "qwen", "qwen2", "llama", "custom"])
@pytest.mark.parametrize(
    "turn",
    [Message("assistant", [ToolCall("1", "add")]), Message("tool", [ToolResult("1", "4")])],
    ids=lambda t: t.role,
)
def test_tool_turns_are_refused_where_a_format_has_no_place_for_them(name: str, turn: Message) -> None:
    """They are not dropped."""
    with pytest.raises(InvalidRequestError, match="no place for tool"):
        format_prompt(name, [*LONE, turn], end_token="</s>")
