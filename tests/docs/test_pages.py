"""The README and the documentation are executable, and the README's commands are those that CI runs."""

import asyncio
import os
import re
import sys
from typing import Any

import pytest
from tests import pages

from core_chat import Registry
from core_chat.sandbox import sandboxes

README = pages.read("README.md")


def environment(config: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return the variables that point the Replicate plugin at its sandbox."""
    return {
        "REPLICATE_API_TOKEN": config["replicate"]["token"],
        "REPLICATE_BASE_URL": config["replicate"]["base_url"],
    }


async def test_the_first_snippet_of_the_readme_streams_a_chat() -> None:
    """The README's first program, run as it stands, prints a streamed answer."""
    async with sandboxes(["replicate"]) as config:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", pages.blocks(README, "python")[0]),
            env={**os.environ, **environment(config)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await program.communicate()
    assert program.returncode == 0, printed.decode()
    assert "You wrote: Why is the sky blue?" in printed.decode()


async def test_the_provider_of_the_readme_answers() -> None:
    """The provider shown in the README can be registered and chatted with."""
    names = await pages.run(pages.blocks(README, "python")[1:])
    async with Registry() as registry:
        registry.register(names["Echo"](), "echo")
        assert (await registry.chat("echo:", "Hello")).text == "Hello"


async def test_the_page_for_host_apps_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every snippet for host apps runs, in order, against the sandbox."""
    page = pages.read("docs/host-apps.md")
    async with sandboxes(["replicate"]) as config:
        for name, value in environment(config).items():
            monkeypatch.setenv(name, value)
        async with Registry() as registry:
            await pages.run(pages.blocks(page, "python"), registry=registry)


def test_the_readme_has_two_set_up_commands_and_ci_runs_the_second() -> None:
    """There are exactly two commands, and CI runs the one that tests, to the letter."""
    commands = pages.blocks(README, "sh")
    assert len(commands) == 2
    assert commands[1] in (pages.ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_readme_stays_short_and_its_links_lead_somewhere() -> None:
    """The README fits three screens and every page it names exists."""
    assert len(README.splitlines()) <= 120
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (pages.ROOT / link).exists(), link
