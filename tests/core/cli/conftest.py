"""A fake provider that is found through its entry points, and the ways to run a command line."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
from attrs import frozen

from core_chat.cli import run

Installer: TypeAlias = Callable[..., None]
_HERE = Path(__file__).parent
_KEPT = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "SYSTEMROOT")


@frozen
class Result:
    """How a command line ended and what it wrote."""

    code: int
    out: bytes
    err: str


Run: TypeAlias = Callable[..., Result]
Start: TypeAlias = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return an empty folder for the files of a test."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def install(tmp_path: Path) -> Installer:
    """Return a function that installs a distribution of entry points, `{group: {name: object}}`."""

    def add(distribution: str, groups: dict[str, dict[str, str]]) -> None:
        folder = tmp_path / "site" / f"{distribution.replace('-', '_')}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = [
            line
            for group, entries in groups.items()
            for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()), "")
        ]
        (folder / "entry_points.txt").write_text("\n".join(lines))

    return add


@pytest.fixture
def environment(tmp_path: Path, install: Installer) -> dict[str, str]:
    """Return an environment in which the fake provider, with a key, is the only one allowed."""
    install(
        "fake-echo",
        {
            "core_chat.providers": {"echo": "echo_plugin:Echo"},
            "core_chat.sandboxes": {"echo": "echo_plugin:sandbox"},
        },
    )
    paths = os.pathsep.join((str(tmp_path / "site"), str(_HERE)))
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "PYTHONPATH": paths,
        "CORE_CHAT_PLUGINS": "echo",
        "ECHO_KEY": "canary-key",
        "ECHO_MARK": str(tmp_path / "mark"),
        "TERM": "xterm",
    }


@pytest.fixture
def run_here(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """Return a function that runs a command line in this process."""
    for name in [name for name in os.environ if name not in _KEPT]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for path in reversed(environment["PYTHONPATH"].split(os.pathsep)):
        monkeypatch.syspath_prepend(path)

    def call(*arguments: str, piped: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped), encoding="utf-8"))
        code = run(arguments)
        out, err = capsysbinary.readouterr()
        return Result(code, out, err.decode())

    return call


@pytest.fixture
def command() -> Sequence[str]:
    """Return the command that a shell would start."""
    return (sys.executable, "-m", "core_chat")


@pytest.fixture
def start(environment: dict[str, str], command: Sequence[str], home: Path) -> Start:
    """Return a function that starts a command line in a process of its own."""

    def begin(*arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            (*command, *arguments),
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return begin
