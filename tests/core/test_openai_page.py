"""The plugin on the page about OpenAI-compatible services is complete and keeps the contract."""

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from core_chat import Registry
from core_chat.testing import ProviderContract, Response, Upstream
from core_chat.testing.contract import Play

PAGE = Path(__file__).resolve().parents[2] / "docs" / "openai-compatible.md"
CODE = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]


def load() -> ModuleType:
    """The page's module, under the name that the page gives it."""
    module = ModuleType("core_acme")
    sys.modules["core_acme"] = module  # attrs looks a class's module up there
    exec(compile(CODE, str(PAGE), "exec"), module.__dict__)  # noqa: S102 - our own page
    return module


ACME: Any = load()


def test_it_is_short() -> None:
    """About thirty lines of code, imports aside."""
    lines = [line for line in CODE.splitlines() if line.strip() and not line.lstrip().startswith(("#", '"""'))]
    assert len([line for line in lines if not line.startswith(("from ", "import "))]) <= 30


async def test_it_asks_with_its_key_and_lists_models() -> None:
    """The request is the wire's, and the list is read."""
    routes = {
        "POST /v1/chat/completions": Response.sse(
            ['{"id":"c-1","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}', "[DONE]"]
        ),
        "GET /v1/models": Response.json({"data": [{"id": "acme-large"}, {"id": "acme-small"}]}),
    }
    async with Upstream(routes=routes) as upstream, Registry(only=()) as registry:
        registry.register(ACME.Acme(token="key-1", base_url=f"{upstream.url}/v1"), "acme")
        assert (await registry.chat("acme:", "Hello")).text == "Hi"
        assert [model.full_name for model in (await registry.models("acme")).models] == [
            "acme:acme-large",
            "acme:acme-small",
        ]
    sent = upstream.requests[0]
    assert sent.headers["authorization"] == "Bearer key-1"
    assert sent.json()["model"] == "acme-large"


@pytest.mark.parametrize("name", ["path", "headers", "backend_header", "body"])
def test_what_the_page_names_exists(name: str) -> None:
    """The table speaks of arguments that are there."""
    from inspect import signature

    from core_chat.openai import stream_chat

    assert f"`{name}=" in PAGE.read_text(encoding="utf-8")
    assert name in signature(stream_chat).parameters


class TestAcme(ProviderContract):
    """The contract, on the page's plugin."""

    name = "acme"
    optional_end = 2  # the usage and the end marker

    def make(self, base_url: str) -> object:
        """Talk to the scripted upstream."""
        return ACME.Acme(token=None, base_url=f"{base_url}/v1")

    def answer(self, pieces: list[str]) -> Play:
        """Stream the pieces, then the reason, the usage and the end marker."""
        chunks: list[Any] = [{"id": "c-1", "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
        chunks.append({"id": "c-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        chunks.append({"id": "c-1", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": len(pieces)}})
        stream = Response.sse([*(json.dumps(chunk, ensure_ascii=False) for chunk in chunks), "[DONE]"])
        return {"POST /v1/chat/completions": stream}

    def listing(self) -> Play:
        """Two models."""
        return {"GET /v1/models": Response.json({"data": [{"id": "acme-large"}, {"id": "acme-small"}]})}
