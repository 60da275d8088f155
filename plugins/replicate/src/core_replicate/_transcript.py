"""What has been learnt of one prediction's output, and where new bytes or a newer output continue it; without I/O."""

import json
from collections.abc import Sequence

from attrs import define, field, frozen

from core_chat import IncompleteStreamError
from core_chat.http import ServerSentEvent, SSEDecoder


@frozen
class Ending:
    """How the event stream says that the prediction ended: as its status, and for a failure in its own words."""

    status: str
    detail: str | None = None


@define(eq=False)
class Transcript:
    """Passes on each piece of a prediction's output once, whatever way and however often it arrives.

    A server goes on after the event that `Last-Event-ID` names, and replays everything to whoever names none. What was
    passed on before is left out in either case, and where a server replays in spite of the header.

    Attributes:
        passed: The pieces that were passed on.
        ending: What the stream's terminal event says, once it has come.
        connections: How many connections were begun.
    """

    passed: list[str] = field(factory=list, init=False)
    ending: Ending | None = field(default=None, init=False)
    connections: int = field(default=0, init=False)
    _decoder: SSEDecoder = field(init=False)
    _seen: set[str] = field(factory=set, init=False)
    _last_id: str = field(default="", init=False)
    _replayed: bool = field(default=False, init=False)
    _skip: int = field(default=0, init=False)

    def has_ended(self) -> bool:
        """Whether the stream's terminal event has come."""
        return self.ending is not None

    def connect(self) -> dict[str, str]:
        """Begin a connection, and return the headers that say where it is to go on."""
        self.connections += 1
        self._decoder = SSEDecoder(ends="lf")
        resumes = bool(self._last_id) and self._last_id.isascii() and self._last_id.isprintable()
        self._replayed = bool(self._seen)
        self._skip = 0 if self._seen else sum(map(len, self.passed))
        return {"Last-Event-ID": self._last_id} if resumes else {}

    def feed(self, chunk: bytes) -> list[str]:
        """Return the new pieces that these bytes of the latest connection complete; none follow the ending."""
        pieces: list[str] = []
        if self.has_ended():
            return pieces
        for event in self._decoder.feed(chunk):
            if event.event == "output":
                if text := self._new_text(event):
                    pieces.append(text)
            elif event.event in {"error", "done"}:
                self.ending = _ending(event)
                break
        self.passed += pieces
        return pieces

    def _new_text(self, event: ServerSentEvent) -> str:
        if self._replayed:
            if event.id in self._seen:
                return ""
            self._replayed = False
        if event.id:
            self._seen.add(event.id)
            self._last_id = event.id
        text = event.text
        if self._skip:
            text, self._skip = text[self._skip :], max(0, self._skip - len(text))
        return text

    def catch_up(self, output: Sequence[str]) -> list[str]:
        """Return the pieces of a prediction's stored output that have not been passed on.

        Raises:
            IncompleteStreamError: It does not continue what has been passed on.
        """
        before, known = "".join(self.passed), "".join(output)
        if not known.startswith(before) and not before.startswith(known):
            raise IncompleteStreamError("the prediction's stored output does not continue what was received of it")
        pieces: list[str] = []
        skip = len(before)
        for piece in output:
            if len(piece) > skip:
                pieces.append(piece[skip:])
            skip = max(0, skip - len(piece))
        self.passed += pieces
        return pieces


def _ending(event: ServerSentEvent) -> Ending:
    """Read the terminal event: `done` with `{}` is success; its reason, or the event `error`, tell of a failure."""
    if event.event == "error":
        return Ending("failed", _field(event.text, "detail") or event.text or None)
    reason = _field(event.text, "reason")
    if reason is None:
        return Ending("succeeded")
    return Ending("canceled" if reason == "canceled" else "failed", _field(event.text, "output"))


def _field(text: str, name: str) -> str | None:
    """Return a text field of a JSON object, or None where it is neither."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) and found else None
