"""The command line with `huggingface-inference` and with pictures, without any configuration."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from core_huggingface.sandbox.pictures import canned_picture


async def _run(*arguments: str, folder: Path) -> tuple[int | None, str, str]:
    """Run the command in a folder, with none of the machine's keys and proxies."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower() and "HF_" not in name}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "core_chat",
        "chat",
        "--sandbox",
        *arguments,
        cwd=folder,
        env={**kept, "HF_HOME": str(folder)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("model", ["huggingface-inference:", "huggingface-inference:gpt2"])
async def test_a_text_is_printed(tmp_path: Path, model: str) -> None:
    """It says that it is canned."""
    code, out, err = await _run("-m", model, "Why is the sky blue?", folder=tmp_path)
    assert code == 0, err
    assert out.startswith("This is a canned answer from the sandbox")
    assert "Why is the sky blue?" in out


@pytest.mark.parametrize("model", ["huggingface-inference:flux", "huggingface:flux"])
async def test_a_picture_is_written_to_a_file(tmp_path: Path, model: str) -> None:
    """At both providers."""
    code, _, err = await _run("-m", model, "-o", "picture.png", "A cat", folder=tmp_path)
    assert code == 0, err
    assert (tmp_path / "picture.png").read_bytes() == canned_picture("A cat")
