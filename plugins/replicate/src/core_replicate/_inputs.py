"""From a request to a model's inputs: the right key for each model, within its limits, and a notice for the rest."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define, field

from core_chat import ChatRequest, Image, Message, Notice, flatten
from core_chat.dicts import as_openai, response_format_as_openai, tool_as_openai, tool_choice_as_openai
from core_chat.notices import UNSUPPORTED
from core_replicate._schema import IMAGES, MAX_TOKENS, SYSTEM, Property, Schema

_PROMPT = "prompt"
_SAME_NAME = (
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "width",
    "height",
    "aspect_ratio",
)


@define
class Inputs:
    """The inputs of one prediction, what could not be honoured, and the stop texts left for the client to watch for."""

    values: dict[str, Any] = field(factory=dict)
    notices: list[Notice] = field(factory=list)
    stop: tuple[str, ...] = ()

    def refuse(self, parameter: str, why: str) -> None:
        """Note that a parameter is not honoured."""
        self.notices.append(Notice(UNSUPPORTED, why, parameter))


def build_inputs(request: ChatRequest, schema: Schema) -> Inputs:
    """Return the inputs for a request; `extra` goes in last, verbatim."""
    inputs = Inputs()
    if schema.output == "files":
        _put_picture_prompt(inputs, request, schema)
    else:
        _put_messages(inputs, request, schema)
    _put_images(inputs, request, schema)
    _put_max_tokens(inputs, request, schema)
    for name in _SAME_NAME:
        _put(inputs, schema, parameter=name, key=name, value=getattr(request, name))
    _put_stop(inputs, request, schema)
    _put_tools(inputs, request, schema)
    if schema.inputs.get("stream", Property()).type == "boolean":
        inputs.values["stream"] = True
    inputs.values.update(request.extra)
    return inputs


def _put_messages(inputs: Inputs, request: ChatRequest, schema: Schema) -> None:
    messages = [turn for turn in request.messages if turn.role != "system" or turn.text.strip()]
    system = [turn for turn in messages if turn.role == "system"]
    turns = [turn for turn in messages if turn.role != "system"]
    prompt_key, system_key = schema.prompt_key, schema.first(SYSTEM)
    is_plain = len(turns) == 1 and (not system or system_key is not None)
    if schema.takes_messages and not (is_plain and prompt_key is not None):
        _put_message_list(inputs, messages, schema)
        return
    if system and turns and system_key is not None:
        inputs.values[system_key] = "\n\n".join(turn.text for turn in system)
        system = []
    inputs.values[prompt_key or _PROMPT] = flatten([*system, *turns])
    if any(turn.tool_calls for turn in turns):
        inputs.refuse("messages", "this model takes one prompt: the tool calls in the messages are left out of it")


def _put_message_list(inputs: Inputs, messages: Sequence[Message], schema: Schema) -> None:
    # The pictures go into the model's own input for them.
    texts = [Message(turn.role, [part for part in turn.parts if not isinstance(part, Image)]) for turn in messages]
    inputs.values["messages"] = [item for turn in texts for item in as_openai(turn)]
    if schema.prompt_key in schema.required:
        inputs.values[schema.prompt_key or _PROMPT] = flatten(messages[-1:])
    if messages[-1].role == "assistant":
        inputs.refuse("messages", "this model answers after an assistant message, it does not continue it")


def _put_picture_prompt(inputs: Inputs, request: ChatRequest, schema: Schema) -> None:
    users = [turn for turn in request.messages if turn.role == "user" and turn.text.strip()]
    inputs.values[schema.prompt_key or _PROMPT] = users[-1].text if users else flatten(request.messages)
    if len(request.messages) > 1:
        inputs.refuse("messages", "this model makes files from one prompt: only the last user message is used")


def _put_images(inputs: Inputs, request: ChatRequest, schema: Schema) -> None:
    links = [image.as_url() for turn in request.messages for image in turn.images]
    key = schema.first(IMAGES)
    if not links:
        return
    if key is None:
        inputs.refuse("messages", "this model takes no images")
    elif schema.inputs[key].type == "array":
        inputs.values[key] = links
    else:
        inputs.values[key] = links[-1]
        if len(links) > 1:
            inputs.refuse("messages", f"this model takes one image: the last of {len(links)} is sent")


def _put_max_tokens(inputs: Inputs, request: ChatRequest, schema: Schema) -> None:
    key = schema.first(MAX_TOKENS) or MAX_TOKENS[0]
    _put(inputs, schema, parameter="max_tokens", key=key, value=request.max_tokens)


def _put(inputs: Inputs, schema: Schema, *, parameter: str, key: str, value: Any) -> None:
    """Set one input, brought within the limits of the model; a value that had to change is told."""
    if value is None:
        return
    known = schema.inputs.get(key)
    if known is None:
        inputs.refuse(parameter, f"this model does not take {parameter}")
        return
    if known.choices and value not in known.choices:
        listed = ", ".join(map(str, known.choices))
        inputs.refuse(parameter, f"this model takes {parameter} only as one of {listed}")
        return
    fitting = _fit(value, known) if isinstance(value, int | float) else value
    if fitting != value:
        text = f"{parameter}={value} does not fit this model: {fitting} is sent"
        inputs.notices.append(Notice("adjusted_parameter", text, parameter))
    inputs.values[key] = fitting


def _fit(value: float, known: Property) -> float:
    """Return the nearest value that the model takes."""
    if known.type != "integer":
        low, high = known.minimum, known.maximum
    else:
        value = round(value)
        low = None if known.minimum is None else math.ceil(known.minimum)
        high = None if known.maximum is None else math.floor(known.maximum)
    if low is not None and value < low:
        return low
    return high if high is not None and value > high else value


def _put_stop(inputs: Inputs, request: ChatRequest, schema: Schema) -> None:
    """Send stop texts where the model takes them; else the answer is cut here, and the prediction canceled."""
    if not request.stop:
        return
    key = schema.first(("stop_sequences", "stop"))
    kind = schema.inputs[key].type if key is not None else None
    if schema.output == "files":
        inputs.refuse("stop", "this model makes files, which no text stops")
    elif key is not None and kind == "array":
        inputs.values[key] = list(request.stop)
    elif key is not None and kind == "string" and not any("," in word for word in request.stop):
        inputs.values[key] = ",".join(request.stop)
    else:
        inputs.stop = request.stop


def _put_tools(inputs: Inputs, request: ChatRequest, schema: Schema) -> None:
    for parameter, value in _tool_values(request):
        if parameter in schema.inputs:
            inputs.values[parameter] = value
        else:
            inputs.refuse(parameter, f"this model does not take {parameter}")


def _tool_values(request: ChatRequest) -> Iterator[tuple[str, Any]]:
    """Yield what OpenAI-style models take under these names."""
    if request.tools:
        yield "tools", [tool_as_openai(tool) for tool in request.tools]
    if request.tool_choice is not None:
        yield "tool_choice", tool_choice_as_openai(request.tool_choice)
    if request.response_format is not None:
        yield "response_format", response_format_as_openai(request.response_format)
