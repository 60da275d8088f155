"""Inline reasoning: `<think>…</think>` at the start of an answer's text, its tags split over any number of pieces."""

from collections.abc import Iterator

from core_chat.events import ReasoningDelta, TextDelta

OPEN = "<think>"
CLOSE = "</think>"


class ThinkSplitter:
    """Tells reasoning from text, piece by piece.

    Only a tag that opens the answer counts (space and earlier such blocks may come before it): an answer that merely
    talks about the tag stays as it is. A piece that ends in what may be the beginning of a tag is held back until the
    next one tells; the tags go, every other character is passed on unchanged.
    """

    __slots__ = ("_held", "_inside", "plain")

    def __init__(self) -> None:
        self.plain = False
        """Whether the answer proper has begun, so that no tag can follow and `feed` need not be called."""
        self._inside = False
        self._held: list[str] = []

    def feed(self, piece: str) -> list[TextDelta | ReasoningDelta]:
        """Return the events that a piece, not an empty one, completes."""
        if self.plain:
            return [TextDelta(piece)]
        if self._inside and not self._held and "<" not in piece:
            return [ReasoningDelta(piece)]
        pieces, self._held = [*self._held, piece], []
        return list(self._split(pieces))

    def flush(self) -> list[TextDelta | ReasoningDelta]:
        """Return what was held back, as something else than text comes next."""
        held, self._held = self._held, []
        kind = ReasoningDelta if self._inside else TextDelta
        self.plain = self.plain or (bool(held) and not self._inside)
        return [kind(piece) for piece in held]

    def _split(self, pieces: list[str]) -> Iterator[TextDelta | ReasoningDelta]:
        while pieces:
            text = "".join(pieces)
            kind, tag = (ReasoningDelta, CLOSE) if self._inside else (TextDelta, OPEN)
            start = _close_tag(text) if self._inside else self._open_tag(text)
            if not text.startswith(tag, start):
                before = _whole_pieces(pieces, start)
                self._held = pieces[before:]
                yield from (kind(piece) for piece in pieces[:before])
                return
            yield from (kind(piece) for piece in _pieces_up_to(pieces, start))
            self._inside = not self._inside
            rest = text[start + len(tag) :]
            pieces = [rest] if rest else []

    def _open_tag(self, text: str) -> int:
        """Return where an opening tag, or the beginning of one, starts; the text's end where there is none."""
        start = len(text) - len(text.lstrip())
        if text.startswith(OPEN, start) or OPEN.startswith(text[start:]):
            return start
        self.plain = True
        return len(text)


def _close_tag(text: str) -> int:
    """Return where a closing tag, or its beginning at the text's end, starts; the text's end where there is none."""
    start = text.find(CLOSE)
    if start >= 0:
        return start
    ends = (size for size in range(len(CLOSE) - 1, 0, -1) if text.endswith(CLOSE[:size]))
    return len(text) - next(ends, 0)


def _whole_pieces(pieces: list[str], end: int) -> int:
    """Return how many pieces lie before `end` completely."""
    for count, piece in enumerate(pieces):
        end -= len(piece)
        if end < 0:
            return count
    return len(pieces)


def _pieces_up_to(pieces: list[str], end: int) -> list[str]:
    """Return the pieces before `end`, the last one cut there."""
    count = _whole_pieces(pieces, end)
    last = "".join(pieces[count:])[: end - sum(len(piece) for piece in pieces[:count])]
    return [*pieces[:count], last] if last else pieces[:count]
