"""What a scripted upstream answers: a status, headers, and a body of pieces among which things go wrong."""

import asyncio
import enum
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

import attrs
from attrs import define, field, frozen

Framing: TypeAlias = Literal["chunked", "length", "close", "raw"]


@define(eq=False)
class Stall:
    """A place where the upstream stops (`reached` is set then), until `release()` is called or the client leaves."""

    reached: asyncio.Event = field(factory=asyncio.Event, init=False)
    released: asyncio.Event = field(factory=asyncio.Event, init=False)

    def release(self) -> None:
        """Let the upstream go on."""
        self.released.set()


@frozen
class Flood:
    """One byte, `size` times, made while it is sent, so that a huge line costs no memory here."""

    size: int = field(validator=attrs.validators.ge(0))
    byte: bytes = field(default=b"x", validator=[attrs.validators.min_len(1), attrs.validators.max_len(1)])


class HangUp(enum.Enum):
    """How the upstream breaks off; what stands before it in the body is delivered first."""

    CUT = "the connection is closed"
    RESET = "the connection is reset"


Piece: TypeAlias = bytes | Flood | Stall | HangUp
BodyInput: TypeAlias = "str | bytes | Piece | Iterable[str | Piece]"


def _piece(value: object) -> Piece:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | Flood | Stall | HangUp):
        return value
    raise TypeError(f"a body is made of str, bytes, Flood, Stall and HangUp, not {type(value).__name__}")


def _body(value: BodyInput) -> tuple[Piece, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return (_piece(value),)
    return tuple(_piece(item) for item in value)


def size_of(piece: Piece) -> int:
    """Return how many bytes a piece sends."""
    if isinstance(piece, Flood):
        return piece.size
    return len(piece) if isinstance(piece, bytes) else 0


@frozen
class Response:
    """One scripted answer; every bytes piece of the body is sent, and read by the client, on its own.

    Attributes:
        body: Bytes (texts become UTF-8), and among them `Flood`, `Stall` and `HangUp`.
        status: The HTTP status.
        headers: Sent as they are; those of the framing are added.
        framing: "length" (Content-Length of the whole body, even if it is cut), "chunked", "close" (the body ends with
            the connection) or "raw" (no status line and no headers: the body is all that is sent).
        before: What happens before the first byte: a `Stall` makes slow headers, a `HangUp` an answer that never comes.
    """

    body: tuple[Piece, ...] = field(default=(), converter=_body)
    status: int = field(default=200, kw_only=True)
    headers: Mapping[str, str] = field(factory=dict, kw_only=True)
    framing: Framing = field(default="length", kw_only=True)
    before: tuple[Piece, ...] = field(default=(), kw_only=True, converter=_body)

    @classmethod
    def json(cls, value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> "Response":
        """Return a JSON answer with a Content-Length."""
        typed = {"Content-Type": "application/json", **(headers or {})}
        return cls(json.dumps(value, ensure_ascii=False), status=status, headers=typed)

    @classmethod
    def stream(cls, pieces: Iterable[str | Piece], *, content_type: str = "application/octet-stream") -> "Response":
        """Return a chunked answer, one chunk a piece."""
        return cls(pieces, headers={"Content-Type": content_type}, framing="chunked")

    @classmethod
    def sse(cls, data: Iterable[str]) -> "Response":
        r"""Return a stream of server-sent events, one for each text; a text with `\n` becomes several `data` lines."""
        events = ("".join(f"data: {line}\n" for line in text.split("\n")) + "\n" for text in data)
        return cls.stream(events, content_type="text/event-stream")

    @classmethod
    def lines(cls, values: Iterable[Any]) -> "Response":
        """Return a stream of JSON lines, one for each value."""
        texts = (json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        return cls.stream(texts, content_type="application/x-ndjson")

    @property
    def size(self) -> int:
        """The bytes of the whole body."""
        return sum(size_of(piece) for piece in self.body)
