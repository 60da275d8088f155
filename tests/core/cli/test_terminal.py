"""At a terminal: what a person sees, and the conversation."""

import builtins
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_chat.cli import talk
from core_chat.cli.terminal import one_line, visible

_STYLES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


@given(st.text())
def test_visible_text_has_no_control_characters(text: str) -> None:
    """Line feeds and tabs stay; nothing else can steer a terminal."""
    shown = visible(text)
    assert not any((ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0) and c not in "\n\t" for c in shown)
    assert [c for c in shown if c.isalpha()] == [c for c in text if c.isalpha()]


def test_one_line_is_one_line() -> None:
    """All white space becomes single spaces."""
    assert one_line(" a\r\n\tb\x1b ") == "a b␛"


# A new session takes the first terminal it opens for its own; only then does Ctrl-C reach the process.
_MAIN = "import os; os.close(os.open(os.ttyname(0), os.O_RDWR)); from core_chat.__main__ import main; main()"


class Terminal:
    """A process whose standard streams are a terminal of the given width."""

    def __init__(self, line: Sequence[str], *, environment: Mapping[str, str], columns: int = 100) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            line, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.raw = b""
        self._seen = 0

    @property
    def screen(self) -> str:
        """What was shown, without styles, in the terminal's own line ends."""
        return _STYLES.sub(b"", self.raw).decode()

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], 30)
        assert ready, f"nothing came; so far: {self.screen!r}"
        try:
            data = os.read(self._master, 65536)
        except OSError:  # how a terminal without a process ends
            return False
        self.raw += data
        return bool(data)

    def wait_for(self, text: str) -> None:
        """Read until a text has come that was not waited for before."""
        while (found := self.screen.find(text, self._seen)) < 0:
            assert self._read(), f"it ended without {text!r}: {self.screen!r}"
        self._seen = found + len(text)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        return self.process.wait(timeout=30)

    def close(self) -> None:
        """End the process, if it has not ended."""
        self.process.kill()
        self.process.wait(timeout=30)
        os.close(self._master)


Open: TypeAlias = Callable[..., Terminal]


@pytest.fixture
def terminal(environment: Mapping[str, str]) -> Iterator[Open]:
    """Return a function that starts a command line at a terminal."""
    opened: list[Terminal] = []

    def start(*arguments: str, columns: int = 100, **variables: str) -> Terminal:
        began = Terminal(
            (sys.executable, "-c", _MAIN, *arguments), environment={**environment, **variables}, columns=columns
        )
        opened.append(began)
        return began

    yield start
    for one in opened:
        one.close()


def test_an_answer_ends_its_line_and_the_route_is_dimmed(terminal: Open) -> None:
    """A person's prompt does not stand behind the answer."""
    at = terminal("chat", "-m", "echo:pieces", "Hi")
    assert at.end() == 0
    assert at.raw.startswith(b"\x1b[2mecho:pieces\x1b[0m\r\n")
    assert at.screen == "echo:pieces\r\nGrüße\r\n\u2028 \tend\r\n"


def test_no_color_is_honoured(terminal: Open) -> None:
    """With NO_COLOR nothing is styled."""
    at = terminal("chat", "-m", "echo:pieces", "Hi", NO_COLOR="1")
    assert at.end() == 0
    assert b"\x1b" not in at.raw


def test_an_answer_cannot_steer_the_terminal(terminal: Open) -> None:
    """Escape and bell are shown as pictures."""
    at = terminal("chat", "-q", "-m", "echo:controls", "Hi")
    assert at.end() == 0
    assert at.raw.decode() == "red ␛[31m bell ␇ done\r\n"


def test_reasoning_is_dimmed_above_the_answer(terminal: Open) -> None:
    """At a terminal reasoning is shown unless it is unwanted."""
    at = terminal("chat", "-m", "echo:thinking", "Hi")
    assert at.end() == 0
    assert at.screen == "echo:thinking\r\nhmm\r\n42\r\n"
    without = terminal("chat", "--no-reasoning", "-m", "echo:thinking", "Hi")
    assert without.end() == 0
    assert without.screen == "echo:thinking\r\n42\r\n"


def test_an_error_starts_on_a_line_of_its_own(terminal: Open) -> None:
    """Half an answer is not glued to the error."""
    at = terminal("chat", "-q", "-m", "echo:broken-off", "Hi")
    assert at.end() == 6
    assert "half an \r\nError: echo: the answer ended" in at.screen


def test_a_conversation_goes_on_until_ctrl_d(terminal: Open, home: Path) -> None:
    """Messages are answered in turn, with what was said before; blank lines are skipped, and the file is kept."""
    saved = home / "talk.json"
    at = terminal("chat", "-m", "echo:", "--conversation", str(saved))
    at.wait_for("echo:mirror - Ctrl-D leaves, Ctrl-C stops an answer")
    at.wait_for("> ")
    at.type("\n")
    at.wait_for("> ")
    at.type("One\n")
    at.wait_for('"messages": [["user", "One", 0]]')
    at.wait_for("> ")
    at.type("Two\n")
    at.wait_for('"new": 1')
    at.wait_for("> ")
    at.type("\x04")
    assert at.end() == 0
    assert saved.read_text().count('"role": "user"') == 2


def test_ctrl_c_stops_only_the_answer(terminal: Open, environment: Mapping[str, str]) -> None:
    """The stream is closed and the prompt comes back."""
    at = terminal("chat", "-m", "echo:stuck")
    at.wait_for("> ")
    at.type("Hi\n")
    at.wait_for("begun")
    at.type("\x03")
    at.wait_for("stopped")
    assert Path(environment["ECHO_MARK"]).read_text() == "closed"
    at.wait_for("> ")
    at.type("\x04")
    assert at.end() == 0


def test_ctrl_c_at_the_prompt_drops_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted line counts as a blank one, which is skipped; the end of input is the end."""
    presses: list[type[BaseException]] = [KeyboardInterrupt, EOFError]

    def interrupted(_prompt: str) -> str:
        raise presses.pop(0)

    monkeypatch.setattr(builtins, "input", interrupted)
    assert (talk._ask(), talk._ask()) == ("", None)


def test_a_failure_does_not_end_the_conversation(terminal: Open) -> None:
    """The error is shown, with --debug after its traceback, and the prompt comes back."""
    at = terminal("chat", "--debug", "-m", "echo:broken-off")
    at.wait_for("> ")
    at.type("Hi\n")
    at.wait_for("Traceback")
    at.wait_for("Error: echo: the answer ended without its end marker")
    at.wait_for("> ")
    at.type("\x04")
    assert at.end() == 0


def test_a_conversation_writes_no_json_and_no_picture(terminal: Open) -> None:
    """These need a message."""
    at = terminal("chat", "-m", "echo:", "--json")
    assert at.end() == 2
    assert "--json and --output need a message" in at.screen


@pytest.mark.parametrize(
    ("columns", "headings"),
    [(100, ["MODEL", "TASKS", "DEFAULT", "CONTEXT", "TITLE"]), (30, ["MODEL", "TASKS"]), (12, ["MODEL"])],
)
def test_a_table_fits_the_terminal_and_names_stay_whole(terminal: Open, columns: int, headings: list[str]) -> None:
    """Columns without room are left out; no line is longer than the terminal is wide."""
    at = terminal("models", columns=columns)
    assert at.end() == 0
    lines = at.screen.split("\r\n")
    assert lines[0].split() == headings
    assert max(map(len, lines)) <= columns
    assert lines[1].split()[0] == "echo:mirror"
