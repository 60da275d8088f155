"""What is asked of a provider, checked before anything is sent."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

import attrs
from attrs import evolve, field, fields, frozen

from core_chat.clock import SYSTEM_CLOCK, Clock
from core_chat.errors import InvalidRequestError, close_names, hint
from core_chat.events import Notice
from core_chat.messages import Message, Text, Tool
from core_chat.models import ModelInfo
from core_chat.reply import Conversation

T = TypeVar("T")
Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]
_HIDDEN = {"repr": False}
_MESSAGE_OVERHEAD = 16


def number(low: float, high: float = math.inf, *, whole: bool = False, optional: bool = True) -> Validator:
    """Return an attrs validator: a finite number (a whole one) from `low` to `high`; bools and texts are refused."""
    kinds: Any = int if whole else (int, float)

    def check(_instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if value is None and optional:
            return
        good = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
        if not good or not low <= value <= high:
            noun = "a whole number" if whole else "a number"
            span = (
                f"from {low:g} to {high:g}"
                if math.isfinite(high)
                else f"of at least {low:g}"
                if low > -math.inf
                else ""
            )
            raise InvalidRequestError(
                f"{attribute.name} must be {noun} {span}".rstrip() + f", not {value!r}", parameter=attribute.name
            )

    return check


def text(*, optional: bool = True) -> Validator:
    """Return an attrs validator: a text that is not empty."""

    def check(_instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if (value is None and optional) or (isinstance(value, str) and value.strip()):
            return
        raise InvalidRequestError(f"{attribute.name} must be a text, not {value!r}", parameter=attribute.name)

    return check


def flag(_instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    """Validate, for attrs: True, False or None."""
    if value is not None and not isinstance(value, bool):
        raise InvalidRequestError(f"{attribute.name} must be True or False, not {value!r}", parameter=attribute.name)


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


def check_secret(value: Any, name: str = "api_key") -> str | None:
    """Return a credential that can be sent in a header; the error never shows it.

    Raises:
        InvalidRequestError: It is empty, or has spaces, line breaks or characters outside ASCII.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(f"{name} must be a text that is not empty", parameter=name)
    if any(not "!" <= character <= "~" for character in value):
        raise InvalidRequestError(
            f"{name} has a space, a line break or a character outside ASCII: copy it again without them", parameter=name
        )
    return value


def _secret(_instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    check_secret(value, attribute.name)


_HEADER_NAME = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def check_headers(headers: Any) -> dict[str, str]:
    """Return headers that can be sent (RFC 9110, section 5).

    Raises:
        InvalidRequestError: A name is no token, or a value is no text or holds a line break.
    """
    if not isinstance(headers, Mapping):
        raise InvalidRequestError(f"headers must be a mapping, not {type(headers).__name__}", parameter="headers")
    for name, value in headers.items():
        if not isinstance(name, str) or not name or not _HEADER_NAME.issuperset(name):
            raise InvalidRequestError(f"{name!r} is no header name", parameter="headers")
        if not isinstance(value, str) or any(character in value for character in "\r\n\0"):
            raise InvalidRequestError(f"the header {name} must be a text without line breaks", parameter="headers")
    return dict(headers)


def _stop(value: Any) -> tuple[str, ...]:
    words = (value,) if isinstance(value, str) else tuple(value or ())
    if any(not isinstance(word, str) or not word for word in words):
        raise InvalidRequestError("stop must be a text or a list of texts, none empty", parameter="stop")
    return words


def _tool(value: object) -> Tool:
    if isinstance(value, Tool):
        return value
    function = value.get("function", value) if isinstance(value, Mapping) else None
    if isinstance(function, Mapping) and isinstance(function.get("name"), str):
        schema = function.get("parameters") or {"type": "object", "properties": {}}
        return Tool(function["name"], function.get("description") or "", schema)
    raise InvalidRequestError("a tool is a Tool or an OpenAI-style function dict", parameter="tools")


def _tools(value: Iterable[Any] | None) -> tuple[Tool, ...]:
    if isinstance(value, str | Mapping):
        raise InvalidRequestError("tools must be a list", parameter="tools")
    return tuple(_tool(item) for item in value or ())


def check_mapping(value: Any, name: str) -> dict[str, Any]:
    """Return a mapping with text keys as a new dict; None is an empty one.

    Raises:
        InvalidRequestError: It is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidRequestError(f"{name} must be a mapping with text keys", parameter=name)
    return dict(value)


def _options(value: Any) -> dict[str, Any]:
    return check_mapping(value, "options")


def _extra(value: Any) -> dict[str, Any]:
    return check_mapping(value, "extra")


def _aspect_ratio(_instance: Any, _attribute: Any, value: Any) -> None:
    if value is None:
        return
    sides = value.split(":") if isinstance(value, str) else []
    if len(sides) != 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):  # noqa: PLR2004 - width:height
        raise InvalidRequestError(f"aspect_ratio must look like '16:9', not {value!r}", parameter="aspect_ratio")


def _tool_choice(_instance: Any, _attribute: Any, value: Any) -> None:
    if value is not None and not (isinstance(value, str) and value):
        raise InvalidRequestError(
            "tool_choice must be 'auto', 'none', 'required' or a tool's name", parameter="tool_choice"
        )


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
    response_format: Any = None
    width: int | None = field(default=None, validator=number(1, whole=True))
    height: int | None = field(default=None, validator=number(1, whole=True))
    aspect_ratio: str | None = field(default=None, validator=_aspect_ratio)
    max_input_chars: int | None = field(default=None, validator=number(1, whole=True))
    headers: Mapping[str, str] = field(factory=dict, converter=check_headers, repr=False)
    timeouts: Timeouts = field(factory=Timeouts, repr=False)
    api_key: str | None = field(default=None, validator=_secret, repr=False)
    options: Mapping[str, Any] = field(factory=dict, converter=_options, repr=False)
    extra: Mapping[str, Any] = field(factory=dict, converter=_extra, repr=False)
    strict: bool = False
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
    timeouts: Timeouts = field(factory=Timeouts, repr=False)
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
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidRequestError):
            raise
        raise InvalidRequestError(f"{request.model.provider}: bad option: {error}", parameter="options") from error


def trim(request: ChatRequest) -> tuple[ChatRequest, Notice | None]:
    """Apply `max_input_chars`: keep system messages and the newest turns that fit, and say what was left out.

    A message counts its characters and 16 more. The newest turn is always kept.
    """
    limit = request.max_input_chars
    if limit is None:
        return request, None
    room = limit - sum(_size(turn) for turn in request.messages if turn.role == "system")
    kept: list[Message] = []
    full = False
    for turn in reversed(request.messages):
        if turn.role == "system":
            kept.append(turn)
            continue
        room -= _size(turn)
        full = full or (room < 0 and any(other.role != "system" for other in kept))
        if not full:
            kept.append(turn)
    left_out = len(request.messages) - len(kept)
    if not left_out:
        return request, None
    messages = tuple(reversed(kept))
    told = f"{left_out} of {len(request.messages)} messages were left out to stay within max_input_chars={limit}"
    new = tuple(turn for turn in request.new_messages if any(turn is other for other in messages))
    # The provider's own state would bring back what was left out.
    trimmed = evolve(request, messages=messages, new_messages=new, conversation=None)
    return trimmed, Notice("input_trimmed", told)


def _size(turn: Message) -> int:
    return _MESSAGE_OVERHEAD + sum(len(part.text) for part in turn.parts if isinstance(part, Text))
