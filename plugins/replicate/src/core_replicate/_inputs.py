"""From a request to a model's inputs: the right key for each model, within its limits, and a notice for the rest."""

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define, field

from core_chat import ChatRequest, Image, Message, Notice, flatten
from core_chat.messages import as_openai
from core_replicate._schema import IMAGE_LISTS, IMAGES, MAX_TOKENS, SYSTEM, Property, Schema

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
        self.notices.append(Notice("unsupported_parameter", why, parameter))


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
    system = [turn for turn in request.messages if turn.role == "system" and turn.text]
    turns = [turn for turn in request.messages if turn.role != "system"]
    system_key = schema.first(SYSTEM)
    if schema.takes_messages and (len(turns) > 1 or (system and system_key is None)):
        _put_message_list(inputs, request.messages)
        return
    if system and system_key is not None:
        inputs.values[system_key] = "\n\n".join(turn.text for turn in system)
        system = []
    inputs.values[schema.prompt_key] = flatten([*system, *turns])


def _put_message_list(inputs: Inputs, messages: Sequence[Message]) -> None:
    # The pictures go into the model's own input for them.
    texts = [Message(turn.role, [part for part in turn.parts if not isinstance(part, Image)]) for turn in messages]
    inputs.values["messages"] = [item for turn in texts for item in as_openai(turn)]
    if messages[-1].role == "assistant":
        inputs.refuse("messages", "this model answers after an assistant message, it does not continue it")


def _put_picture_prompt(inputs: Inputs, request: ChatRequest, schema: Schema) -> None:
    users = [turn for turn in request.messages if turn.role == "user" and turn.text]
    inputs.values[schema.prompt_key] = users[-1].text if users else flatten(request.messages)
    if len(request.messages) > 1:
        inputs.refuse("messages", "this model makes files from one prompt: only the last user message is used")


def _put_images(inputs: Inputs, request: ChatRequest, schema: Schema) -> None:
    links = [image.as_url() for turn in request.messages for image in turn.images]
    if not links:
        return
    many, one = schema.first(IMAGE_LISTS), schema.first(IMAGES)
    if many is not None:
        inputs.values[many] = links
    elif one is not None:
        inputs.values[one] = links[-1]
        if len(links) > 1:
            inputs.refuse("messages", f"this model takes one image: the last of {len(links)} is sent")
    else:
        inputs.refuse("messages", "this model takes no images")


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
        text = f"{parameter}={value:g} is outside what this model takes; {fitting:g} is sent"
        inputs.notices.append(Notice("adjusted_parameter", text, parameter))
    inputs.values[key] = fitting


def _fit(value: float, known: Property) -> float:
    if known.minimum is not None:
        value = max(value, known.minimum)
    if known.maximum is not None:
        value = min(value, known.maximum)
    return round(value) if known.type == "integer" else value


def _put_stop(inputs: Inputs, request: ChatRequest, schema: Schema) -> None:
    """Send stop texts where the model takes them; else the answer is cut here, and the prediction canceled."""
    if not request.stop:
        return
    key = schema.first(("stop_sequences", "stop"))
    kind = schema.inputs[key].type if key is not None else None
    if key is not None and kind == "array":
        inputs.values[key] = list(request.stop)
    elif key is not None and not any("," in word for word in request.stop):
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
    if request.tools:
        yield (
            "tools",
            [
                {
                    "type": "function",
                    "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)},
                }
                for tool in request.tools
            ],
        )
    if request.tool_choice is not None:
        yield "tool_choice", request.tool_choice
    if request.response_format is not None:
        yield "response_format", request.response_format
