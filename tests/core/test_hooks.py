"""The hook specifications: their examples are whole, and run."""

import inspect
import re
import textwrap
from typing import Any

import core_chat
from core_chat import Conversation, ModelInfo, Registry
from core_chat.hooks import ProviderHooks

HOOKS = [name for name, _ in inspect.getmembers(ProviderHooks, inspect.isfunction)]


def example(hook: str) -> str:
    """The code of a hook's docstring."""
    found = re.findall(r"```python\n(.*?)```", inspect.getdoc(getattr(ProviderHooks, hook)) or "", re.DOTALL)
    assert len(found) == 1, hook
    return str(found[0])


async def test_the_examples_of_the_hooks_make_a_provider() -> None:
    """Put together, the examples of the docstrings are a provider that answers, lists and deletes."""
    body = "\n".join(textwrap.indent(example(hook), "    ") for hook in HOOKS)
    names: dict[str, Any] = {**vars(core_chat), "AsyncGenerator": __import__("collections.abc").abc.AsyncGenerator}
    exec(f"class Echo:\n    threads = {{'7': 'kept'}}\n\n{body}", names)  # noqa: S102 - our own examples
    echo = names["Echo"]()
    async with Registry(only=[]) as registry:
        registry.register(echo, "echo")
        assert registry.resolve("echo:") == ModelInfo("echo-1", provider="echo", is_default=True)
        assert (await registry.chat("echo:", "hello")).text == "hello"
        assert [model.title for model in (await registry.models()).models] == ["Echo"]
        assert await registry.delete(Conversation((), {"echo": "7"})) == ("echo",)
    assert echo.threads == {}


def test_every_hook_gives_the_first_result() -> None:
    """The registry routes each call to its owner: no hook is a broadcast."""
    for hook in HOOKS:
        assert getattr(ProviderHooks, hook).core_chat_spec["firstresult"] is True
