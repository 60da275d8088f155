"""The decoder of server-sent events, against the words of the standard."""

import re
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core_chat import ProtocolError
from core_chat.http import ServerSentEvent, SSEDecoder

Ends = Literal["any", "lf"]
BOM = b"\xef\xbb\xbf"

fields = st.sampled_from(
    [b"data", b"event", b"id", b"retry", b"", b"Data", b" data", b"datax", b"\xc3\xa9", b"data\xe2\x80\xa8"]
)
contents = st.sampled_from(
    [b"", b"a", b" a", b"  a", b":", b"a:b", b"12", b"0x1", b"-1", b"\0", b"a\0b", b"\xff", "é\u2028".encode(), b"\t"]
)
lines = st.one_of(
    st.just(b""),
    st.tuples(fields, st.sampled_from([b":", b": ", b""]), contents).map(b"".join),
)
ends_of_lines = st.sampled_from([b"\n", b"\r\n", b"\r"])
bodies = st.builds(
    lambda start, body, tail: start + b"".join(line + end for line, end in body) + tail,
    st.sampled_from([b"", b"", BOM, BOM + BOM, BOM[:2]]),
    st.lists(st.tuples(lines, ends_of_lines), max_size=12),
    st.sampled_from([b"", b"data: cut", b"id: 9"]),
)


class Model:
    """The algorithm of the standard, line by line, as it is written there (section 9.2.6)."""

    def __init__(self, body: bytes, ends: Ends) -> None:
        self.events: list[ServerSentEvent] = []
        self.retry: int | None = None
        self.last_event_id = ""
        self.buffer = b""
        self.event_type = ""
        self.event_id = ""
        if body.startswith(BOM):
            body = body[3:]
        if ends == "any":
            *found, _ = re.split(rb"\r\n|\n|\r", body)
        else:
            *found, _ = body.split(b"\n")
            found = [line[:-1] if line.endswith(b"\r") else line for line in found]
        for line in found:
            self.line(line)

    def line(self, line: bytes) -> None:
        if not line:
            self.dispatch()
        elif line.startswith(b":"):
            pass
        elif b":" in line:
            name, value = line[: line.index(b":")], line[line.index(b":") + 1 :]
            self.field(name, value[1:] if value.startswith(b" ") else value)
        else:
            self.field(line, b"")

    def field(self, name: bytes, value: bytes) -> None:
        if name == b"event":
            self.event_type = value.decode("utf-8", "replace")
        elif name == b"data":
            self.buffer += value + b"\n"
        elif name == b"id" and b"\0" not in value:
            self.event_id = value.decode("utf-8", "replace")
        elif name == b"retry" and re.fullmatch(rb"[0-9]+", value):
            self.retry = int(value)

    def dispatch(self) -> None:
        self.last_event_id = self.event_id
        if self.buffer:
            self.events.append(ServerSentEvent(self.buffer[:-1], self.event_type or "message", self.last_event_id))
        self.buffer, self.event_type = b"", ""


@given(bodies, st.lists(st.integers(0, 1000), max_size=8), st.sampled_from(["any", "lf"]))
@example(BOM + b"data: a\n\n", [1, 2, 3], "any")
@example(b"data: a\r\n\r\n", [8, 9, 10], "any")
def test_any_split_gives_the_events_of_the_standard(body: bytes, at: list[int], ends: Ends) -> None:
    """However the bytes are cut, events, ids and the retry time are those of the standard's algorithm."""
    model = Model(body, ends)
    edges = sorted({0, len(body), *(position % (len(body) + 1) for position in at)})
    for cuts in (edges, list(range(len(body) + 1)), [0, len(body)]):
        decoder = SSEDecoder(ends=ends)
        found = [event for start, end in pairwise(cuts) for event in decoder.feed(body[start:end])]
        assert found == model.events
        assert (decoder.last_event_id, decoder.retry) == (model.last_event_id, model.retry)


def events(body: bytes, *, ends: Ends = "any") -> list[tuple[bytes, str, str]]:
    """The events of a body fed at once."""
    return [(event.data, event.event, event.id) for event in SSEDecoder(ends=ends).feed(body)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [(b"YHOO\n+2\n10", "message", "")]),
        (b": test stream\n\ndata: first event\nid: 1\n\n", [(b"first event", "message", "1")]),
        (
            b"data:second event\nid\n\ndata:  third event\n\n",
            [(b"second event", "message", ""), (b" third event", "message", "")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [(b"", "message", ""), (b"\n", "message", "")]),
        (b"data:test\n\ndata: test\n\n", [(b"test", "message", "")] * 2),
        (b"event: add\ndata: 1\n\ndata: 2\n\n", [(b"1", "add", ""), (b"2", "message", "")]),
        (b"event: lost\n\ndata: 1\n\n", [(b"1", "message", "")]),
        (b"id: 7\ndata: a\n\ndata: b\n\n", [(b"a", "message", "7"), (b"b", "message", "7")]),
        (b"data: a\n", []),
        (b"data:{}\n\ndata:[DONE]\n\n", [(b"{}", "message", ""), (b"[DONE]", "message", "")]),
        ("data: a\u2028b\u0085\n\n".encode(), [("a\u2028b\u0085".encode(), "message", "")]),
    ],
)
def test_the_standards_own_examples_and_what_vendors_send(body: bytes, expected: list[tuple[bytes, str, str]]) -> None:
    """One leading space goes, data lines are joined, an event without data is none, an unfinished one neither."""
    assert events(body) == expected


def test_where_only_lf_counts_a_carriage_return_is_data() -> None:
    r"""Tokens that hold `\\r` come raw from some servers: there it is content, but for one before the line's end."""
    assert events(b"data: a\rdata: b\r\n\r\n", ends="lf") == [(b"a\rdata: b", "message", "")]
    assert events(b"data: a\rdata: b\r\n\r\n") == [(b"a\nb", "message", "")]


def test_the_last_event_id_is_of_an_event_that_came_whole() -> None:
    """Cut within an event, a client that reconnects asks for that event again."""
    decoder = SSEDecoder()
    decoder.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b")
    assert decoder.last_event_id == "1"
    decoder.feed(b"\n\n")
    assert decoder.last_event_id == "2"
    decoder.feed(b"id: 3\n\n")
    assert decoder.last_event_id == "3"


def test_comments_are_kept_apart() -> None:
    """Some servers say in a comment why they end."""
    decoder = SSEDecoder()
    assert decoder.feed(b":\n: ping\n\n") == []
    assert decoder.comment == "ping"
    decoder.feed(b": stream \xff closed\n")
    assert decoder.comment == "stream \ufffd closed"


def test_bytes_that_are_no_text() -> None:
    """The data stays bytes; as text, what is no UTF-8 is replaced."""
    (event,) = SSEDecoder().feed(b"data: \xff\xc3\xa9\n\n")
    assert (event.data, event.text) == (b"\xff\xc3\xa9", "\ufffdé")


def test_a_character_cut_between_pieces_is_whole() -> None:
    """Decoding to text waits for the whole event."""
    decoder = SSEDecoder()
    body = "data: 💡é\n\n".encode()
    found = [event for index in range(len(body)) for event in decoder.feed(body[index : index + 1])]
    assert [event.text for event in found] == ["💡é"]


@pytest.mark.parametrize("value", [b"", b"-1", b"1.5", b"1s", "\uff11".encode(), b"9" * 5000])
def test_a_retry_that_is_no_time_is_ignored(value: bytes) -> None:
    """Only ASCII digits count, and not more of them than a time can have."""
    decoder = SSEDecoder()
    decoder.feed(b"retry: 3000\nretry: " + value + b"\n")
    assert decoder.retry == 3000


def test_an_event_has_a_limit() -> None:
    """Many short lines are no way around the limit, not even empty ones."""
    for line in (b"data: xxxx\n", b"data\n"):
        decoder = SSEDecoder(limit=100)
        with pytest.raises(ProtocolError, match="the data of an event is longer than 100 bytes"):
            decoder.feed(line * 200)
    with pytest.raises(ProtocolError, match="a line of the answer is longer than 100 bytes"):
        SSEDecoder(limit=100).feed(b"data: " + b"x" * 101)
    decoder = SSEDecoder(limit=100)
    assert len(decoder.feed(b"data: xxxx\n\n" * 200)) == 200
