"""The command line and this provider: a chat with no configuration, and its conversation kept in a file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core_chat.sandbox import sandboxes

_KEPT = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "SYSTEMROOT")


def core_chat(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[bytes]":
    """Run `core-chat` in a process of its own with nothing in its environment that configures it."""
    return subprocess.run(
        (sys.executable, "-W", "error", "-m", "core_chat", *arguments),
        cwd=folder,
        env={name: os.environ[name] for name in _KEPT if name in os.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_a_chat_with_the_sandbox_needs_no_configuration(tmp_path: Path) -> None:
    """The whole path: entry point, hook, HTTP, reader; the route is told beside the answer."""
    done = core_chat("chat", "-m", "allenai:", "--sandbox", "Why is the sky blue? 🐕", folder=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    expected = "This is a canned answer from the sandbox; no model was asked. You wrote: Why is the sky blue? 🐕"
    assert done.stdout.decode() == expected
    assert "allenai:Olmo-3.1-32B-Instruct by ai2_model_hub" in done.stderr.decode()


@pytest.mark.parametrize("word", ["Terms of Use", "https://playground.allenai.org"])
def test_the_terms_are_shown(tmp_path: Path, word: str) -> None:
    """With the other things worth knowing of a provider."""
    done = core_chat("plugins", "--long", folder=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert word in " ".join(done.stdout.decode().split())


async def test_the_entry_point_serves_all_generations() -> None:
    """And leads the provider there."""
    async with sandboxes(["allenai"]) as config:
        assert list(config) == ["allenai"]
        assert config["allenai"]["base_url"].startswith("http://127.0.0.1:")
