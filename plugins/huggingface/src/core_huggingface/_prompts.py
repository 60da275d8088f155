"""From messages to the prompt of a text-generation endpoint: the model's own template first, then named formats."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from core_chat.errors import InvalidRequestError
from core_chat.events import Notice
from core_chat.messages import Message
from core_chat.notices import UNSUPPORTED
from core_chat.requests import ChatRequest
from core_huggingface._options import InferenceOptions
from core_huggingface.formats import format_prompt, known_formats
from core_huggingface.rendering import Renderer
from core_huggingface.templates import find_template, special_tokens, template_variables


@frozen
class Prompt:
    """The text to be continued, and what has to be told before it is sent."""

    text: str = field(repr=False)
    notices: tuple[Notice, ...] = ()


async def make_prompt(
    request: ChatRequest, options: InferenceOptions, *, model: Mapping[str, Any] | None, renderer: Renderer
) -> Prompt:
    """Return the prompt for a request; `model` is the Hub's data of the model, None where nobody was asked for it.

    Raises:
        InvalidRequestError: There is no template and no format was named, or one of them does not take the messages.
    """
    if options.prompt is not None:
        return Prompt(options.prompt, (*_lost(request, tools=False), *_unsent(request)))
    if options.format is not None:
        end_token = options.end_token or special_tokens(model or {}).get("eos_token")
        prompt = format_prompt(options.format, request.messages, end_token=end_token)
        return Prompt(prompt, tuple(_lost(request, tools=False)))
    template = options.template or find_template(model or {}, tools=bool(request.tools))
    if template is not None:
        prompt = await _render(request, options, template=template, model=model or {}, renderer=renderer)
        return Prompt(prompt, tuple(_lost(request, tools=True)))
    return Prompt(_lone_text(request.messages), (*_lost(request, tools=False), *_unasked(model)))


async def _render(
    request: ChatRequest, options: InferenceOptions, *, template: str, model: Mapping[str, Any], renderer: Renderer
) -> str:
    variables = template_variables(
        request.messages, tools=request.tools, tokens=special_tokens(model), more=options.template_variables
    )
    last = request.messages[-1]
    if last.role == "assistant" and not last.tool_calls:
        return await renderer.render_continued(template, variables)
    return await renderer.render(template, variables)


def _lone_text(messages: Sequence[Message]) -> str:
    """Return the text of one lone user message: what a base model is given, and all that needs no format."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].text
    raise InvalidRequestError(
        "no chat template of this model is known, so only one user message can be sent as it is; for more, name a "
        f"format with options={{'format': …}}: {known_formats()}",
        parameter="messages",
    )


def _lost(request: ChatRequest, *, tools: bool) -> list[Notice]:
    """Return what a prompt has no place for; `tools` tells whether a template may have one for them."""
    notices = []
    if any(message.images for message in request.messages):
        told = "a prompt holds no pictures; they were left out"
        notices.append(Notice("images_ignored", told, parameter="messages"))
    if request.tools:
        told = (
            "the tools went into the prompt; a call of one comes as text"
            if tools
            else "a prompt without a chat template has no place for tools; they were left out"
        )
        notices.append(Notice("tools_as_text" if tools else "tools_ignored", told, parameter="tools"))
    if request.tool_choice not in (None, "auto"):
        told = "a model that is given a prompt cannot be told which tool to call"
        notices.append(Notice(UNSUPPORTED, told, parameter="tool_choice"))
    return notices


def _unsent(request: ChatRequest) -> list[Notice]:
    """Tell that more messages than one were given beside a prompt of the caller's own."""
    if len(request.messages) == 1:
        return []
    return [Notice("messages_replaced", "options={'prompt': …} was sent instead of the messages")]


def _unasked(model: Mapping[str, Any] | None) -> list[Notice]:
    if model is not None:
        return []
    told = (
        "the message was sent as it is: nobody was asked for the model's chat template (pass hub_url= to look it up, "
        "or options={'format': …})"
    )
    return [Notice("no_template", told)]
