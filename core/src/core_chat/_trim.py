"""The opt-in limit on what is sent."""

from collections.abc import Iterable

from attrs import evolve

from core_chat.events import Notice
from core_chat.messages import Image, Message
from core_chat.requests import ChatRequest

_MESSAGE_OVERHEAD = 16


def trim(request: ChatRequest) -> tuple[ChatRequest, Notice | None]:
    """Apply `max_input_chars`: keep system messages and the newest turns that fit, and say what was left out.

    A message counts its characters and 16 more. The newest turn is always kept, and a tool's results stay with the
    calls they answer.
    """
    limit = request.max_input_chars
    if limit is None:
        return request, None
    messages = _newest(request.messages, limit)
    left_out = len(request.messages) - len(messages)
    if not left_out:
        return request, None
    told = f"{left_out} of {len(request.messages)} messages were left out to stay within max_input_chars={limit}"
    new = tuple(turn for turn in request.new_messages if any(turn is other for other in messages))
    # The provider's own state would bring back what was left out.
    trimmed = evolve(request, messages=messages, new_messages=new, conversation=None)
    return trimmed, Notice("input_trimmed", told)


def _newest(turns: Iterable[Message], limit: int) -> tuple[Message, ...]:
    units = _units(turns)
    room = limit - sum(_size(turn) for unit in units for turn in unit if turn.role == "system")
    keep: set[int] = set()
    for index in reversed([index for index, unit in enumerate(units) if unit[0].role != "system"]):
        room -= sum(map(_size, units[index]))
        if keep and room < 0:
            break
        keep.add(index)
    return tuple(turn for index, unit in enumerate(units) if index in keep or unit[0].role == "system" for turn in unit)


def _units(turns: Iterable[Message]) -> list[list[Message]]:
    """Group turns that only make sense together: a tool's results and the calls before them."""
    units: list[list[Message]] = []
    for turn in turns:
        if turn.role == "tool" and units and units[-1][0].role != "system":
            units[-1].append(turn)
        else:
            units.append([turn])
    return units


def _size(turn: Message) -> int:
    sizes = (
        len(getattr(part, "text", "")) + len(getattr(part, "content", "")) + len(getattr(part, "arguments", ""))
        for part in turn.parts
        if not isinstance(part, Image)
    )
    return _MESSAGE_OVERHEAD + sum(sizes)
