"""Cutting an answer at a stop text."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_replicate._stop import StopFilter


def run(pieces: list[str], words: list[str]) -> tuple[str, bool]:
    """Return what a filter passes on of some pieces, and whether it stopped."""
    stop = StopFilter(words)
    passed = []
    for piece in pieces:
        passed.append(stop.feed(piece))
        if stop.stopped:
            break
    return "".join([*passed, stop.close()]), stop.stopped


def split(text: str, at: list[int]) -> list[str]:
    """Return a text cut at these places."""
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in at)})
    return [text[start:end] for start, end in pairwise(edges)]


def cut(text: str, words: list[str]) -> str:
    """Return the text up to the stop text that is complete first, reading character by character."""
    for end in range(len(text) + 1):
        ending = [word for word in words if text[:end].endswith(word)]
        if ending:
            return text[: end - max(map(len, ending))]
    return text


few = st.text("ab\n", max_size=12)


@given(few, st.text("ab\n", min_size=1, max_size=4), st.lists(st.integers(0, 100)))
def test_one_word_is_a_plain_split(text: str, word: str, at: list[int]) -> None:
    """However the text comes, what passes is what stands before the stop text."""
    assert run(split(text, at), [word]) == (text.split(word, maxsplit=1)[0], word in text)


@given(few, st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3), st.lists(st.integers(0, 100)))
def test_of_several_words_the_first_to_be_complete_counts(text: str, words: list[str], at: list[int]) -> None:
    """However the text comes, it is cut where the first complete stop text begins."""
    assert run(split(text, at), words)[0] == cut(text, words)


def test_what_cannot_be_a_beginning_passes_at_once() -> None:
    """Only as much is held back as could be the beginning of a stop text."""
    stop = StopFilter(["\nUser:"])
    assert [stop.feed(piece) for piece in ("Hello", "\n", "Us", "ual", "\nU")] == ["Hello", "", "", "\nUsual", ""]
    assert stop.close() == "\nU"
    assert stop.close() == ""


@pytest.mark.parametrize("piece", ["", "a", "\n\n"])
def test_without_words_everything_passes(piece: str) -> None:
    """Without a stop text each piece passes as it is."""
    assert StopFilter(()).feed(piece) is piece
