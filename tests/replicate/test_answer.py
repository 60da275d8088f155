"""A prediction's pieces as events."""

import pytest

from core_chat import Media, ProtocolError, ReasoningDelta, TextDelta
from core_replicate._answer import FileAnswer, TextAnswer


def test_inline_reasoning_is_told_apart() -> None:
    """Tags that open the answer go, split over pieces or not; the rest stays as it came."""
    answer = TextAnswer()
    events = [event for piece in ("<th", "ink>", "Hm", ".</think>", "\n\n", "So") for event in answer.feed(piece)]
    assert [*events, *answer.close()] == [
        ReasoningDelta("Hm"),
        ReasoningDelta("."),
        TextDelta("\n\n"),
        TextDelta("So"),
    ]


def test_what_is_held_back_comes_at_the_end() -> None:
    """Neither the beginning of a stop text nor that of a tag is lost when the answer ends there."""
    stopping, thinking = TextAnswer(["END"]), TextAnswer()
    assert list(stopping.feed("say EN")) == [TextDelta("say ")]
    assert stopping.close() == [TextDelta("EN")]
    assert list(thinking.feed("<thi")) == []
    assert thinking.close() == [TextDelta("<thi")]


def test_a_stop_text_ends_the_answer() -> None:
    """What stands before it is passed on, and no more is wanted."""
    answer = TextAnswer(["END"])
    assert list(answer.feed("say END now")) == [TextDelta("say ")]
    assert answer.stopped
    assert answer.close() == []


def test_files_are_media() -> None:
    """Each piece is one file; what is no link is an error."""
    answer = FileAnswer()
    assert answer.feed("https://files.example/a.png") == (
        Media(url="https://files.example/a.png", media_type="image/png"),
    )
    assert answer.close() == ()
    with pytest.raises(ProtocolError):
        answer.feed("no link")
