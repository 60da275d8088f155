"""Starting the command: what it imports, and what it says without its extra."""

import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

import core_chat

if TYPE_CHECKING:
    from tests.core.cli.conftest import Run

_HEAVY = ("aiohttp", "rich", "yarl", "core_chat.http", "core_chat.testing")


def _python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False)


def test_the_library_imports_nothing_heavy() -> None:
    """`import core_chat` loads neither the network nor the command line."""
    done = _python(f"import core_chat, sys; print([n for n in {(*_HEAVY, 'click')} if n in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["chat", "--help"], ["models", "--help"], ["plugins"]])
def test_help_and_the_plugin_list_import_nothing_heavy(arguments: Sequence[str]) -> None:
    """What needs no network and no table is shown without loading aiohttp or rich, or any plugin."""
    code = (
        "import sys; from core_chat.cli import run; code = run(sys.argv[1:]); "
        f"heavy = [n for n in {_HEAVY} if n in sys.modules] + [n for n in sys.modules if n.startswith('core_re')]; "
        "print(heavy, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run((sys.executable, "-c", code, *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_one_line_says_how_to_get_it(missing: str) -> None:
    """The command is installed without click and rich too; then it names the extra and ends with 2."""
    done = _python(f"import sys; sys.modules[{missing!r}] = None; from core_chat.__main__ import main; main()")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "core-chat: the command line needs its extra: pip install 'core-chat[cli]'\n"


def test_it_runs_as_a_module(command: Sequence[str]) -> None:
    """`python -m core_chat` is the command."""
    done = subprocess.run((*command, "--version"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"core-chat, version {core_chat.__version__}\n")


def test_without_a_command_the_help_is_shown(run_here: "Run") -> None:
    """No command is a usage error whose message is the help."""
    done = run_here()
    assert (done.code, done.out) == (2, b"")
    assert "Commands:" in done.err


def test_completions_for_the_shell_are_there(environment: dict[str, str], command: Sequence[str]) -> None:
    """The shell completion answers under its usual variable."""
    asked = {**environment, "_CORE_CHAT_COMPLETE": "bash_complete", "COMP_WORDS": "core-chat mod", "COMP_CWORD": "1"}
    done = subprocess.run(command, env=asked, capture_output=True, text=True, check=False)
    assert done.stdout == "plain,models\n"
