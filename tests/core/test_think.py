"""Inline reasoning: tags split over pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_chat.events import ReasoningDelta, TextDelta
from core_chat.think import ThinkSplitter

Folded = tuple[str, str]

WORDS = st.text(alphabet="<>/think \na", max_size=12)


def split(pieces: list[str]) -> list[TextDelta | ReasoningDelta]:
    """All events of a text that comes in these pieces."""
    splitter = ThinkSplitter()
    events = [event for piece in pieces if piece for event in splitter.feed(piece)]
    return events + splitter.flush()


def fold(events: list[TextDelta | ReasoningDelta]) -> Folded:
    """The reasoning and the text."""
    thoughts = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    return thoughts, "".join(event.text for event in events if isinstance(event, TextDelta))


def cut(text: str, places: set[int]) -> list[str]:
    """A text in pieces that end at these places."""
    edges = sorted({0, len(text), *(place for place in places if place < len(text))})
    return [text[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>why</think>because", ("why", "because")),
        ("<think>\nwhy\n</think>\n\nbecause", ("\nwhy\n", "\n\nbecause")),
        (" \n<think>why</think>because", ("why", " \nbecause")),
        ("<think>a</think>\n<think>b</think>c", ("ab", "\nc")),
        ("<think></think>because", ("", "because")),
        ("<think>a < b </thin k> </", ("a < b </thin k> </", "")),
        ("<think>a<think>b</think>c", ("a<think>b", "c")),
        ("The tag <think> opens it.", ("", "The tag <think> opens it.")),
        ("<think>a</think>b<think>c</think>", ("a", "b<think>c</think>")),
        ("<thinking>a</thinking>", ("", "<thinking>a</thinking>")),
        ("a</think>b", ("", "a</think>b")),
        ("<thi", ("", "<thi")),
        ("", ("", "")),
    ],
)
def test_every_split_tells_reasoning_from_text(text: str, expected: Folded) -> None:
    """Whatever the pieces, the same characters are reasoning and the same are text; only the tags go."""
    assert fold(split(list(text))) == expected
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            assert fold(split([text[:first], text[first:second], text[second:]])) == expected


@given(words=st.lists(WORDS, max_size=4), places=st.sets(st.integers(1, 60)))
def test_any_text_is_split_the_same_way(words: list[str], places: set[int]) -> None:
    """The split of the pieces never matters, and nothing but whole tags is ever dropped."""
    text = "<think>".join(words)
    expected = fold(split([text]))
    assert fold(split(cut(text, places))) == expected
    dropped = len(text) - len("".join(expected))
    assert dropped >= 0
    assert expected[0] or dropped in (0, len("<think></think>"), len("<think>")) or "</think>" in text


@given(pieces=st.lists(st.text(alphabet="ab <", min_size=1, max_size=5), max_size=8))
def test_pieces_without_tags_stay_as_they_were(pieces: list[str]) -> None:
    """One piece is one event, however long it had to be held back; reasoning too."""
    assert [event.text for event in split(pieces)] == pieces
    assert split(["<think>", *pieces]) == [ReasoningDelta(piece) for piece in pieces]


def test_nothing_is_looked_at_once_the_answer_has_begun() -> None:
    """After the first visible character of the answer no tag can follow, so the caller need not ask any more."""
    splitter = ThinkSplitter()
    splitter.feed(" \n")
    assert not splitter.plain
    splitter.feed("Hello")
    assert splitter.plain


def test_what_was_held_back_is_given_up_by_a_flush() -> None:
    """A tool call after half a tag ends the wait, and the half tag is text."""
    splitter = ThinkSplitter()
    assert splitter.feed("<th") == []
    assert splitter.flush() == [TextDelta("<th")]
    assert splitter.feed("ink>") == [TextDelta("ink>")]
