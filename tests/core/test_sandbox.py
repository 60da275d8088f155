"""Sandboxes: found by entry points, started and stopped, and whose fault it is when one does not start."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.core.sites import Site, fake_site

from core_chat import PluginError
from core_chat.sandbox import canned_answer, sandbox_names, sandboxes, serve

SANDBOX = """
from contextlib import asynccontextmanager

events = []

@asynccontextmanager
async def sandbox(*, port=0):
    events.append(f"start {port}")
    yield {"{name}": {"base_url": f"http://127.0.0.1:{port}"}, "{name}-too": {"token": "t"}}
    events.append("stop")
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site whose sandboxes are the only ones."""
    from core_chat import _entries

    everything = _entries.installed
    with fake_site(tmp_path) as site:
        monkeypatch.setattr(
            "core_chat.sandbox.installed",
            lambda group: [entry for entry in everything(group) if entry.name.startswith("fake")],
        )
        yield site


def install(site: Site, name: str, source: str = SANDBOX) -> str:
    """Install a sandbox; return its module's name."""
    module = site.install(name, source, entries="placeholder")
    (info,) = site.folder.glob(f"dist_{name}*/entry_points.txt")
    info.write_text(f"[core_chat.sandboxes]\n{name} = {module}:sandbox\n")
    return module


async def test_sandboxes_give_a_registrys_configuration(site: Site) -> None:
    """All of them, or those named, started in turn and stopped at the end; the first port is the caller's."""
    for name in ("fakeb", "fakea"):
        install(site, name)
    assert sandbox_names() == ["fakea", "fakeb"]
    assert site.imported() == set()
    async with sandboxes() as config:
        assert list(config) == ["fakea", "fakea-too", "fakeb", "fakeb-too"]
        assert config["fakea"] == {"base_url": "http://127.0.0.1:0"}
    async with sandboxes(["fakeb", "fakea"], port=4000) as config:
        assert config["fakeb"] == {"base_url": "http://127.0.0.1:4000"}
        assert config["fakea"] == {"base_url": "http://127.0.0.1:4001"}


async def test_only_what_is_named_is_imported(site: Site) -> None:
    """One broken sandbox is in nobody's way."""
    install(site, "fakea")
    install(site, "fakeb", "raise SystemExit(1)")
    async with sandboxes(["fakea"]) as config:
        assert set(config) == {"fakea", "fakea-too"}
    assert site.imported() == {"fakea"}
    with pytest.raises(PluginError, match=r"the sandbox 'fakeb' cannot be loaded: SystemExit\(1\)"):
        async with sandboxes():
            raise AssertionError
    with pytest.raises(PluginError, match="no installed plugin has a sandbox 'fakec'; there are: fakea, fakeb"):
        async with sandboxes(["fakec"]):
            raise AssertionError


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            SANDBOX.replace("    events.append(f", "    raise KeyError('x')\n    events.append(f"),
            "cannot be started: KeyError",
        ),
        (SANDBOX.replace("(*, port=0)", "()").replace("{port}", ""), "cannot be started: TypeError"),
        (SANDBOX.replace("yield {", "yield 5 or {"), "cannot be started: AttributeError"),
        ("sandbox = 5", "cannot be started: TypeError"),
        (
            SANDBOX.replace(
                "    events.append(f", "    raise OSError(98, 'Address already in use')\n    events.append(f"
            ),
            "Address already in use",
        ),
    ],
)
async def test_a_sandbox_that_does_not_start_is_named(site: Site, source: str, told: str) -> None:
    """Whatever is wrong with it, the error says which sandbox it is."""
    install(site, "fakea", source)
    with pytest.raises(PluginError, match="the sandbox 'fakea' cannot be started") as caught:
        async with sandboxes():
            raise AssertionError
    assert told in str(caught.value)
    assert caught.value.__cause__ is not None


async def test_the_callers_error_is_its_own(site: Site) -> None:
    """What goes wrong inside of the block is not taken for the sandbox's."""
    install(site, "fakea")
    with pytest.raises(LookupError):
        async with sandboxes():
            raise LookupError


async def test_an_application_is_served_on_loopback_alone() -> None:
    """`serve` gives the origin; a port that is taken is the system's error."""

    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    application = web.Application()
    application.router.add_get("/", hello)
    async with serve(application) as origin, aiohttp.ClientSession() as session:
        assert origin.startswith("http://127.0.0.1:")
        async with session.get(origin) as response:
            assert await response.text() == "hello"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="address"):
            async with serve(web.Application(), port=taken.getsockname()[1]):
                raise AssertionError


async def test_a_client_that_leaves_is_seen() -> None:
    """A handler is cancelled when its client goes away."""
    begun, left = asyncio.Event(), asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return response

    application = web.Application()
    application.router.add_get("/", endless)
    async with serve(application) as origin, aiohttp.ClientSession() as session:
        async with session.get(origin):
            await begun.wait()
        await asyncio.wait_for(left.wait(), 5)


def test_a_canned_answer_says_so() -> None:
    """It says that no model was asked, and repeats the prompt as it is."""
    pieces = canned_answer("a  b\nc")
    assert "".join(pieces) == "This is a canned answer from the sandbox; no model was asked. You wrote: a  b\nc"
    assert len(pieces) > 10
