"""What the bytes of event streams and stored outputs come to: each piece once, and how it ended."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_chat import IncompleteStreamError
from core_replicate._transcript import Ending, Transcript

PIECES = (
    "",
    "\n\n",
    "Once",
    " upon",
    "\n",
    "a\nb",
    " \u2028",
    "\r",
    "x\ry\r",
    " ",
    "日本🦙",
    "data: x",
    ": y",
    "",
    ".",
)


def frame(event: str, data: str, *, id: str | None = None, space: str = " ") -> bytes:  # noqa: A002 - as on the wire
    """Return one event as the upstream's server writes it."""
    lines = [f"event:{space}{event}", *([] if id is None else [f"id:{space}{id}"])]
    return "\n".join([*lines, *(f"data:{space}{line}" for line in data.split("\n")), "", ""]).encode()


def stream(pieces: Iterable[str], *, ids: bool = True, done: str = "{}") -> bytes:
    """Return a whole stream of pieces."""
    framed = [frame("output", piece, id=f"1:{n}" if ids else None) for n, piece in enumerate(pieces)]
    return b": hi\n\n" + b"".join(framed) + frame("done", done)


def feed(transcript: Transcript, *chunks: bytes) -> list[str]:
    """Feed chunks and return the pieces."""
    return [piece for chunk in chunks for piece in transcript.feed(chunk)]


def fresh() -> Transcript:
    """Return a transcript whose first connection has begun."""
    transcript = Transcript()
    assert transcript.connect() == {}
    return transcript


SUCCEEDED = Ending("succeeded")


@pytest.mark.parametrize("ids", ["ids", ""])
@pytest.mark.parametrize("space", [" ", ""])
def test_pieces_are_exact_at_every_split(ids: str, space: str) -> None:
    """Wherever the bytes are cut, each piece comes out once and exactly; empty ones are none."""
    pieces = [piece for piece in PIECES if space or not piece.startswith(" ")]
    framed = [frame("output", piece, id=f"1:{n}" if ids else None, space=space) for n, piece in enumerate(pieces)]
    body = b"".join([*framed, frame("done", "{}", id="9:9" if ids else None, space=space)])
    expected = [piece.removesuffix("\r") for piece in pieces if piece.removesuffix("\r")]
    for at in range(len(body) + 1):
        transcript = fresh()
        assert feed(transcript, body[:at], body[at:]) == expected
        assert transcript.ending == SUCCEEDED
        assert transcript.passed == expected


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8), st.lists(st.integers(0, 10**6)))
def test_any_text_in_any_chunks(pieces: list[str], at: list[int]) -> None:
    """Any text passes as it is, one piece for one event, but for one carriage return at a line's end."""
    body = stream(pieces)
    edges = sorted({0, len(body), *(place % (len(body) + 1) for place in at)})
    transcript = fresh()
    got = feed(transcript, *(body[start:end] for start, end in pairwise(edges)))
    exact = ["\n".join(line.removesuffix("\r") for line in piece.split("\n")) for piece in pieces]
    assert got == [piece for piece in exact if piece]
    assert transcript.ending == SUCCEEDED


@pytest.mark.parametrize(
    ("event", "data", "ending"),
    [
        ("done", "{}", SUCCEEDED),
        ("done", "", SUCCEEDED),
        ("done", "not json", SUCCEEDED),
        ("done", '{"reason": ""}', SUCCEEDED),
        ("done", "[" * 100_000, SUCCEEDED),
        ("done", '{"reason": "canceled"}', Ending("canceled")),
        ("done", '{"reason": "error"}', Ending("failed")),
        ("done", '{"reason": "error", "output": "Out of memory"}', Ending("failed", "Out of memory")),
        ("error", '{"detail": "Something went wrong"}', Ending("failed", "Something went wrong")),
        ("error", "Something went wrong", Ending("failed", "Something went wrong")),
        ("error", '{"detail": 5}', Ending("failed", '{"detail": 5}')),
        ("error", "", Ending("failed")),
    ],
)
def test_endings(event: str, data: str, ending: Ending) -> None:
    """`done` without a reason is success; its reason, and the event `error` in JSON or plain text, are failures."""
    transcript = fresh()
    assert feed(transcript, frame("output", "a", id="1:0"), frame(event, data)) == ["a"]
    assert transcript.ending == ending
    assert transcript.has_ended()


def test_nothing_comes_after_the_ending() -> None:
    """What a server sends after the terminal event is not read."""
    transcript = fresh()
    late = frame("error", '{"detail": "first"}') + frame("output", "late") + frame("done", '{"reason": "error"}')
    assert feed(transcript, frame("output", "a") + late) == ["a"]
    assert feed(transcript, late, frame("done", "{}")) == []
    assert transcript.ending == Ending("failed", "first")


def test_an_error_may_come_before_any_text() -> None:
    """A failure at the start has no pieces."""
    transcript = fresh()
    assert feed(transcript, frame("error", "no")) == []
    assert transcript.ending == Ending("failed", "no")


def test_other_events_and_comments_are_no_text() -> None:
    """Logs, unknown events, comments and pings are passed over."""
    transcript = fresh()
    body = b": hi\n\n:\n\n" + frame("logs", "loading") + frame("metric", "{}") + b"data: nameless\n\n"
    assert feed(transcript, body, frame("output", "a"), b":408: 408 Request Timeout\n") == ["a"]
    assert not transcript.has_ended()


def test_events_without_an_id_of_their_own_are_not_taken_for_seen_ones() -> None:
    """An event without an id has that of the one before it, and is text all the same."""
    transcript = fresh()
    body = frame("output", "a", id="1:0") + frame("output", "b") + frame("output", "b") + frame("output", "c", id="1:0")
    assert feed(transcript, body) == ["a", "b", "b", "c"]


some_pieces = st.lists(st.sampled_from(["a", "aa", "b", "\n", ""]), max_size=8)
places = st.lists(st.tuples(st.integers(0, 1000), st.booleans()), max_size=4)


@given(some_pieces, places)
def test_a_connection_that_breaks_anywhere_is_gone_on_with(pieces: list[str], cuts: list[tuple[int, bool]]) -> None:
    """Cut at any byte, and gone on with by a server that honours `Last-Event-ID` or not, each piece comes out once."""
    transcript = Transcript()
    got = []
    for at, honours in (*cuts, (-1, True)):
        last = transcript.connect().get("Last-Event-ID", "1:-1")
        after = int(last.partition(":")[2]) + 1 if honours else 0
        framed = [frame("output", piece, id=f"1:{number}") for number, piece in enumerate(pieces)]
        body = b"".join([*framed[after:], frame("done", "{}")])
        got += feed(transcript, body[: at % len(body) if at >= 0 else None])
    assert got == [piece for piece in pieces if piece]
    assert transcript.ending == SUCCEEDED


@given(some_pieces, places)
def test_a_stream_without_ids_is_gone_on_with_by_length(pieces: list[str], cuts: list[tuple[int, bool]]) -> None:
    """A server that gives no ids replays everything; what was received is left out to the character."""
    body = stream(pieces, ids=False)
    transcript = Transcript()
    got = []
    for at, _ in (*cuts, (len(body), True)):
        assert transcript.connect() == {}
        got += feed(transcript, body[: at if at == len(body) else at % len(body)])
    assert got == [piece for piece in pieces if piece]
    assert transcript.ending == SUCCEEDED


def test_where_to_go_on_is_told() -> None:
    """A new connection names the last event, of whatever kind."""
    transcript = fresh()
    feed(transcript, frame("output", "a", id="7:1"), frame("output", "", id="7:2"))
    assert transcript.connect() == {"Last-Event-ID": "7:2"}
    assert transcript.connections == 2


@pytest.mark.parametrize("odd", ["a\rb", "ü", "\x01"])
def test_an_id_that_cannot_be_sent_is_not(odd: str) -> None:
    """An id that fits into no header means a replay, of which the known events are left out."""
    transcript = fresh()
    assert feed(transcript, frame("output", "a", id=odd)) == ["a"]
    assert transcript.connect() == {}
    assert feed(transcript, frame("output", "a", id=odd), frame("output", "b", id="2")) == ["b"]


def test_after_a_replay_nothing_is_left_out() -> None:
    """Only the beginning of a new connection can be a replay: what follows a new event is new, whatever its id."""
    transcript = fresh()
    feed(transcript, frame("output", "a", id="1"))
    transcript.connect()
    body = (
        frame("output", "a", id="1")
        + frame("output", "b", id="2")
        + frame("output", "c")
        + frame("output", "d", id="1")
    )
    assert feed(transcript, body) == ["b", "c", "d"]


def test_half_an_event_of_a_broken_connection_is_forgotten() -> None:
    """What a connection left unfinished does not run into the next one."""
    transcript = fresh()
    feed(transcript, frame("output", "a", id="1:0"), b"event: output\nid: 1:1\ndata: hal")
    transcript.connect()
    assert feed(transcript, frame("output", "half", id="1:1")) == ["half"]


@pytest.mark.parametrize(
    ("passed", "output", "rest"),
    [
        ([], ["a", "", "b"], ["a", "b"]),
        (["a", "b"], ["a", "b", "c", "d"], ["c", "d"]),
        (["a", "b"], ["ab"], []),
        (["a"], ["abc", "d"], ["bc", "d"]),
        (["ab"], ["a"], []),
        (["ab"], [], []),
        ([], [], []),
        (["Hel"], ["Hello"], ["lo"]),
    ],
)
def test_a_stored_output_continues_what_was_passed_on(passed: list[str], output: list[str], rest: list[str]) -> None:
    """Of the stored output only what is new comes out, in its own pieces; a shorter one brings nothing."""
    transcript = Transcript()
    transcript.catch_up(passed)
    assert transcript.catch_up(output) == rest
    assert "".join(transcript.passed) == max("".join(passed), "".join(output), key=len)


def test_an_output_that_is_another_one_is_an_error() -> None:
    """A stored output that does not continue what was received means that some of it was lost or repeated."""
    transcript = Transcript()
    transcript.catch_up(["ab"])
    with pytest.raises(IncompleteStreamError, match="does not continue"):
        transcript.catch_up(["ax", "y"])


def test_streams_and_outputs_can_be_mixed() -> None:
    """What came by polling is left out of a stream that is replayed from its start."""
    transcript = fresh()
    transcript.catch_up(["Once", " upon"])
    transcript.connect()
    assert feed(transcript, stream(["Once", " upon", " a"], ids=False)) == [" a"]
