"""The provider contract, kept by good providers of several shapes; the first is as small as a provider can be."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from attrs import define
from tests.core.testing_wire import Wire

from core_chat import (
    ChatRequest,
    Event,
    Finish,
    IncompleteStreamError,
    ModelInfo,
    NoOptions,
    Notice,
    ProtocolError,
    TextDelta,
    hookimpl,
    read_options,
)
from core_chat.testing import ProviderContract, Response


@define(eq=False)
class Echo:
    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        return ModelInfo(name or "echo-1") if name in ("", "echo-1") else None

    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        read_options(NoOptions, request)
        yield TextDelta(request.messages[-1].text)
        yield Finish("stop")


class TestEcho(ProviderContract):
    """Fifteen lines, no HTTP: nothing to override but `make`."""

    def make(self, base_url: str) -> object:
        return Echo()


class TestWire(ProviderContract):
    """One request, one stream."""

    def make(self, base_url: str) -> object:
        return Wire(base_url, token=self.key)

    def make_without_key(self, base_url: str) -> object:
        return Wire(base_url)

    def answer(self, pieces: list[str]) -> Response:
        return Response.lines([*({"piece": piece} for piece in pieces), {"done": True}])

    def listing(self) -> Response:
        return Response.json(["wire-1", "wire-2"])


@define(eq=False)
class Polled(Wire):
    """A job is made, looked at until it is done, and then streamed from a link."""

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: aiohttp.ClientSession) -> AsyncGenerator[Event, None]:
        """Make the job, wait for it, read its stream."""
        read_options(NoOptions, request)
        for notice in self.notices(request):
            yield notice
        client = self.client(request, session)
        job = self.checked(await client.json("POST", "jobs", json=self.body(request), headers=request.headers))
        while not job.get("ready"):
            await request.clock.sleep(1)
            job = self.checked(await client.json("GET", job["link"]))
        async with client.send("GET", job["link"] + "/stream") as response:
            async for event in self.events(client, response):
                yield event

    def checked(self, job: Any) -> dict[str, Any]:
        """Return a job, whatever the upstream sent."""
        return self.parse(str(job).encode()) if not isinstance(job, dict) else job


class TestPolled(TestWire):
    """Several requests, one of them with a link to the upstream, in the order in which they come."""

    make_without_key = ProviderContract.make_without_key

    def make(self, base_url: str) -> object:
        return Polled(base_url)

    def answer(self, pieces: list[str]) -> Any:
        return [
            lambda request: Response.json({"link": f"{request.origin}/jobs/1"}, status=201),
            Response.json({"link": "jobs/1"}),
            Response.json({"link": "jobs/1", "ready": True}),
            super().answer(pieces),
        ]


class TestPolledByRoutes(TestPolled):
    """The same upstream, told by its paths: then two calls may come at once."""

    pieces = ("Hello", "\n", " ", "日本", "🎈")

    def answer(self, pieces: list[str]) -> Any:
        made, waiting, ready, stream = super().answer(pieces)
        return {"POST /jobs": made, "GET /jobs/1": [waiting, ready], "GET /jobs/*/stream": stream}


@define(eq=False)
class Resuming(Wire):
    """Asks for the whole answer when its stream breaks, and ends at stop texts by itself."""

    def notices(self, request: ChatRequest) -> list[Notice]:
        """Leave out stop, which is honoured here."""
        return [notice for notice in Wire.notices(self, request) if notice.parameter != "stop"]

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: aiohttp.ClientSession) -> AsyncGenerator[Event, None]:
        """Stream, and get the rest where that broke off."""
        seen = ""
        with suppress(IncompleteStreamError, ProtocolError):
            async with aclosing(Wire.stream_chat(self, request, session)) as events:
                async for event in events:
                    seen += event.text if isinstance(event, TextDelta) else ""
                    if any(word in seen for word in request.stop):
                        yield Finish("stop")
                        return
                    yield event
                    if isinstance(event, Finish):
                        return
        whole = await self.client(request, session).json("GET", "answer")
        if not isinstance(whole, str):
            raise ProtocolError("the answer is no text", got=type(whole).__name__)
        if whole[len(seen) :]:
            yield TextDelta(whole[len(seen) :])
        yield Finish("stop")


class TestResuming(ProviderContract):
    """What breaks need not be an error where the provider can get the rest."""

    pieces = ("Hello", "\n", " ", "日本", "🎈")

    def make(self, base_url: str) -> object:
        return Resuming(base_url)

    def answer(self, pieces: list[str]) -> Any:
        return {"POST /chat": TestWire().answer(pieces), "GET /answer": Response.json("".join(pieces))}


def test_pytest_alone_runs_the_contract(tmp_path: Path) -> None:
    """A test module of four lines runs under plain pytest; skipped laws say what to override."""
    (tmp_path / "test_echo.py").write_text(
        "from core_chat.testing import Canned, ProviderContract\n\n"
        "class TestMine(ProviderContract):\n"
        "    def make(self, base_url): return Canned('Hello!')\n"
    )
    options = ["-q", "-rs", "-W", "error", "-p", "no:asyncio", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "override answer(pieces) to return the upstream's responses" in done.stdout
    assert "override listing()" in done.stdout
    assert "passed" in done.stdout


def test_make_must_be_overridden() -> None:
    """A subclass without `make` is told so."""

    class Empty(ProviderContract):
        pass

    with pytest.raises(NotImplementedError, match="Empty must override make"):
        Empty().test_it_is_hashable()


def test_the_testing_package_needs_no_pytest() -> None:
    """A host app can use the canned provider where pytest is not installed."""
    code = "import sys; sys.modules['pytest'] = None; import core_chat.testing; core_chat.testing.Canned('Hello!')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
