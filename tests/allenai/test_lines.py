"""One line of an answer."""

from typing import Any

import pytest

from core_allenai._lines import Channel, arguments_of, get, messages_of, read_line, text_of
from core_chat import ProtocolError, TextDelta


@pytest.mark.parametrize("data", [{"toolCallId": "x"}, {"tool_call_id": "x"}])
def test_fields_are_found_in_both_spellings(data: dict[str, Any]) -> None:
    """The first generation writes snake_case."""
    assert get(data, "toolCallId") == "x"
    assert text_of({"modelHost": 1}, "modelHost") is None


@pytest.mark.parametrize(
    ("args", "text"), [(None, ""), ("", ""), ('{"a"', '{"a"'), ({"a": "é"}, '{"a": "é"}'), ([1], "[1]")]
)
def test_arguments_are_json_text(args: Any, text: str) -> None:
    """Pieces of text, or a whole object."""
    assert arguments_of({"args": args}) == text


@pytest.mark.parametrize(
    "data",
    [
        {"messages": [{"id": "a", "children": ["b"]}, {"id": "b", "children": None}]},
        {"id": "a", "children": [{"id": "b", "children": None}]},
    ],
)
def test_messages_are_found_in_lists_and_chains(data: dict[str, Any]) -> None:
    """Children that are ids are no messages."""
    assert [message["id"] for message in messages_of(data)] == ["a", "b"]


@pytest.mark.parametrize("data", [{"messages": None}, {"messages": [1]}, {"messages": {"id": "a"}}])
def test_odd_lists_have_no_messages(data: dict[str, Any]) -> None:
    """And are no crash."""
    assert list(messages_of(data)) == []


def test_a_channel_gives_out_only_what_is_missing() -> None:
    """Per message; a text that began differently has nothing missing."""
    channel = Channel(TextDelta)
    assert channel.is_empty
    assert channel.add("a", "Hi") == TextDelta("Hi")
    assert list(channel.rest("a", "Hi you")) == [TextDelta(" you")]
    for whole in ("Hi you", "Hi", "Ho you all", None, 7):
        assert list(channel.rest("a", whole)) == []
    assert list(channel.rest("b", "New")) == [TextDelta("New")]
    assert not channel.is_empty


def test_errors_show_no_key() -> None:
    """Nor a part of one that stands at the cut."""
    with pytest.raises(ProtocolError) as caught:
        read_line(b"x" * 55 + b"canary-1234", secret="canary-1234")
    assert "cana" not in str(caught.value.got)
