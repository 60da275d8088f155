"""The README and the documentation are executable, and the README's commands are those that CI runs."""

import ast
import asyncio
import inspect
import os
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from core_chat import Registry
from core_chat.sandbox import sandboxes

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a page that are written in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


async def run_in_order(snippets: list[str], name: str, **given: object) -> dict[str, Any]:
    """Run snippets in one namespace; they may await at their top level."""
    module = types.ModuleType(name)
    module.__dict__.update(given)
    for snippet in snippets:
        code = compile(snippet, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result = eval(code, module.__dict__)  # noqa: S307 - the project's own pages
        if inspect.isawaitable(result):
            await result
    return module.__dict__


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
            *(sys.executable, "-W", "error", "-c", blocks(README, "python")[0]),
            env={**os.environ, **environment(config)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await program.communicate()
    assert program.returncode == 0, printed.decode()
    assert "You wrote: Why is the sky blue?" in printed.decode()


async def test_the_provider_of_the_readme_answers() -> None:
    """The provider shown in the README can be registered and chatted with."""
    names = await run_in_order(blocks(README, "python")[1:], "readme")
    async with Registry() as registry:
        registry.register(names["Echo"](), "echo")
        assert (await registry.chat("echo:", "Hello")).text == "Hello"


async def test_the_page_for_host_apps_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every snippet for host apps runs, in order, against the sandbox."""
    page = (ROOT / "docs" / "host-apps.md").read_text(encoding="utf-8")
    async with sandboxes(["replicate"]) as config:
        for name, value in environment(config).items():
            monkeypatch.setenv(name, value)
        async with Registry() as registry:
            await run_in_order(blocks(page, "python"), "host_apps", registry=registry)


def test_the_readme_has_two_set_up_commands_and_ci_runs_the_second() -> None:
    """There are exactly two commands, and CI runs the one that tests, to the letter."""
    commands = blocks(README, "sh")
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_readme_stays_short_and_its_links_lead_somewhere() -> None:
    """The README fits three screens and every page it names exists."""
    assert len(README.splitlines()) <= 120
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / link).exists(), link
