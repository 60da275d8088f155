"""The fold of events, the reply, and conversations saved and read again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_chat import (
    Conversation,
    Event,
    Finish,
    Image,
    InvalidRequestError,
    Media,
    Message,
    Notice,
    Part,
    Reasoning,
    ReasoningDelta,
    Reply,
    Route,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Usage,
)
from core_chat.reply import Fold

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


def fold(*events: Event, before: tuple[Message, ...] = ()) -> Reply:
    """The reply of these events."""
    gathered = Fold("p", before)
    for event in events:
        gathered.add(event)
    return gathered.reply()


# The fold


def test_nothing_folds_to_an_empty_reply() -> None:
    """Without events everything is empty, and the conversation is what came before."""
    assert fold() == Reply()
    before = (Message("user", "a"),)
    assert fold(before=before).conversation == Conversation(before)


def test_each_event_has_its_place() -> None:
    """Text and reasoning are joined, media and notices listed, of usage, route and finish the last one counts."""
    reply = fold(
        Route("p", "first"),
        Route("p", "second"),
        Notice("a", "a"),
        ReasoningDelta("h"),
        ReasoningDelta("m"),
        TextDelta("a"),
        Media(data=PNG),
        TextDelta(" b"),
        Usage(1, 1),
        Notice("b", "b"),
        Usage(2, 5),
        Finish("stop", "eos", {"x": 1}),
    )
    assert (reply.text, reply.reasoning, reply.media) == ("a b", "hm", (Media(data=PNG),))
    assert (reply.usage, reply.route) == (Usage(2, 5), Route("p", "second"))
    assert [notice.code for notice in reply.notices] == ["a", "b"]
    assert reply.finish == Finish("stop", "eos", {"x": 1})
    assert reply.message == Message("assistant", [Reasoning("hm"), Text("a b"), Image(PNG)])


def test_tool_calls_are_put_together_by_index() -> None:
    """Pieces come mixed; id and name once, on any of them, or again and again; arguments are joined."""
    reply = fold(
        ToolCallDelta(1, id="b", name="g"),
        ToolCallDelta(0, id="a"),
        ToolCallDelta(0, name="f", arguments='{"x":'),
        ToolCallDelta(1, id="b", name="g", arguments="{}"),
        ToolCallDelta(0, arguments=" 1}"),
        ToolCallDelta(7),
        Finish("tool_calls"),
    )
    assert reply.tool_calls == (ToolCall("a", "f", '{"x": 1}'), ToolCall("b", "g", "{}"), ToolCall("", "", "{}"))


def test_only_a_complete_answer_becomes_a_turn() -> None:
    """A broken answer leaves the conversation as it was; an empty one adds no turn, but may leave a state."""
    before = (Message("user", "a"),)
    assert fold(TextDelta("b"), before=before).conversation == Conversation(before)
    assert fold(Finish("stop", state=5), before=before).conversation == Conversation(before, {"p": 5})
    whole = fold(TextDelta("b"), Finish("stop"), before=before).conversation
    assert whole == Conversation((*before, Message("assistant", "b")))


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (Media(data=PNG), Image(PNG)),
        (Media(url="https://example.org/a.png"), Image(url="https://example.org/a.png")),
        (
            Media(url="https://example.org/a.png", media_type="image/png"),
            Image(url="https://example.org/a.png", media_type="image/png"),
        ),
        (Media(url="https://example.org/a.mp4", media_type="video/mp4"), Text("[video/mp4] https://example.org/a.mp4")),
        (Media(data=b"RIFFsound", media_type="audio/wav"), Text("[audio/wav]")),
        (Media(data=b"no picture"), Text("[file]")),
        (Media(), Text("[file]")),
        (Media(url="gopher://a"), Text("[file] gopher://a")),
    ],
)
def test_media_in_the_transcript(media: Media, part: Part) -> None:
    """A picture stays one; other files are named by their type and link."""
    assert fold(media, Finish("stop")).conversation.messages[0].parts == (part,)


def test_many_pieces_of_arguments_are_cheap() -> None:
    """Long arguments in many pieces are joined once, at the end."""
    pieces = [ToolCallDelta(0, arguments="x")] * 100_000
    assert len(fold(*pieces).tool_calls[0].arguments) == 100_000


# Conversations


texts = st.text(st.characters(codec="utf-8"), max_size=20)
parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, texts),
    st.builds(Image, st.just(PNG) | st.binary(max_size=20).map(lambda tail: PNG + tail)),
    st.builds(Image, url=st.just("https://example.org/ä?b=c"), media_type=st.none() | st.just("image/png")),
)
calls: st.SearchStrategy[Part] = st.builds(ToolCall, texts, texts, texts) | st.builds(Reasoning, texts)
turns = st.one_of(
    st.builds(Message, st.sampled_from(["system", "user"]), st.lists(parts, max_size=4)),
    st.builds(Message, st.just("assistant"), st.lists(parts | calls, max_size=4)),
    st.builds(Message, st.just("tool"), st.lists(st.builds(ToolResult, texts, texts, st.none() | texts), max_size=3)),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(turns, max_size=5), st.dictionaries(texts, values, max_size=3))
def test_a_saved_conversation_is_read_as_it_was(messages: list[Message], state: dict[str, Any]) -> None:
    """`from_json(to_json())` is the same value, for any transcript and state; the text is plain ASCII JSON."""
    conversation = Conversation(messages, state)
    saved = conversation.to_json()
    assert saved.isascii()
    assert json.loads(saved)["version"] == 1
    assert Conversation.from_json(saved) == conversation
    assert Conversation.from_json(saved.encode()) == conversation


def test_half_a_surrogate_pair_can_be_saved() -> None:
    """An upstream may cut a character between two pieces; the saved text can be written to a file all the same."""
    conversation = Conversation([Message("assistant", "\ud83d")])
    assert Conversation.from_json(conversation.to_json().encode()) == conversation


def test_the_saved_form_is_stable() -> None:
    """What an earlier version wrote is read: the form of version 1, by hand."""
    saved = json.dumps(
        {
            "version": 1,
            "messages": [
                {"role": "user", "parts": [{"type": "Text", "text": "hi"}]},
                {"role": "assistant", "parts": [{"type": "ToolCall", "id": "1", "name": "f", "arguments": "{}"}]},
                {"role": "tool", "parts": [{"type": "ToolResult", "id": "1", "content": "ok"}]},
            ],
            "state": {"p": {"id": 7}},
        }
    )
    expected = Conversation(
        [Message("user", "hi"), Message("assistant", ToolCall("1", "f")), Message("tool", ToolResult("1", "ok"))],
        {"p": {"id": 7}},
    )
    assert Conversation.from_json(saved) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "5",
        '"text"',
        "{",
        b"\xff\xfe",
        "[" * 100_000,
        '{"version": 1}',
        '{"version": 1, "messages": [], "state": 5}',
        '{"version": 1, "messages": {}, "state": []}',
        '{"version": 1, "messages": [{}], "state": {}}',
        '{"version": 1, "messages": [{"role": "x", "parts": []}], "state": {}}',
        '{"version": 1, "messages": [{"role": "user", "parts": ["a"]}], "state": {}}',
        '{"version": 1, "messages": [{"role": "user", "parts": [{"type": "Video"}]}], "state": {}}',
        '{"version": 1, "messages": [{"role": "user", "parts": [{"type": "Text"}]}], "state": {}}',
        '{"version": 1, "messages": [{"role": "user", "parts": [{"type": "Text", "text": 5}]}], "state": {}}',
        '{"version": 1, "messages": [{"role": "user", "parts": [{"type": "Image", "data": "!"}]}], "state": {}}',
        '{"version": 1, "messages": [{"role": "user", "parts": [{"type": "Text", "text": "a", "b": 1}]}], "state": {}}',
    ],
)
def test_what_is_no_saved_conversation_is_refused(text: str | bytes) -> None:
    """Anything else is one clear error."""
    with pytest.raises(InvalidRequestError):
        Conversation.from_json(text)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_is_told_apart(version: object) -> None:
    """A conversation that a newer version wrote says so."""
    saved = json.dumps({"version": version, "messages": [], "state": {}})
    with pytest.raises(
        InvalidRequestError, match=f"this conversation has format {version!r}; this core-chat reads format 1"
    ):
        Conversation.from_json(saved)


@pytest.mark.parametrize(
    "arguments", [(5,), ("text",), ([5],), ([{"role": "user"}],), ((), 5), ((), {1: 2}), ((), [1])]
)
def test_a_conversation_is_checked_when_it_is_made(arguments: tuple[Any, ...]) -> None:
    """A transcript is of messages, a state is per provider."""
    with pytest.raises(InvalidRequestError):
        Conversation(*arguments)


def test_a_conversation_is_a_value() -> None:
    """It is never changed, its state is a copy, and its repr shows no state."""
    state = {"p": "secret"}
    conversation = Conversation([Message("user", "a")], state)
    state["q"] = "other"
    assert conversation.state == {"p": "secret"}
    assert "secret" not in repr(conversation)
    assert Conversation() == Conversation((), {})
