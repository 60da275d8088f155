"""Standard output and standard error: bytes as they are into a pipe, nothing that could steer a terminal onto one."""

import os
import sys
from typing import Any, TextIO

import click
from attrs import define, field

_HARMLESS = {ord("\n"), ord("\t")}
_VISIBLE: dict[int, str | None] = {code: chr(0x2400 + code) for code in range(0x20) if code not in _HARMLESS}
_VISIBLE |= {0x7F: "\u2421", **dict.fromkeys(range(0x80, 0xA0), "\ufffd"), ord("\r"): None}


def visible(text: str) -> str:
    """Return text that cannot steer a terminal: control characters are shown as pictures, carriage returns dropped."""
    return text.translate(_VISIBLE)


def one_line(value: object) -> str:
    """Return a value as one harmless line."""
    return " ".join(visible(str(value)).split())


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person sits at this stream."""
    return stream is not None and not stream.closed and stream.isatty()


def say(text: str, *, dim: bool = True) -> None:
    """Write a line to standard error, dimmed where that is a terminal."""
    click.echo(_style(visible(text), dim=dim), err=True)


def complain(text: str, advice: str = "") -> None:
    """Write an error to standard error: what happened, and on a second line what to do about it."""
    click.echo(f"{_style('Error:', fg='red')} {visible(text)}", err=True)
    if advice:
        click.echo(visible(advice), err=True)


def _style(text: str, **how: Any) -> str:
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else click.style(text, **how)


def end_interrupted_line() -> None:
    """End the line on which the terminal shows the ^C, so that the shell's prompt does not follow it."""
    if is_terminal(sys.stderr):
        click.echo(err=True)


def replace_closed_streams() -> None:
    """Let what is written to a stream that was closed before we began go nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - it stays open


def discard_output() -> None:
    """Send what is still to be written nowhere, for when the reader of our output has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@define(eq=False)
class Screen:
    """Where an answer goes: its text to standard output, what is said about it to standard error.

    Into a pipe go exactly the bytes of the text, in UTF-8. On a terminal control characters are made visible and a
    last line without an end gets one.
    """

    _out: TextIO = field(factory=lambda: sys.stdout)
    _out_open: bool = field(default=False, init=False)
    _err_open: bool = field(default=False, init=False)

    def text(self, piece: str) -> None:
        """Write a piece of text and flush it."""
        if self._err_open:
            self._end_aside()
        if is_terminal(self._out):
            piece = visible(piece)
        encoding = self._out.encoding if is_terminal(self._out) else "utf-8"
        self._out.buffer.write(piece.encode(encoding, "replace"))
        self._out.flush()
        self._out_open = not piece.endswith("\n") if piece else self._out_open

    def line(self, text: str) -> None:
        """Write a line of its own to standard output."""
        self.text(f"\n{text}\n" if self._out_open else f"{text}\n")

    def aside(self, piece: str) -> None:
        """Write a piece of dimmed text to standard error, beside the answer."""
        if not self._err_open:
            self._end_text(beside=sys.stderr)
        click.echo(_style(visible(piece), dim=True), err=True, nl=False)
        self._err_open = not piece.endswith("\n")

    def say(self, text: str) -> None:
        """Write a dimmed line of its own to standard error."""
        if self._err_open:
            self._end_aside()
        self._end_text(beside=sys.stderr)
        say(text)

    def end(self) -> None:
        """End the lines that are open."""
        if self._err_open:
            self._end_aside()
        self._end_text(beside=self._out)

    def _end_aside(self) -> None:
        click.echo(err=True)
        self._err_open = False

    def _end_text(self, *, beside: TextIO) -> None:
        if self._out_open and is_terminal(self._out) and is_terminal(beside):
            self.text("\n")
