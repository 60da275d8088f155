"""From messages to the prompt of a text-generation endpoint."""

from typing import Any

import pytest

from core_chat.errors import InvalidRequestError
from core_chat.messages import Image, Message, Tool
from core_chat.models import ModelInfo
from core_chat.requests import ChatRequest, read_options
from core_huggingface._options import InferenceOptions
from core_huggingface._prompts import Prompt, make_prompt
from core_huggingface.rendering import Renderer

TEMPLATE = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}{{ tools }}{{ mood }}"
MODEL = {"config": {"tokenizer_config": {"chat_template": TEMPLATE, "bos_token": "<s>", "eos_token": "</s>"}}}
BASE: dict[str, Any] = {"config": {"tokenizer_config": {}}}
LONE = (Message("user", " Hi\n"),)
TALK = (Message("system", "Be brief."), Message("user", "Hi"))
PICTURE = Image(b"\x89PNG\r\n\x1a\n")


async def _prompt(
    *messages: Message, model: dict[str, Any] | None, options: dict[str, Any] | None = None, **parameters: Any
) -> Prompt:
    info = ModelInfo("org/m", provider="huggingface-inference")
    request = ChatRequest(model=info, messages=messages, options=options or {}, **parameters)
    read = read_options(InferenceOptions, request)
    return await make_prompt(request, read, model=model, renderer=Renderer())


async def test_the_models_own_template_comes_first() -> None:
    """It is given the messages, the model's tokens, and what the caller adds."""
    prompt = await _prompt(*TALK, model=MODEL, options={"template_variables": {"mood": "!"}})
    assert prompt == Prompt("<s><system>Be brief.</><user>Hi</>None!")


async def test_a_trailing_assistant_message_is_continued() -> None:
    """The template's end of the turn is left away."""
    prompt = await _prompt(*LONE, Message("assistant", "Well, "), model=MODEL)
    assert prompt.text == "<s><user> Hi\n</><assistant>Well, "


async def test_a_template_of_the_callers_own_is_used() -> None:
    """It needs no data of the model."""
    prompt = await _prompt(*TALK, model=None, options={"template": "{{ messages|length }}"})
    assert prompt == Prompt("2")


async def test_a_named_format_comes_before_the_template() -> None:
    """The caller knows better."""
    prompt = await _prompt(*LONE, model=MODEL, options={"format": "qwen"})
    assert prompt.text == "<|im_start|>user\n Hi\n<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(("options", "end"), [({}, "</s>"), ({"end_token": "<end>"}, "<end>")])
async def test_custom_takes_the_end_token_from_the_model_or_the_caller(options: dict[str, str], end: str) -> None:
    """The caller's comes first."""
    prompt = await _prompt(*LONE, model=MODEL, options={"format": "custom", **options})
    assert prompt.text == f"<|user|>\n Hi\n{end}\n<|assistant|>\n"


async def test_custom_without_an_end_token_is_refused() -> None:
    """A model without one leaves nothing to guess."""
    with pytest.raises(InvalidRequestError, match="end_token"):
        await _prompt(*LONE, model=BASE, options={"format": "custom"})


async def test_a_base_model_gets_one_lone_message_as_it_is() -> None:
    """Space included."""
    assert await _prompt(*LONE, model=BASE) == Prompt(" Hi\n")


async def test_where_nobody_was_asked_for_a_template_the_caller_is_told() -> None:
    """The message is sent, and no strict call fails for it."""
    prompt = await _prompt(*LONE, model=None)
    assert prompt.text == " Hi\n"
    assert [(notice.code, notice.parameter) for notice in prompt.notices] == [("no_template", None)]


@pytest.mark.parametrize("messages", [TALK, (*LONE, *LONE), (Message("assistant", "Once"),)])
async def test_without_a_template_anything_else_needs_a_format(messages: tuple[Message, ...]) -> None:
    """The error lists the formats; no family of models is guessed."""
    with pytest.raises(InvalidRequestError, match="plain, mistral, qwen, qwen2, llama, custom"):
        await _prompt(*messages, model=BASE)


async def test_a_prompt_of_the_callers_own_is_sent_as_it_is() -> None:
    """The messages are not, and where there are several that is said."""
    assert await _prompt(*LONE, model=MODEL, options={"prompt": "<raw>"}) == Prompt("<raw>")
    told = await _prompt(*TALK, model=MODEL, options={"prompt": "<raw>"})
    assert [(notice.code, notice.parameter) for notice in told.notices] == [("messages_replaced", None)]


@pytest.mark.parametrize(("model", "code"), [(MODEL, "tools_as_text"), (BASE, "tools_ignored")])
async def test_tools_go_into_a_template_and_nowhere_else(model: dict[str, Any], code: str) -> None:
    """Either way the caller learns that no call will come as one."""
    prompt = await _prompt(Message("user", "Hi"), model=model, tools=[Tool("add")], tool_choice="add")
    assert [(notice.code, notice.parameter) for notice in prompt.notices] == [
        (code, "tools"),
        ("unsupported_parameter", "tool_choice"),
    ]
    assert ("'name': 'add'" in prompt.text) is (model is MODEL)


@pytest.mark.parametrize("options", [{}, {"format": "plain"}, {"prompt": "x"}])
async def test_pictures_have_no_place_in_a_prompt(options: dict[str, str]) -> None:
    """A notice says so, whichever way the prompt is made."""
    prompt = await _prompt(Message("user", ["Look", PICTURE]), model=MODEL, options=options)
    assert [notice.parameter for notice in prompt.notices] == ["messages"]


@pytest.mark.parametrize(
    "options",
    [{"format": "chatml"}, {"api": "grpc"}, {"task": "chat"}, {"template_variables": [1]}, {"prompt": ""}],
)
async def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    """With what they may be."""
    with pytest.raises(InvalidRequestError):
        await _prompt(*LONE, model=MODEL, options=options)
