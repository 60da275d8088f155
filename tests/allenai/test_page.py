"""The page about the Playground runs, and the sandbox's own list of models is complete."""

import ast
import inspect
import re
import types
from pathlib import Path

from core_allenai import sandbox
from core_allenai.sandbox import CHOSEN_BEHAVIOUR
from core_chat import Registry
from core_chat.sandbox import sandboxes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "allenai.md"


async def test_the_snippets_run() -> None:
    """One after the other, against the sandbox."""
    snippets = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert snippets
    async with sandboxes(["allenai"]) as config, Registry(config=config) as registry:
        module = types.ModuleType("allenai_page")
        module.__dict__["registry"] = registry
        for snippet in snippets:
            code = compile(snippet, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            result = eval(code, module.__dict__)  # noqa: S307 - the project's own page
            if inspect.isawaitable(result):
                await result


def test_every_chosen_behaviour_is_described() -> None:
    """The sandbox's docstring names each, and names none that is not there."""
    described = set(re.findall(r"`sandbox/([a-z-]+)`", sandbox.__doc__ or ""))
    assert described == set(CHOSEN_BEHAVIOUR)
