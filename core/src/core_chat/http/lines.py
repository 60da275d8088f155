"""Bytes to lines: any split of the bytes gives the same lines."""

from typing import Literal

from core_chat.errors import ProtocolError

LIMIT = 16 * 1024 * 1024
"""Bytes a line may have; more is an error, not memory."""


class LineSplitter:
    r"""Cuts a body into lines, without their ends.

    Args:
        ends: "any" for `\n`, `\r\n` and `\r` (the WHATWG event stream); "lf" where only `\n` ends a line and a `\r`
            inside one is content, at most one `\r` before the `\n` being dropped (nchan, JSON lines).
        limit: Bytes a line may have.
    """

    __slots__ = ("_any", "_limit", "_pending", "_size", "_skip_lf")

    def __init__(self, *, ends: Literal["any", "lf"] = "any", limit: int = LIMIT) -> None:
        self._any = ends == "any"
        self._limit = limit
        self._pending: list[bytes] = []
        self._size = 0
        self._skip_lf = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes.

        Raises:
            ProtocolError: A line is longer than the limit.
        """
        lines = self._split_any(data) if self._any else data.split(b"\n")
        rest = lines.pop() if lines else b""
        if lines and self._pending:
            self._pending.append(lines[0])
            lines[0] = b"".join(self._pending)
            self._pending.clear()
            self._size = 0
        if rest:
            self._pending.append(rest)
            self._size += len(rest)
        if self._size > self._limit or (lines and max(map(len, lines)) > self._limit):
            raise ProtocolError(f"a line of the answer is longer than {self._limit} bytes", got="an overlong line")
        return lines if self._any else [line.removesuffix(b"\r") for line in lines]

    def _split_any(self, data: bytes) -> list[bytes]:
        if self._skip_lf and data:
            data = data.removeprefix(b"\n")
            self._skip_lf = False
        if b"\r" not in data:
            return data.split(b"\n")
        self._skip_lf = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")

    def close(self) -> bytes:
        """Return what stands after the last line end."""
        rest = b"".join(self._pending)
        self._pending.clear()
        self._size = 0
        return rest
