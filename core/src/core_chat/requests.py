"""What is asked of a provider, checked before anything is sent."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from attrs import field, fields, frozen

from core_chat.checks import check_headers, check_kind, check_mapping, check_secret, flag, number, text
from core_chat.clock import SYSTEM_CLOCK, Clock
from core_chat.errors import InvalidRequestError, close_names, hint
from core_chat.messages import Message, Tool
from core_chat.models import ModelInfo
from core_chat.reply import Conversation

__all__ = [
    "PARAMETERS",
    "ChatRequest",
    "ModelQuery",
    "Retry",
    "Timeouts",
    "check_headers",
    "check_mapping",
    "check_parameters",
    "check_secret",
    "flag",
    "number",
    "read_options",
    "text",
]

T = TypeVar("T")


@frozen(kw_only=True)
class Timeouts:
    """How long to wait, in seconds; None is for ever.

    Attributes:
        connect: For the connection.
        headers: From the request being sent to the answer's first line.
        first_event: For the first piece of the answer.
        idle: From one event to the next.
        total: For the upstream altogether, the time the caller works not counted.
    """

    connect: float | None = field(default=10, validator=number(0.001))
    headers: float | None = field(default=60, validator=number(0.001))
    first_event: float | None = field(default=300, validator=number(0.001))
    idle: float | None = field(default=120, validator=number(0.001))
    total: float | None = field(default=None, validator=number(0.001))


@frozen(kw_only=True)
class Retry:
    """How a call that failed before its first content is tried again.

    Attributes:
        attempts: Tries in all.
        budget: Seconds that may be spent waiting between them.
    """

    attempts: int = field(default=3, validator=number(1, 100, whole=True, optional=False))
    budget: float = field(default=60, validator=number(0, optional=False))


def _secret(_instance: Any, attribute: Any, value: Any) -> None:
    check_secret(value, attribute.name)


def _stop(value: Any) -> tuple[str, ...]:
    words = (value,) if isinstance(value, str) else () if value is None else _listed(value, "stop")
    if any(not isinstance(word, str) or not word for word in words):
        raise InvalidRequestError("stop must be a text or a list of texts, none empty", parameter="stop")
    return words


def _listed(value: object, name: str) -> tuple[Any, ...]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidRequestError(f"{name} must be a list, not {type(value).__name__}", parameter=name)
    return tuple(value)


def _tool(value: object) -> Tool:
    if isinstance(value, Tool):
        return value
    function = value.get("function", value) if isinstance(value, Mapping) else None
    if isinstance(function, Mapping) and isinstance(function.get("name"), str):
        schema = function.get("parameters") or {"type": "object", "properties": {}}
        return Tool(function["name"], function.get("description") or "", schema)
    raise InvalidRequestError("a tool is a Tool or an OpenAI-style function dict", parameter="tools")


def _tools(value: Any) -> tuple[Tool, ...]:
    tools = () if value is None else tuple(_tool(item) for item in _listed(value, "tools"))
    names = [tool.name for tool in tools]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InvalidRequestError(f"two tools are named {min(twice)!r}", parameter="tools")
    return tools


def _options(value: Any) -> dict[str, Any]:
    return check_mapping(value, "options")


def _extra(value: Any) -> dict[str, Any]:
    return check_mapping(value, "extra")


_SIDE = re.compile(r"[1-9][0-9]{0,5}")


def _aspect_ratio(_instance: Any, _attribute: Any, value: Any) -> None:
    if value is None:
        return
    sides = value.split(":") if isinstance(value, str) else []
    if len(sides) != 2 or not all(_SIDE.fullmatch(side) for side in sides):  # noqa: PLR2004 - width:height
        raise InvalidRequestError(f"aspect_ratio must look like '16:9', not {value!r}", parameter="aspect_ratio")


def _tool_choice(_instance: Any, _attribute: Any, value: Any) -> None:
    if value is not None and not (isinstance(value, str) and value):
        raise InvalidRequestError(
            "tool_choice must be 'auto', 'none', 'required' or a tool's name", parameter="tool_choice"
        )


def _response_format(_instance: Any, _attribute: Any, value: Any) -> None:
    if value is None or value == "json" or (isinstance(value, Mapping) and isinstance(value.get("type"), str)):
        return
    raise InvalidRequestError(
        "response_format is 'json' or a mapping like {'type': 'json_schema', 'json_schema': {…}}",
        parameter="response_format",
    )


def _timeouts(_instance: Any, attribute: Any, value: Any) -> None:
    check_kind(value, Timeouts, attribute.name)


def _conversation(_instance: Any, _attribute: Any, value: Any) -> None:
    if value is not None and not isinstance(value, Conversation):
        raise InvalidRequestError(
            "conversation must be a Conversation, as reply.conversation is", parameter="conversation"
        )


@frozen(kw_only=True)
class ChatRequest:
    """One checked request, as a provider's `stream_chat` gets it; what is None or empty was not asked for.

    Attributes:
        model: The resolved model.
        messages: Everything to be answered: the conversation's transcript and the new turns.
        new_messages: The tail of `messages` that is new.
        conversation: What came before; `state` is this provider's part of it.
        tool_choice: "auto", "none", "required" or the name of a tool.
        max_tokens: How many tokens the answer may have.
        stop: Texts that end the answer.
        response_format: "json", or an OpenAI-style mapping with a JSON Schema.
        width, height: Pixels, for pictures.
        max_input_chars: Opt-in limit on the input; the core applies it and says so.
        headers: Sent with the generating request, verbatim.
        options: The provider's own settings; read them with `read_options`.
        extra: Goes verbatim, last, into the body of the generating request.
        strict: Whether a notice about a parameter is an error; the core sees to that.
    """

    model: ModelInfo
    messages: tuple[Message, ...]
    new_messages: tuple[Message, ...] = ()
    conversation: Conversation | None = field(default=None, validator=_conversation)
    tools: tuple[Tool, ...] = field(default=(), converter=_tools)
    tool_choice: str | None = field(default=None, validator=_tool_choice)
    temperature: float | None = field(default=None, validator=number(0, 2))
    top_p: float | None = field(default=None, validator=number(0, 1))
    top_k: int | None = field(default=None, validator=number(0, whole=True))
    max_tokens: int | None = field(default=None, validator=number(1, whole=True))
    stop: tuple[str, ...] = field(default=(), converter=_stop)
    seed: int | None = field(default=None, validator=number(-math.inf, whole=True))
    presence_penalty: float | None = field(default=None, validator=number(-2, 2))
    frequency_penalty: float | None = field(default=None, validator=number(-2, 2))
    reasoning_effort: str | None = field(default=None, validator=text())
    response_format: Any = field(default=None, validator=_response_format)
    width: int | None = field(default=None, validator=number(1, whole=True))
    height: int | None = field(default=None, validator=number(1, whole=True))
    aspect_ratio: str | None = field(default=None, validator=_aspect_ratio)
    max_input_chars: int | None = field(default=None, validator=number(1, whole=True))
    headers: Mapping[str, str] = field(factory=dict, converter=check_headers, repr=False)
    timeouts: Timeouts = field(factory=Timeouts, validator=_timeouts, repr=False)
    api_key: str | None = field(default=None, validator=_secret, repr=False)
    options: Mapping[str, Any] = field(factory=dict, converter=_options, repr=False)
    extra: Mapping[str, Any] = field(factory=dict, converter=_extra, repr=False)
    strict: bool = field(default=False, validator=flag)
    clock: Clock = field(default=SYSTEM_CLOCK, repr=False, eq=False)

    @property
    def state(self) -> Any:
        """What this provider's last answer left for this one, or None."""
        return self.conversation.state.get(self.model.provider) if self.conversation else None


@frozen(kw_only=True)
class ModelQuery:
    """What a list of models is asked for.

    A provider may use it to ask its upstream for less; the registry filters anyway.
    """

    search: str | None = field(default=None, validator=text())
    task: str | None = field(default=None, validator=text())
    api_key: str | None = field(default=None, validator=_secret, repr=False)
    timeouts: Timeouts = field(factory=Timeouts, validator=_timeouts, repr=False)
    clock: Clock = field(default=SYSTEM_CLOCK, repr=False, eq=False)


PARAMETERS: tuple[str, ...] = tuple(
    attribute.name
    for attribute in fields(ChatRequest)
    if attribute.name
    not in {"model", "messages", "new_messages", "conversation", "timeouts", "api_key", "strict", "clock"}
)
"""The names `registry.stream` takes as further keywords."""


def check_parameters(given: Iterable[str]) -> None:
    """Refuse keywords that are no parameter.

    Raises:
        InvalidRequestError: One is unknown; close names are suggested, and `options`/`extra` for the rest.
    """
    for name in given:
        if name not in PARAMETERS:
            close = hint(close_names(name, PARAMETERS))
            raise InvalidRequestError(
                f"unknown parameter {name!r}{close} (a provider's own settings go into options={{…}}, "
                "raw fields of the upstream into extra={…})",
                parameter=name,
            )


@frozen
class NoOptions:
    """For `read_options`, where a provider has no settings of its own."""


def read_options(kind: type[T], request: ChatRequest) -> T:
    """Return a request's `options` as the attrs class in which a provider declares its own settings.

    Raises:
        InvalidRequestError: An option is unknown (near names are suggested) or its validator refuses it.
    """
    known = [attribute.name for attribute in fields(kind)]  # type: ignore[arg-type]  # any attrs class
    for name in request.options:
        if name not in known:
            ways = hint(close_names(name, known)) or (f": it takes {', '.join(known)}" if known else ": it takes none")
            raise InvalidRequestError(f"{request.model.provider} has no option {name!r}{ways}", parameter="options")
    try:
        return kind(**request.options)
    except InvalidRequestError:
        raise
    except (TypeError, ValueError) as error:
        # attrs' own validators put more than the sentence into their errors.
        told = error.args[0] if error.args and isinstance(error.args[0], str) else type(error).__name__
        raise InvalidRequestError(f"{request.model.provider}: bad option: {told}", parameter="options") from error
