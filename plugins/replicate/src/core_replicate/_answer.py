"""From the pieces of a prediction's output to events: text, with what the model thought told apart, or files."""

from collections.abc import Sequence

from core_chat import Media, ReasoningDelta, TextDelta
from core_chat.think import ThinkSplitter
from core_replicate._predictions import as_media
from core_replicate._stop import StopFilter


class TextAnswer:
    """Text up to the first stop text; what stands in `<think>` before it is reasoning."""

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = StopFilter(stop)
        self._think = ThinkSplitter()

    @property
    def stopped(self) -> bool:
        """Whether a stop text has come, so that no more is wanted."""
        return self._stop.stopped

    def feed(self, piece: str) -> Sequence[TextDelta | ReasoningDelta]:
        """Return the events that a piece completes."""
        text = self._stop.feed(piece)
        return self._think.feed(text) if text else ()

    def close(self) -> list[TextDelta | ReasoningDelta]:
        """Return what was held back, at the end of the answer."""
        held = self._stop.close()
        return [*(self._think.feed(held) if held else ()), *self._think.flush()]


class FileAnswer:
    """Files, one piece each."""

    stopped = False

    def feed(self, piece: str) -> Sequence[Media]:
        """Return the file that a piece links to."""
        return (as_media(piece),)

    def close(self) -> Sequence[Media]:
        """Return nothing: no file is held back."""
        return ()
