"""The documentation's pages, run as they stand."""

import ast
import inspect
import re
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def read(page: str) -> str:
    """Return the text of a page, by its path in the project."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a page that are written in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def files(text: str) -> dict[str, str]:
    """Return the fenced blocks whose first line is a comment with a file's name."""
    return dict(re.findall(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


async def run(snippets: list[str], **given: object) -> dict[str, Any]:
    """Run snippets in one namespace, one after the other; they may await at their top level."""
    assert snippets
    module = types.ModuleType("page")
    module.__dict__.update(given)
    for snippet in snippets:
        code = compile(snippet, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result = eval(code, module.__dict__)  # noqa: S307 - the project's own pages
        if inspect.isawaitable(result):
            await result
    return module.__dict__
