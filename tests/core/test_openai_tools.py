"""Tool calls: every dialect becomes the same events."""

from typing import Any

import pytest

from core_chat.errors import ProtocolError
from core_chat.events import ToolCallDelta
from core_chat.openai._tools import ToolCalls


def piece(**entry: Any) -> dict[str, Any]:
    """One entry of a `tool_calls` field."""
    return {"type": "function", **entry}


def read(*fields: Any) -> list[ToolCallDelta]:
    """All events of these `tool_calls` fields."""
    calls = ToolCalls()
    return [event for field in fields for event in calls.read(field)]


WANTED = [ToolCallDelta(0, "c1", "get", '{"a"'), ToolCallDelta(0, arguments=":1}")]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(
            [
                [piece(index=0, id="c1", function={"name": "get", "arguments": '{"a"'})],
                [{"index": 0, "function": {"arguments": ":1}"}}],
            ],
            id="id and name once",
        ),
        pytest.param(
            [
                [piece(index=0, id="c1", function={"name": "get", "arguments": '{"a"'})],
                [piece(index=0, id="c1", function={"name": "get", "arguments": ":1}"})],
            ],
            id="repeated",
        ),
        pytest.param(
            [
                piece(index=0, id="c1", function={"name": "get", "arguments": '{"a"'}),
                piece(index=0, id="", function={"name": None, "arguments": ":1}"}),
            ],
            id="a single object",
        ),
        pytest.param(
            [
                [piece(index=0, id="c1", function={"name": "get", "arguments": '{"a"'})],
                [piece(index=0, id="c2", function={"name": None, "arguments": ":1}"})],
            ],
            id="a new id with every piece",
        ),
        pytest.param(
            [
                [piece(id="c1", function={"name": "get", "arguments": '{"a"'})],
                [piece(function={"arguments": ":1}"})],
            ],
            id="no index",
        ),
        pytest.param(
            [
                [piece(id="c1", function={"name": "get", "arguments": '{"a"'})],
                [piece(id="c1", function={"arguments": ":1}"})],
            ],
            id="no index, the id repeated",
        ),
        pytest.param(
            [
                [piece(index=0, id="c1", function={"name": "get", "arguments": '{"a"'})],
                [piece(index=0, function={"arguments": ""})],
                [piece(index=0, function=None)],
                [piece(index=0, function={"arguments": ":1}"})],
            ],
            id="empty pieces",
        ),
    ],
)
def test_pieces_of_one_call(fields: list[Any]) -> None:
    """The id and the name come once, with the first piece; an empty piece is no event."""
    assert read(*fields) == WANTED


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(
            [
                [piece(index=0, id="a", function={"name": "x", "arguments": "{}"})],
                [piece(index=1, id="b", function={"name": "x", "arguments": "{}"})],
            ],
            id="by index",
        ),
        pytest.param(
            [
                [piece(index=0, id="a", function={"name": "x", "arguments": "{}"})],
                [piece(index=0, id="b", function={"name": "x", "arguments": "{}"})],
            ],
            id="under one index",
        ),
        pytest.param(
            [
                [
                    piece(id="a", function={"name": "x", "arguments": "{}"}),
                    piece(id="b", function={"name": "x", "arguments": "{}"}),
                ]
            ],
            id="by id",
        ),
    ],
)
def test_two_calls(fields: list[Any]) -> None:
    """A new index, or a new id with a name, begins another call."""
    assert read(*fields) == [ToolCallDelta(0, "a", "x", "{}"), ToolCallDelta(1, "b", "x", "{}")]


def test_pieces_of_two_calls_may_alternate() -> None:
    """Each piece goes to the call its index names."""
    events = read(
        [piece(index=1, id="b", function={"name": "y", "arguments": "1"})],
        [piece(index=0, id="a", function={"name": "x", "arguments": "2"})],
        [piece(index=1, function={"arguments": "3"})],
    )
    assert events == [ToolCallDelta(1, "b", "y", "1"), ToolCallDelta(0, "a", "x", "2"), ToolCallDelta(1, arguments="3")]


def test_a_number_is_an_id() -> None:
    """Ids become texts, also 0."""
    assert read([piece(index=0, id=0, function={"name": "x", "arguments": "{}"})])[0].id == "0"


def test_a_call_without_an_id_gets_one() -> None:
    """Its result can then name it."""
    events = read([piece(function={"name": "x", "arguments": "{}"}), piece(function={"name": "y"})])
    assert [(event.index, event.id, event.name) for event in events] == [(0, "call_0", "x"), (1, "call_1", "y")]


def test_arguments_may_be_an_object() -> None:
    """They become JSON text, as it stands for people of all languages."""
    assert read([piece(index=0, id="a", function={"name": "x", "arguments": {"k": "ü"}})])[0].arguments == '{"k": "ü"}'


def test_a_whole_message_counts_its_calls_by_place() -> None:
    """Entries without an index are calls of their own, whatever their ids."""
    entry = piece(id=0, function={"name": "x", "arguments": {}})
    assert [event.index for event in ToolCalls().read([entry, entry], whole=True)] == [0, 1]


@pytest.mark.parametrize("field", [["text"], [{"function": "text"}], [None]])
def test_what_is_no_call_is_an_error(field: Any) -> None:
    """Nothing is dropped silently."""
    with pytest.raises(ProtocolError):
        read(field)
