"""The page on the command line says what the command does."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest

from core_chat.cli import ExitCode, core_chat

_PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def _options() -> Iterator[str]:
    for command in core_chat.commands.values():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield from (name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("--"))


def test_the_page_names_every_option_and_no_other() -> None:
    """An option that is added or renamed has to be described."""
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", _PAGE.read_text(encoding="utf-8")))
    assert named - {"--help"} == set(_options())


def test_the_page_lists_every_exit_code() -> None:
    """The table has the codes that the program has."""
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", _PAGE.read_text(encoding="utf-8"), re.MULTILINE)}
    assert listed == set(ExitCode)


@pytest.mark.parametrize(
    "block", re.findall(r"^```sh\n(.*?)^```$", _PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
)
def test_the_commands_of_the_page_work(block: str, environment: Mapping[str, str], home: Path) -> None:
    """Every example runs as it stands, with no key, in an empty folder with a README."""
    (home / "README.md").write_text("A small read-me.\n", encoding="utf-8")
    search = os.pathsep.join((str(Path(sys.executable).parent), environment["PATH"]))
    done = subprocess.run(
        ("bash", "-e", "-o", "pipefail", "-c", block),
        env={**environment, "PATH": search, "CORE_CHAT_PLUGINS": "replicate"},
        cwd=home,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout or (home / "cat.png").read_bytes().startswith(b"\x89PNG")
