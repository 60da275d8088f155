"""Tool calls in all their dialects, brought to one: the id and the name once, then pieces of the arguments."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define

from core_chat.errors import ProtocolError
from core_chat.events import ToolCallDelta


@define
class _Call:
    index: int
    id: str | None
    named: bool = False
    told: bool = False


class ToolCalls:
    """Remembers the calls of one answer.

    Servers send a list or a single object; repeat the id and the name with every piece, or send them null; give ids
    as numbers, or none; arguments as text or as an object; whole calls one after the other under one index. A call
    that never gets an id is given one, so that its result can name it.
    """

    __slots__ = ("_by_index", "_calls", "_last")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._last: _Call | None = None

    def __bool__(self) -> bool:
        return bool(self._calls)

    def read(self, value: Any, *, whole: bool = False) -> Iterator[ToolCallDelta]:
        """Return the events of a `tool_calls` field; in a `whole` message each entry is a call of its own.

        Raises:
            ProtocolError: The field holds something else than objects.
        """
        for position, entry in enumerate([value] if isinstance(value, Mapping) else value):
            function = entry.get("function") or {} if isinstance(entry, Mapping) else None
            if not isinstance(function, Mapping):
                raise ProtocolError("the upstream sent a tool call that is none", got=repr(entry)[:200])
            index = entry.get("index", position if whole else None)
            yield from self._piece(_whole_number(index), _identifier(entry.get("id")), function)

    def _piece(self, index: int | None, id_: str | None, function: Mapping[str, Any]) -> Iterator[ToolCallDelta]:
        name = function.get("name") or None
        arguments = _arguments(function.get("arguments"))
        call = self._find(index, id_, name) or self._add(index, id_)
        self._last = call
        new_name = None if call.named else name
        if call.told and not new_name and not arguments:
            return
        yield ToolCallDelta(call.index, None if call.told else call.id, new_name, arguments)
        call.told = True
        call.named = call.named or new_name is not None

    def _find(self, index: int | None, id_: str | None, name: str | None) -> _Call | None:
        """Return the call that a piece continues: a new id with a name begins another one, under any index."""
        if index is not None:
            known = self._by_index.get(index)
            return None if known and name and id_ and id_ != known.id else known
        if id_ is not None and (same := next((call for call in self._calls if call.id == id_), None)):
            return same
        return None if id_ or name else self._last

    def _add(self, index: int | None, id_: str | None) -> _Call:
        taken = {call.index for call in self._calls}
        number = index if index is not None and index not in taken else max(taken, default=-1) + 1
        call = _Call(number, id_ or f"call_{number}")
        self._calls.append(call)
        self._by_index[number if index is None else index] = call
        return call


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _identifier(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _arguments(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)
