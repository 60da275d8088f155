"""The line splitter: any split of the bytes gives the same lines, and no line costs more than its limit."""

import re
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core_chat import ProtocolError
from core_chat.http import LineSplitter

Ends = Literal["any", "lf"]
bodies = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bc", b"\xc3", b"\xe2\x80\xa8", b" "])).map(b"".join)


def cut(body: bytes, at: list[int]) -> list[bytes]:
    """The pieces of a body that is cut at these places."""
    edges = sorted({0, len(body), *(position % (len(body) + 1) for position in at)})
    return [body[start:end] for start, end in pairwise(edges)]


def split(pieces: list[bytes], ends: Ends) -> tuple[list[bytes], bytes]:
    """The lines of a body that comes in these pieces, and what stands after the last line end."""
    splitter = LineSplitter(ends=ends)
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return lines, splitter.close()


def model(body: bytes, ends: Ends) -> tuple[list[bytes], bytes]:
    """The same, by what the words say."""
    if ends == "any":
        *lines, rest = re.split(rb"\r\n|\n|\r", body)
    else:
        *lines, rest = body.split(b"\n")
        lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
    return lines, rest


@given(bodies, st.lists(st.integers(0, 1000)), st.sampled_from(["any", "lf"]))
@example(b"a\r\nb", [2], "any")
@example(b"\r\n\r\n", [1, 2, 3], "any")
@example(b"a\r\n", [2], "lf")
@example(b"a\r\r\nb", [1, 2, 3], "lf")
def test_any_split_gives_the_same_lines(body: bytes, at: list[int], ends: Ends) -> None:
    """However the network cuts a body, even within a line end, its lines are those of the model."""
    assert split(cut(body, at), ends) == model(body, ends)
    assert split([body[index : index + 1] for index in range(len(body))], ends) == model(body, ends)


@given(bodies, st.lists(st.integers(0, 1000)))
def test_empty_pieces_change_nothing(body: bytes, at: list[int]) -> None:
    """A piece without bytes is no line."""
    pieces = [item for piece in cut(body, at) for item in (b"", piece, b"")]
    assert split(pieces, "any") == model(body, "any")


def test_only_line_ends_end_a_line() -> None:
    """What `str.splitlines` takes for an end is content: U+2028, U+0085, vertical tab, form feed and others."""
    odd = "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei".encode()
    for ends in ("any", "lf"):
        assert split([odd + b"\n"], ends) == ([odd], b"")


def test_a_carriage_return_inside_a_line_is_content_where_only_lf_counts() -> None:
    r"""One at the end goes, others stay: servers split at `\\n` only and leave them raw."""
    assert split([b"a\rb\r\n\rc\r\r\n"], "lf") == ([b"a\rb", b"\rc\r"], b"")


def test_what_was_closed_begins_anew() -> None:
    """`close` gives the rest once."""
    splitter = LineSplitter()
    assert splitter.feed(b"a\nb") == [b"a"]
    assert (splitter.close(), splitter.close()) == (b"b", b"")


@pytest.mark.parametrize("ends", ["any", "lf"])
def test_the_limit_holds_for_lines_and_for_what_waits(ends: Ends) -> None:
    """A line of the limit passes, one byte more is an error, whether its end has come or not."""
    for pieces in ([b"x" * 10 + b"\n"], [b"x" * 10, b"\n"], [b"a\n" * 100]):
        assert split_with_limit(pieces, ends)
    for pieces in ([b"x" * 11 + b"\n"], [b"x" * 11], [b"x"] * 11, [b"a\n", b"x" * 6, b"x" * 6], [b"a\n" + b"x" * 11]):
        with pytest.raises(ProtocolError, match="a line of the answer is longer than 10 bytes") as caught:
            split_with_limit(pieces, ends)
        assert caught.value.got == "an overlong line"


def split_with_limit(pieces: list[bytes], ends: Ends) -> list[bytes]:
    """The lines with a limit of ten bytes."""
    splitter = LineSplitter(ends=ends, limit=10)
    return [line for piece in pieces for line in splitter.feed(piece)]
