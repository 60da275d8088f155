"""What goes wrong with upstreams: each function returns a response that does it."""

import random
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from itertools import pairwise

from attrs import evolve

from core_chat.testing.responses import Flood, HangUp, Piece, Response, Stall, size_of

HUGE = 17 * 2**20
"""Bytes: more than the 16 MiB a line may have."""


def cut(response: Response, *, at: int) -> Response:
    """Return the response closing the connection after `at` bytes of the body: in a line, in a character, anywhere."""
    return _insert(response, HangUp.CUT, at=at)


def reset(response: Response, *, at: int) -> Response:
    """Return the response resetting the connection (TCP RST) after `at` bytes of the body."""
    return _insert(response, HangUp.RESET, at=at)


def truncate(response: Response, *, at: int) -> Response:
    """Return the response ending after `at` bytes of the body as if that were all; the framing shows nothing."""
    content = _content(response)
    if not 0 <= at <= len(content):
        raise ValueError(f"the body has {len(content)} bytes, {at} is not in it")
    return evolve(response, body=content[:at])


def stall(response: Response, stall: Stall, *, at: int) -> Response:
    """Return the response stopping after `at` bytes of the body, until it is released or the client leaves."""
    return _insert(response, stall, at=at)


def slow_headers(response: Response, stall: Stall) -> Response:
    """Return the response stopping before its first byte, until it is released or the client leaves."""
    return evolve(response, before=(*response.before, stall))


def keep_open(response: Response, stall: Stall | None = None) -> Response:
    """Return the response not ending after its last byte, until it is released or the client leaves."""
    return evolve(response, body=(*response.body, stall or Stall()))


def no_answer() -> Response:
    """Return a response that closes the connection without a byte."""
    return Response(before=HangUp.CUT)


def drip(response: Response, *, size: int = 1) -> Response:
    """Return the response sending its body in pieces of `size` bytes, whatever its own pieces are."""
    content = _content(response)
    return evolve(response, body=[content[start : start + size] for start in range(0, len(content), size)])


def split(response: Response, *, at: Iterable[int]) -> Response:
    """Return the response sending its body in pieces that end at these bytes, and only there."""
    content = _content(response)
    edges = sorted({0, len(content), *at})
    return evolve(response, body=[content[start:end] for start, end in pairwise(edges)])


def typed(response: Response, content_type: str) -> Response:
    """Return the response with another Content-Type."""
    return with_headers(response, **{"Content-Type": content_type})


def with_headers(response: Response, **headers: str) -> Response:
    """Return the response with these headers added or replaced."""
    kept = {name: value for name, value in response.headers.items() if name.lower() not in map(str.lower, headers)}
    return evolve(response, headers={**kept, **headers})


def garbage(response: Response | None = None) -> Response:
    """Return the response with 512 bytes without meaning as its body."""
    return evolve(response or Response(), body=_noise())


def not_http() -> Response:
    """Return bytes without meaning where a status line should be."""
    return Response(_noise(), framing="raw")


def huge_line(response: Response, *, at: int = 0, size: int = HUGE) -> Response:
    """Return the response with `size` bytes without a line's end put in after `at` bytes of the body."""
    return _insert(response, Flood(size), at=at)


def html(status: int = 200) -> Response:
    """Return a web page where JSON or a stream should be, as proxies and load balancers send it."""
    page = "<!DOCTYPE html>\n<html><head><title>Just a moment</title></head><body><h1>Please wait</h1></body></html>\n"
    return Response(page, status=status, headers={"Content-Type": "text/html; charset=utf-8"})


def rate_limited(seconds: float | None = None, *, date: float | None = None) -> Response:
    """Return a 429 whose Retry-After is a number of seconds, an HTTP date (given in seconds since 1970), or absent."""
    return retry_after(Response.json({"error": "Too many requests"}, status=429), seconds, date=date)


def retry_after(response: Response, seconds: float | None = None, *, date: float | None = None) -> Response:
    """Return the response with a Retry-After in either form."""
    if date is not None:
        return with_headers(response, **{"Retry-After": formatdate(date, usegmt=True)})
    return response if seconds is None else with_headers(response, **{"Retry-After": f"{seconds:g}"})


@contextmanager
def refused() -> Iterator[str]:
    """Yield the origin of a port that nobody listens on, and that nobody else gets meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def _noise() -> bytes:
    return random.Random(0).randbytes(512)  # noqa: S311 - it only has to look like nothing, and always the same


def _content(response: Response) -> bytes:
    pieces = [piece for piece in response.body if isinstance(piece, bytes)]
    if len(pieces) != len(response.body):
        raise ValueError("split the body first, then add other faults")
    return b"".join(pieces)


def _insert(response: Response, item: Piece, *, at: int) -> Response:
    """Put an item in after `at` bytes; what follows stays, so that a Content-Length still announces it."""
    if not 0 <= at <= response.size:
        raise ValueError(f"the body has {response.size} bytes, {at} is not in it")
    body: list[Piece] = []
    position, placed = 0, False
    for piece in response.body:
        head, tail = _divide(piece, at - position)
        position += size_of(piece)
        if placed or at > position:
            body.append(piece)
            continue
        body.extend([*head, item, *tail])
        placed = True
    return evolve(response, body=body if placed else [*body, item])


def _divide(piece: Piece, at: int) -> tuple[list[Piece], list[Piece]]:
    if isinstance(piece, Flood):
        halves: tuple[Piece, Piece] = Flood(at, piece.byte), Flood(piece.size - at, piece.byte)
    elif isinstance(piece, bytes):
        halves = piece[:at], piece[at:]
    else:
        return [], [piece]
    return [half for half in halves[:1] if size_of(half)], [half for half in halves[1:] if size_of(half)]
