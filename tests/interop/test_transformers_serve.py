"""The provider against a real server: `transformers serve` with a tiny random model, built on the spot.

Off by default; `pytest -m real_server` runs it where the dependency group `real-server` is installed. Nothing is
downloaded, and the server listens on loopback only.
"""

import asyncio
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from core_chat import Message, ProviderError, Registry, Retry, TextDelta
from core_huggingface import HuggingFace

BUILDER = Path(__file__).with_name("tiny_model.py")
MODEL = "tests/tiny-random-llama"
NAME = f"huggingface:{MODEL}"
REVISION = "0" * 40
START_SECONDS = 240.0
PIECES = 64

pytestmark = [
    pytest.mark.real_server,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "fastapi", "uvicorn")),
        reason="the dependency group real-server is not installed",
    ),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `HF_HOME` whose cache holds the tiny random model, as if it had been downloaded."""
    home = tmp_path_factory.mktemp("home")
    cached = home / "hub" / f"models--{MODEL.replace('/', '--')}"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(REVISION)
    snapshot = cached / "snapshots" / REVISION
    subprocess.run([sys.executable, str(BUILDER), str(snapshot)], check=True, env=_offline(home))
    return home


def _offline(home: Path) -> dict[str, str]:
    """An environment in which nothing is asked of the Hub."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower() and "HF_" not in name}
    return {**kept, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}


@pytest.fixture(scope="module")
def origin(home: Path) -> Iterator[str]:
    """Serve the model on a free port of 127.0.0.1 and wait until it is loaded."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "from transformers.cli.transformers import main; main()"
    options = ["serve", MODEL, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    path = home / "serve.log"
    with (
        path.open("wb") as log,
        subprocess.Popen([sys.executable, "-c", code, *options], env=_offline(home), stdout=log, stderr=log) as server,
    ):
        try:
            assert asyncio.run(_answers(server, f"http://127.0.0.1:{port}")), path.read_text(errors="replace")[-2000:]
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


async def _answers(server: "subprocess.Popen[bytes]", origin: str) -> bool:
    """Wait until the server is up, or has given up."""
    deadline = time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession() as session:
        while server.poll() is None and time.monotonic() < deadline:
            try:
                async with session.get(f"{origin}/health") as response:
                    if response.status == 200:
                        return True
            except aiohttp.ClientError:
                await asyncio.sleep(0.2)
    return False


@pytest.fixture
async def registry(origin: str) -> AsyncIterator[Registry]:
    """A registry in which `huggingface` talks to the server, and does not try again what fails."""
    async with Registry(only=(), retry=Retry(attempts=1)) as registry:
        registry.register(HuggingFace(token=None, base_url=f"{origin}/v1"), "huggingface")
        yield registry


async def test_it_streams(registry: Registry, record_property: Callable[[str, object], None]) -> None:
    """Piece after piece, with usage and the reason for the end; the figures go into the report."""
    began = time.perf_counter()
    async with registry.stream(NAME, "Why is the sky blue?", max_tokens=PIECES) as stream:
        moments = [time.perf_counter() - began async for event in stream if isinstance(event, TextDelta)]
        reply = await stream.reply()
    assert reply.text
    assert len(moments) > PIECES // 4
    assert reply.finish is not None
    assert (reply.finish.reason, reply.finish.raw) in (("length", "length"), ("stop", "stop"))
    assert reply.usage is not None
    assert reply.usage.output is not None
    assert 0 < len(moments) <= reply.usage.output <= PIECES
    figures = {
        "first piece (ms)": round(moments[0] * 1000, 1),
        "pieces": len(moments),
        "pieces a second": round((len(moments) - 1) / (moments[-1] - moments[0]), 1),
    }
    for name, value in figures.items():
        record_property(name, value)
    print(figures)  # noqa: T201 - `pytest -s` shows them


async def test_a_conversation_goes_on(registry: Registry) -> None:
    """The second turn sends the first one along."""
    first = await registry.chat(NAME, [Message("system", "Be brief."), Message("user", "Hello")], max_tokens=4)
    second = await registry.chat(
        NAME, "And again?", conversation=first.conversation, max_tokens=4, seed=1, stop=["zzz"]
    )
    assert first.usage is not None
    assert second.usage is not None
    assert first.usage.input is not None
    assert second.usage.input is not None
    assert second.usage.input > first.usage.input
    assert [message.role for message in second.conversation.messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
    ]


async def test_an_answer_that_is_no_stream(registry: Registry) -> None:
    """The same server answers with one body when it is told to."""
    reply = await registry.chat(NAME, "Hello", max_tokens=4, extra={"stream": False})
    assert reply.finish is not None
    assert reply.finish.reason == "length"
    assert reply.usage is not None
    assert reply.usage.output == 4


async def test_leaving_early_leaves_the_server_well(registry: Registry) -> None:
    """After a caller has gone in the middle, the next one is answered."""
    async with registry.stream(NAME, "Tell me everything", max_tokens=512) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                break
    assert (await registry.chat(NAME, "Hello", max_tokens=2)).finish is not None


async def test_its_errors_are_errors(registry: Registry) -> None:
    """An unknown field is refused with a status; a value that breaks generation is told inside the stream."""
    with pytest.raises(ProviderError, match="fields") as refused:
        await registry.chat(NAME, "Hello", extra={"no_such_field": 1})
    assert refused.value.status == 422
    sampling = json.dumps({"do_sample": True, "max_new_tokens": 4})
    with pytest.raises(ProviderError, match="strictly positive"):
        await registry.chat(NAME, "Hello", extra={"temperature": -1.0, "generation_config": sampling})


async def test_it_lists_its_models(registry: Registry) -> None:
    """The list is that of its cache."""
    catalog = await registry.models("huggingface", task="chat")
    assert catalog.failures == {}
    assert [model.full_name for model in catalog.models] == [NAME]
