"""The whole answer, and the conversation it belongs to."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import asdict, define, evolve, field, frozen

from core_chat.checks import check_mapping
from core_chat.errors import InvalidRequestError
from core_chat.events import (
    Event,
    Finish,
    Media,
    Notice,
    ReasoningDelta,
    Route,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from core_chat.messages import Image, Message, Part, Reasoning, Text, ToolCall, ToolResult

FORMAT = 1
_KINDS: dict[str, type[Part]] = {kind.__name__: kind for kind in (Text, Image, Reasoning, ToolCall, ToolResult)}


def _turns(given: Iterable[Message]) -> tuple[Message, ...]:
    value: object = given
    turns: tuple[Any, ...] = tuple(value) if isinstance(value, Iterable) else (value,)
    for turn in turns:
        if not isinstance(turn, Message):
            raise InvalidRequestError(
                f"a conversation holds Messages, not {type(turn).__name__}", parameter="conversation"
            )
    return turns


def _state(value: Mapping[str, Any]) -> dict[str, Any]:
    return check_mapping(value, "state")


@frozen
class Conversation:
    """What was said before: the transcript, and per provider the opaque state its last answer left.

    A value: it is never changed, each reply holds the next one. `Conversation()` is a valid start.
    """

    messages: tuple[Message, ...] = field(default=(), converter=_turns)
    state: Mapping[str, Any] = field(factory=dict, converter=_state, repr=False)

    def to_json(self) -> str:
        """Return the conversation as JSON text; images are kept as base64."""
        turns = [{"role": turn.role, "parts": [_dump_part(part) for part in turn.parts]} for turn in self.messages]
        # ASCII, so that text an upstream cut in the middle of a surrogate pair can be written to a file all the same.
        return json.dumps({"version": FORMAT, "messages": turns, "state": dict(self.state)})

    @classmethod
    def from_json(cls, text: str | bytes) -> "Conversation":
        """Return the conversation that `to_json` wrote.

        Raises:
            InvalidRequestError: The text is not one, or a newer version of this library wrote it.
        """
        try:
            return _read_saved(json.loads(text))
        except InvalidRequestError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidRequestError("this text is no saved conversation", parameter="conversation") from error


def _read_saved(value: dict[str, Any]) -> Conversation:
    if value["version"] != FORMAT:
        raise InvalidRequestError(
            f"this conversation has format {value['version']!r}; this core-chat reads format {FORMAT}",
            parameter="conversation",
        )
    turns = tuple(Message(turn["role"], [_load_part(part) for part in turn["parts"]]) for turn in value["messages"])
    return Conversation(turns, value["state"])


def _dump_part(part: Part) -> dict[str, Any]:
    values = {key: value for key, value in asdict(part).items() if value is not None}
    if isinstance(values.get("data"), bytes):
        values["data"] = base64.b64encode(values["data"]).decode("ascii")
    return {"type": type(part).__name__, **values}


def _load_part(values: dict[str, Any]) -> Part:
    values = dict(values)
    kind = _KINDS[values.pop("type")]
    if "data" in values:
        values["data"] = base64.b64decode(values["data"], validate=True)
    return kind(**values)


@frozen(kw_only=True)
class Reply:
    """The fold of a stream's events; of a stream that broke off, what had come until then (`finish` is None)."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    media: tuple[Media, ...] = ()
    usage: Usage | None = None
    finish: Finish | None = None
    route: Route | None = None
    notices: tuple[Notice, ...] = ()
    conversation: Conversation = field(factory=Conversation, repr=False)

    @property
    def message(self) -> Message:
        """The answer as one assistant message."""
        parts: list[Part] = []
        if self.reasoning:
            parts.append(Reasoning(self.reasoning))
        if self.text:
            parts.append(Text(self.text))
        parts.extend(_as_image(item) for item in self.media)
        parts.extend(self.tool_calls)
        return Message("assistant", parts)


def _as_image(media: Media) -> Part:
    """Keep a picture in the transcript; what is no picture is named by its link or type."""
    try:
        if media.media_type is None or media.media_type.startswith("image/"):
            return Image(url=media.url, media_type=media.media_type) if media.data is None else Image(data=media.data)
    except InvalidRequestError:
        pass
    return Text(f"[{media.media_type or 'file'}] {media.url or ''}".strip())


@define(eq=False)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(factory=list)


class Fold:
    """Gathers events into a `Reply`; text is joined once, at the end."""

    __slots__ = (
        "_before",
        "_calls",
        "_finish",
        "_media",
        "_notices",
        "_provider",
        "_reasoning",
        "_route",
        "_usage",
        "text",
    )

    def __init__(self, provider: str, before: tuple[Message, ...]) -> None:
        self._provider = provider
        self._before = before
        self.text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._media: list[Media] = []
        self._notices: list[Notice] = []
        self._usage: Usage | None = None
        self._route: Route | None = None
        self._finish: Finish | None = None

    @property
    def complete(self) -> bool:
        """Whether the answer has come to its end."""
        return self._finish is not None

    def add(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case TextDelta():
                self.text.append(event.text)
            case ReasoningDelta():
                self._reasoning.append(event.text)
            case ToolCallDelta():
                self._add_call(event)
            case Media():
                self._media.append(event)
            case Notice():
                self._notices.append(event)
            case Usage():
                self._usage = event
            case Route():
                self._route = event
            case Finish():
                self._finish = event

    def _add_call(self, piece: ToolCallDelta) -> None:
        call = self._calls.setdefault(piece.index, _Call())
        call.id = call.id or piece.id or ""
        call.name = call.name or piece.name or ""
        call.arguments.append(piece.arguments)

    def reply(self) -> Reply:
        """Return what has been gathered so far."""
        calls = [call for _, call in sorted(self._calls.items())]
        reply = Reply(
            text="".join(self.text),
            reasoning="".join(self._reasoning),
            tool_calls=tuple(ToolCall(call.id, call.name, "".join(call.arguments) or "{}") for call in calls),
            media=tuple(self._media),
            usage=self._usage,
            finish=self._finish,
            route=self._route,
            notices=tuple(self._notices),
        )
        return evolve(reply, conversation=self._conversation(reply))

    def _conversation(self, reply: Reply) -> Conversation:
        """Return the conversation after this answer: one that broke off leaves no turn and no state behind."""
        if self._finish is None:
            return Conversation(self._before)
        messages = (*self._before, reply.message) if reply.message.parts else self._before
        state = {} if self._finish.state is None else {self._provider: self._finish.state}
        return Conversation(messages, state)
