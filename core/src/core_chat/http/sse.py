"""Server-sent events, to the letter of the WHATWG text (HTML Living Standard, section 9.2), without I/O."""

from typing import Literal

from attrs import define

from core_chat.errors import ProtocolError
from core_chat.http.lines import LIMIT, LineSplitter

BOM = b"\xef\xbb\xbf"
_LONGEST_NUMBER = 18


@define
class ServerSentEvent:
    """One event: its data as bytes (lines joined with a line feed), its name and the last event id."""

    data: bytes
    event: str = "message"
    id: str = ""

    @property
    def text(self) -> str:
        """The data as text; bytes that are no UTF-8 become U+FFFD."""
        return self.data.decode("utf-8", "replace")


class SSEDecoder:
    """Turns the bytes of an event stream into events.

    Args:
        ends: Which line ends count, as for `LineSplitter`.
        limit: Bytes the data of one event may have.

    Attributes:
        last_event_id: What a reconnecting client sends as `Last-Event-ID`: of the last event that came whole.
        retry: Milliseconds the server asked to wait before reconnecting, or None.
        comment: The last comment, or None; some servers explain themselves there.
    """

    __slots__ = ("_data", "_event", "_id", "_limit", "_lines", "_size", "_start", "comment", "last_event_id", "retry")

    def __init__(self, *, ends: Literal["any", "lf"] = "any", limit: int = LIMIT) -> None:
        self._lines = LineSplitter(ends=ends, limit=limit)
        self._limit = limit
        self._start: bytes | None = b""
        self._data: list[bytes] = []
        self._size = 0
        self._event = ""
        self._id = ""
        self.last_event_id = ""
        self.retry: int | None = None
        self.comment: str | None = None

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that `chunk` completes.

        Raises:
            ProtocolError: A line, or the data of an event, is longer than the limit.
        """
        if self._start is not None:
            chunk = self._skip_bom(chunk)
        events: list[ServerSentEvent] = []
        for line in self._lines.feed(chunk):
            if line.startswith(b"data: "):
                self._add(line[6:])
                continue
            if line:
                self._take(line)
                continue
            self.last_event_id = self._id
            if self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                events.append(ServerSentEvent(data, self._event or "message", self._id))
                self._data = []
                self._size = 0
            self._event = ""
        return events

    def _skip_bom(self, chunk: bytes) -> bytes:
        start = (self._start or b"") + chunk
        if len(start) < len(BOM) and BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(BOM)

    def _add(self, value: bytes) -> None:
        self._size += len(value) + 1
        if self._size > self._limit:
            raise ProtocolError(f"the data of an event is longer than {self._limit} bytes", got="an overlong event")
        self._data.append(value)

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry":
            if value.isdigit() and len(value) <= _LONGEST_NUMBER:
                self.retry = int(value)
        elif not name:
            self.comment = value.decode("utf-8", "replace")
