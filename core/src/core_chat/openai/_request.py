"""From a `ChatRequest` to a body: what was asked for, and nothing the wire does not know."""

from typing import Any

from attrs import evolve, field, frozen

from core_chat.dicts import as_openai, response_format_as_openai, tool_as_openai, tool_choice_as_openai
from core_chat.errors import InvalidRequestError, close_names, hint
from core_chat.events import Notice
from core_chat.messages import Image, Message, Text
from core_chat.notices import unsupported
from core_chat.requests import ChatRequest

_PASSED_ON = (
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
)
_PICTURE = Text("[picture]")
_TAKEN = frozenset({*_PASSED_ON, "stop", "response_format", "tools", "tool_choice", "images"})


@frozen
class Body:
    """The body to send, its `model` first, and what has to be told before it is sent."""

    json: dict[str, Any] = field(repr=False)
    notices: tuple[Notice, ...] = ()

    def asking(self, model: str) -> dict[str, Any]:
        """Return the body with another model id, still first: some routers read no further to find it."""
        return {"model": model, **{key: value for key, value in self.json.items() if key != "model"}}


def chat_body(request: ChatRequest, *, also: tuple[str, ...] = ()) -> Body:
    """Return the body that asks for a stream with usage.

    Args:
        request: What is asked.
        also: Further fields of the request that this vendor knows under the same name, such as "top_k".

    Raises:
        InvalidRequestError: The tool choice names no tool, or `n` is more than 1.
    """
    body: dict[str, Any] = {
        "model": request.model.name,
        "messages": [item for message in request.messages for item in as_openai(_without_own_pictures(message))],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    body |= {name: value for name in (*_PASSED_ON, *also) if (value := getattr(request, name)) is not None}
    if request.stop:
        body["stop"] = list(request.stop)
    if request.response_format is not None:
        body["response_format"] = response_format_as_openai(request.response_format)
    body |= _tools(request)
    body |= request.extra
    if body.get("n") not in (None, 1):
        raise InvalidRequestError("a stream holds one answer: extra={'n': …} must be 1", parameter="extra")
    return Body(body, tuple(_notices(request, known=also)))


def _notices(request: ChatRequest, *, known: tuple[str, ...]) -> list[Notice]:
    notices = list(unsupported(request, taken={*_TAKEN, *known}))
    if any(_has_own_pictures(message) for message in request.messages):
        told = "pictures that the assistant made cannot be sent back; a word stands in their place"
        notices.append(Notice("images_left_out", told, parameter="messages"))
    if request.messages[-1].role == "assistant":
        told = "the last message is the assistant's: whether it is continued or answered is up to the upstream"
        notices.append(Notice("continuation_uncertain", told, parameter="messages"))
    return notices


def _has_own_pictures(message: Message) -> bool:
    return message.role != "user" and bool(message.images)


def _without_own_pictures(message: Message) -> Message:
    """Return a message as the wire takes it: only the user shows pictures."""
    if not _has_own_pictures(message):
        return message
    return evolve(message, parts=[_PICTURE if isinstance(part, Image) else part for part in message.parts])


def _tools(request: ChatRequest) -> dict[str, Any]:
    names = [tool.name for tool in request.tools]
    choice = request.tool_choice
    fields: dict[str, Any] = {"tools": [tool_as_openai(tool) for tool in request.tools]} if names else {}
    if choice is None or (choice in ("auto", "none") and not names):
        return fields
    if choice in names or (names and choice in ("auto", "none", "required")):
        return fields | {"tool_choice": tool_choice_as_openai(choice)}
    close = hint(close_names(choice, names))
    raise InvalidRequestError(f"tool_choice {choice!r} is none of the tools given{close}", parameter="tool_choice")
