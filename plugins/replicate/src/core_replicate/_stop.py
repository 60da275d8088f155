"""Stop texts for models that take none: the answer is cut where the first one to be complete begins."""

from collections.abc import Sequence


class StopFilter:
    """Passes text on until a stop text is complete; what could be the beginning of one is held back.

    However the text is cut into pieces, the same of it is passed on.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._held = ""
        self.stopped = False

    def feed(self, piece: str) -> str:
        """Return what of the text so far can be passed on."""
        if not self._words:
            return piece
        text = self._held + piece
        found = [(start + len(word), start) for word in self._words if (start := text.find(word)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)[1]]
        keep = max(self._overlap(text, word) for word in self._words)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    @staticmethod
    def _overlap(text: str, word: str) -> int:
        """Return how many characters at the end of the text are the beginning of the word."""
        return next((size for size in range(min(len(word) - 1, len(text)), 0, -1) if text.endswith(word[:size])), 0)

    def close(self) -> str:
        """Return what was held back, at the end of the answer."""
        held, self._held = self._held, ""
        return held
