"""Fetching what an upstream only named."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from yarl import URL

from core_chat.errors import ProtocolError, ProviderError, UnavailableError
from core_chat.http import Client
from core_chat.http.session import open_session
from core_chat.testing import Flood, ManualClock, Request, Response, Upstream
from core_huggingface import _download
from core_huggingface._download import download, is_private, is_public

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
FILE = Response(PNG, headers={"Content-Type": "image/jpeg"})


@asynccontextmanager
async def _client(base_url: str, **settings: Any) -> AsyncIterator[Client]:
    session = settings.pop("session", None) or open_session(None)
    async with session:
        yield Client(session=session, base_url=base_url, token="hf_canary", clock=ManualClock(), **settings)


@pytest.fixture
def public_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the base URL for one on the open internet, wherever it is."""

    async def nowhere(_url: URL) -> bool:
        return False

    monkeypatch.setattr(_download, "is_private", nowhere)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - to be refused
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
        ("ff02::1", False),
    ],
)
def test_addresses_are_public_or_not(address: str, expected: bool) -> None:  # noqa: FBT001 - a parameter
    """Private, local, shared and reserved ones are not, nor those that carry one of them."""
    assert is_public(address) is expected


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/x",
        "http://a.localhost/x",
        "http://printer.local/x",
        "http://vault.internal/x",
        "http://10.0.0.7:8080/x",
        "http://[::1]/x",
        "http://127.1/x",
        "http://2130706433/x",
        "http://0x7f.0.0.1/x",
    ],
)
async def test_a_host_can_be_private_as_it_is_written(url: str) -> None:
    """Odd spellings of an address are that address."""
    assert await is_private(URL(url))


async def test_a_host_is_private_when_all_its_addresses_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """One public address is enough to be a public host; one that is not found is none of ours."""
    addresses = {"private.test": ["10.0.0.1", "fd00::1"], "mixed.test": ["10.0.0.1", "8.8.8.8"]}

    async def getaddrinfo(host: str, _port: object) -> list[Any]:
        if host not in addresses:
            raise socket.gaierror
        return [(0, 0, 0, "", (address, 0)) for address in addresses[host]]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert await is_private(URL("http://private.test"))
    assert not await is_private(URL("http://mixed.test"))
    assert not await is_private(URL("http://unknown.test"))


async def test_the_file_comes_without_any_credential() -> None:
    """Neither the key, nor the session's own headers and cookies, nor `.netrc` go along, on the same host even."""
    session = aiohttp.ClientSession(headers={"Authorization": "Bearer hf_canary", "X-Own": "1"}, cookies={"a": "b"})
    async with Upstream(FILE) as upstream, _client(upstream.url, session=session) as client:
        assert await download(client, f"{upstream.url}/a.png") == PNG
    headers = upstream.requests[0].headers
    assert not {"authorization", "cookie", "x-own"} & set(headers)
    assert "hf_canary" not in str(headers)


async def test_netrc_is_not_asked(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that trusts the environment would read it."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hf_canary", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    session = aiohttp.ClientSession(trust_env=True)
    async with Upstream(FILE) as upstream, _client(upstream.url, session=session) as client:
        await download(client, f"{upstream.url}/a.png")
    assert "authorization" not in upstream.requests[0].headers


async def test_a_relative_link_is_the_upstreams() -> None:
    """Some servers name only the path."""
    async with Upstream(FILE) as upstream, _client(f"{upstream.url}/hf-inference") as client:
        assert await download(client, "/files/a.png?x=1") == PNG
    assert (upstream.requests[0].path, upstream.requests[0].query) == ("/files/a.png", {"x": "1"})


@pytest.mark.parametrize("link", ["ftp://host/a", "file:///etc/passwd", "http://u:p@127.0.0.1/a", "http://[", "data:,"])
async def test_what_is_no_plain_link_is_refused(link: str) -> None:
    """No other scheme, and no credentials inside a link."""
    async with _client("http://127.0.0.1:9") as client:
        with pytest.raises(ProtocolError, match="link"):
            await download(client, link)


@pytest.mark.usefixtures("public_upstream")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
async def test_a_private_address_is_never_connected_to(host: str) -> None:
    """However it is spelt; the upstream there sees not even a connection."""
    async with Upstream() as upstream, _client("https://router.huggingface.co") as client:
        port = URL(upstream.url).port
        with pytest.raises(ProtocolError, match="private address") as caught:
            await download(client, f"http://{host}:{port}/latest/meta-data")
        assert upstream.connections == 0
    assert not caught.value.retryable


@pytest.mark.usefixtures("public_upstream")
async def test_a_name_that_turns_out_private_is_never_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the address that is connected to, whatever the name resolved to before."""

    class Rebinding(aiohttp.ThreadedResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
            assert host == "pictures.test"
            found = {"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}
            return [found]

    monkeypatch.setattr("aiohttp.connector.DefaultResolver", Rebinding)
    async with Upstream() as upstream, _client("https://router.huggingface.co") as client:
        with pytest.raises(ProtocolError, match="private address"):
            await download(client, f"http://pictures.test:{URL(upstream.url).port}/a.png")
        assert upstream.connections == 0


@pytest.mark.usefixtures("public_upstream")
async def test_a_redirect_to_a_private_address_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hop is checked, not only the first."""

    def only_the_first(address: str) -> bool:
        return address == "127.0.0.1"

    monkeypatch.setattr(_download, "is_public", only_the_first)
    monkeypatch.setattr(_download, "_names_private", lambda host: host == "vault.internal")
    for target in ("http://127.0.0.2:1/x", "http://[::1]:1/x", "http://vault.internal/x"):
        moved = Response(status=302, headers={"Location": target})
        async with Upstream(moved) as upstream, _client("https://router.huggingface.co") as client:
            with pytest.raises(ProtocolError, match="private address"):
                await download(client, f"{upstream.url}/a.png")


async def test_a_redirect_is_followed_and_brings_no_credential() -> None:
    """A link may be moved, but not to where credentials are in it."""
    moved = Response(status=302, headers={"Location": "/b.png"})
    async with Upstream(moved, FILE) as upstream, _client(upstream.url) as client:
        assert await download(client, f"{upstream.url}/a.png") == PNG

    def tempting(request: Request) -> Response:
        return Response(status=302, headers={"Location": f"{request.origin.replace('//', '//user:secret@')}/b.png"})

    async with Upstream(tempting, FILE) as upstream, _client(upstream.url) as client:
        assert await download(client, f"{upstream.url}/a.png") == PNG
    assert all("authorization" not in request.headers for request in upstream.requests)


async def test_a_file_without_end_is_an_error_and_no_memory() -> None:
    """The size is bounded."""
    endless = Response(Flood(1 << 20), framing="chunked")
    async with Upstream(endless) as upstream, _client(upstream.url) as client:
        with pytest.raises(ProtocolError, match="longer than 1000 bytes"):
            await download(client, f"{upstream.url}/a.png", limit=1000)


async def test_a_bad_moment_is_got_over() -> None:
    """The picture has been made and paid for."""
    bad = Response("", status=503)
    async with Upstream(bad, bad, FILE) as upstream, _client(upstream.url) as client:
        assert await download(client, f"{upstream.url}/a.png") == PNG
    assert len(upstream.requests) == 3


@pytest.mark.parametrize(("status", "kind", "requests"), [(404, ProtocolError, 1), (503, UnavailableError, 3)])
async def test_a_file_that_is_not_given_out_is_no_missing_model(
    status: int, kind: type[ProviderError], requests: int
) -> None:
    """And never a reason to have the picture made again."""
    gone = Response("gone", status=status, headers={"Content-Type": "text/plain", "Retry-After": "1"})
    async with Upstream(*[gone] * 3) as upstream, _client(upstream.url) as client:
        with pytest.raises(kind, match="could not be fetched: gone") as caught:
            await download(client, f"{upstream.url}/a.png")
    assert len(upstream.requests) == requests
    assert not caught.value.retryable


async def test_behind_a_proxy_the_proxy_is_asked() -> None:
    """It resolves names itself, so only what the link says can be checked."""
    async with Upstream(FILE) as proxy:
        session = aiohttp.ClientSession(proxy=proxy.url)
        async with _client("https://router.huggingface.co", session=session) as client:
            assert await download(client, "http://pictures.example/a.png") == PNG
    request = proxy.requests[0]
    assert request.headers["host"] == "pictures.example"
    assert "authorization" not in request.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "metadata.internal"])
async def test_behind_a_proxy_private_links_are_refused_as_well(host: str) -> None:
    """A proxy inside the network must not be made to look around in it."""
    async with Upstream() as proxy:
        session = aiohttp.ClientSession(proxy=proxy.url)
        async with _client("https://router.huggingface.co", session=session) as client:
            with pytest.raises(ProtocolError, match="private address"):
                await download(client, f"http://{host}/a.png")
        assert proxy.connections == 0


async def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for every other request of a registry's own session."""
    async with Upstream(FILE) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with _client("https://router.huggingface.co") as client:
            assert await download(client, "http://pictures.example/a.png") == PNG
    assert proxy.requests[0].headers["host"] == "pictures.example"
