"""`max_input_chars`: what is kept, what is left out, and that it is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_chat import ChatRequest, Conversation, Image, Message, ModelInfo, ToolCall, ToolResult
from core_chat._trim import trim

PNG = b"\x89PNG\r\n\x1a\n" + bytes(500)


def request(*turns: Message, limit: int | None, **parameters: Any) -> ChatRequest:
    """A request whose last turn is new."""
    return ChatRequest(
        model=ModelInfo("m"), messages=turns, new_messages=turns[-1:], max_input_chars=limit, **parameters
    )


def test_what_fits_is_not_touched() -> None:
    """Without a limit, and within it, the request is the same object and there is nothing to tell."""
    turns = (Message("user", "a" * 4), Message("assistant", "b" * 4), Message("user", "c" * 4))
    for limit in (None, 60, 100):
        asked = request(*turns, limit=limit)
        assert trim(asked) == (asked, None)
        assert trim(asked)[0] is asked


@pytest.mark.parametrize(
    ("limit", "kept"), [(59, "sc"), (60, "sbc"), (75, "sbc"), (79, "sbc"), (80, "sabc"), (40, "sc"), (1, "sc")]
)
def test_the_newest_that_fit_are_kept(limit: int, kept: str) -> None:
    """A message counts its characters and 16; system messages stay, and so does the newest turn, whatever it counts."""
    turns = (Message("system", "s" * 4), *(Message("user", letter * 4) for letter in "abc"))
    trimmed, notice = trim(request(*turns, limit=limit))
    assert "".join(turn.text[0] for turn in trimmed.messages) == kept
    left_out = 4 - len(kept)
    assert (notice is None) == (left_out == 0)
    if notice is not None:
        told = f"{left_out} of 4 messages were left out to stay within max_input_chars={limit}"
        assert (notice.code, notice.text, notice.parameter) == ("input_trimmed", told, None)


def test_what_does_not_fit_ends_it() -> None:
    """An old short turn is not kept in the place of a newer long one: there would be a hole."""
    turns = (Message("user", "a"), Message("assistant", "b" * 100), Message("user", "c"))
    trimmed, _ = trim(request(*turns, limit=60))
    assert trimmed.messages == turns[2:]


def test_system_messages_stay_where_they_are() -> None:
    """Wherever a system message stands, it is kept in its place."""
    turns = (
        Message("user", "a" * 100),
        Message("system", "s"),
        Message("user", "b"),
        Message("system", "t"),
        Message("user", "c"),
    )
    trimmed, _ = trim(request(*turns, limit=90))
    assert trimmed.messages == turns[1:]


def test_results_stay_with_their_calls() -> None:
    """Upstreams refuse a tool's result without the call it answers."""
    call = Message("assistant", [ToolCall("1", "f", "{}")])
    result = Message("tool", [ToolResult("1", "r" * 50)])
    turns = (Message("user", "a" * 100), call, result)
    assert trim(request(*turns, limit=1))[0].messages == (call, result)
    assert trim(request(*turns, Message("user", "b"), limit=60))[0].messages == (Message("user", "b"),)


def test_pictures_do_not_count() -> None:
    """The limit is on characters: a picture counts as an empty message."""
    turns = (Message("user", [Image(PNG)]), Message("user", "b"))
    assert trim(request(*turns, limit=33))[1] is None


def test_the_providers_state_is_not_used() -> None:
    """A state would bring back what was left out, so the trimmed request is a transcript alone."""
    turns = (Message("user", "a" * 100), Message("assistant", "b"), Message("user", "c"))
    before = Conversation(turns[:2], {"": 1})
    trimmed, _ = trim(request(*turns, limit=40, conversation=before))
    assert (trimmed.conversation, trimmed.state) == (None, None)
    assert trimmed.new_messages == turns[2:]
    kept, _ = trim(request(*turns, limit=1000, conversation=before))
    assert kept.state == 1


@given(
    st.lists(
        st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text("ab", min_size=1, max_size=30)), min_size=1
    ),
    st.integers(1, 300),
)
def test_a_trimmed_request_keeps_the_rules(turns: list[tuple[Any, str]], limit: int) -> None:
    """For any turns: order and system messages are kept, a suffix of the others is, and it fits or is one turn."""
    messages = tuple(Message(role, words) for role, words in turns)
    trimmed, notice = trim(request(*messages, limit=limit))
    others = [turn for turn in messages if turn.role != "system"]
    kept = [turn for turn in trimmed.messages if turn.role != "system"]
    assert kept == others[len(others) - len(kept) :]
    assert [t for t in trimmed.messages if t.role == "system"] == [t for t in messages if t.role == "system"]
    assert (notice is not None) == (len(trimmed.messages) < len(messages))
    size = sum(len(turn.text) + 16 for turn in trimmed.messages)
    assert size <= limit or len(kept) <= 1
