"""Proxies: as told, from the environment, over SOCKS, and never in an error."""

import sys
import traceback
from collections.abc import AsyncGenerator
from pathlib import Path

import aiohttp
import pytest
from tests.core.proxies import http_proxy, socks_proxy

from core_chat import (
    ChatRequest,
    CoreError,
    Event,
    Finish,
    InvalidRequestError,
    ModelInfo,
    ProviderError,
    Registry,
    TextDelta,
    UnavailableError,
    hookimpl,
)
from core_chat.http import Client, client_for
from core_chat.http.session import is_loopback, open_session, proxy_for
from core_chat.testing import ManualClock, Response, Upstream

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Sender:
    """A provider that sends one request through the helper."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo:
        return ModelInfo(name or "m")

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: aiohttp.ClientSession) -> AsyncGenerator[Event, None]:
        client = client_for(session, request, base_url=self.base_url, token="sk-canary")
        yield TextDelta(await client.json("POST", "/chat", json={}))
        yield Finish("stop")


@pytest.fixture(autouse=True)
def no_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the proxies of the machine it runs on."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def ask(base_url: str, *, proxy: str | None = None) -> str:
    """The answer of a provider at that address."""
    async with Registry(only=[], proxy=proxy, clock=ManualClock()) as registry:
        registry.register(Sender(base_url), "s")
        return (await registry.chat("s:", "hi")).text


def named(upstream: Upstream) -> str:
    """An upstream under a name that only a proxy can reach."""
    return upstream.url.replace("127.0.0.1", "upstream.example.org")


async def failure(base_url: str, *, proxy: str | None = None) -> CoreError:
    """The error of a call, and that nothing of it shows a credential."""
    with pytest.raises(CoreError) as caught:
        await ask(base_url, proxy=proxy)
    shown = "".join(traceback.format_exception(caught.value))
    chain: BaseException | None = caught.value
    while chain is not None:
        shown += f"{chain!r} {chain} {chain.args!r} {vars(chain)!r}"
        chain = chain.__cause__ or chain.__context__
    assert "hunter2" not in shown
    assert "sk-canary" not in shown
    return caught.value


async def test_a_proxy_that_is_named_is_used_for_everything() -> None:
    """`Registry(proxy=…)` sends every request there, to loopback as well, with the credentials of its URL."""
    async with Upstream(Response.json("hello"), Response.json("again")) as upstream, http_proxy() as proxy:
        assert await ask(named(upstream), proxy=f"http://user:p%40ss@{proxy.url}") == "hello"
        assert await ask(upstream.url, proxy=f"http://{proxy.url}") == "again"
    assert proxy.targets == [f"POST {named(upstream)}/chat", f"POST {upstream.url}/chat"]
    assert proxy.credentials == ["user:p@ss"]
    assert "proxy-authorization" not in upstream.requests[0].headers


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
async def test_the_environment_names_a_proxy(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual variables count when `proxy` is not given, with or without a scheme."""
    async with Upstream(Response.json("hello"), Response.json("hello")) as upstream, http_proxy() as proxy:
        for value in (f"http://{proxy.url}", proxy.url):
            monkeypatch.setenv(variable, value)
            assert await ask(named(upstream)) == "hello"
    assert len(proxy.targets) == 2


async def test_loopback_is_never_sent_through_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox works with no proxy variables, and with any."""
    monkeypatch.setenv("http_proxy", "http://user:hunter2@nothing.invalid:3128")
    async with Upstream(*[Response.json("hello")] * 2) as upstream:
        assert await ask(upstream.url) == "hello"
        assert await ask(upstream.url.replace("127.0.0.1", "localhost")) == "hello"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("a.localhost", True),
        ("localhost.example.org", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound
        ("example.org", False),
        ("", False),
    ],
)
def test_what_loopback_is(host: str, *, loopback: bool) -> None:
    """Addresses of this machine's own, and the names reserved for it."""
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [("example.org", True), (".example.org", True), ("upstream.example.org", True), ("*", True), ("other.org", False)],
)
async def test_no_proxy_exempts_hosts(no_proxy: str, monkeypatch: pytest.MonkeyPatch, *, direct: bool) -> None:
    """`NO_PROXY` names hosts and domains that are reached directly."""
    from yarl import URL

    monkeypatch.setenv("http_proxy", "http://proxy.example.net:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    async with open_session(None) as session:
        found = proxy_for(session, URL("http://upstream.example.org:8080/x"))
    assert found == (None if direct else "http://proxy.example.net:3128")


async def test_the_scheme_chooses_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`https_proxy` is for https alone; a session that is borrowed or has a proxy of its own is left alone."""
    from yarl import URL

    monkeypatch.setenv("https_proxy", "http://secure:1")
    monkeypatch.setenv("http_proxy", "http://plain:1")
    async with open_session(None) as session, aiohttp.ClientSession() as borrowed, open_session("http://own:1") as own:
        assert proxy_for(session, URL("https://example.org")) == "http://secure:1"
        assert proxy_for(session, URL("http://example.org")) == "http://plain:1"
        assert proxy_for(borrowed, URL("http://example.org")) is None
        assert proxy_for(own, URL("http://example.org")) is None


@pytest.mark.parametrize("value", ["http://", "http://user:hunter2@", "::", "ftp://proxy:21", "http://proxy:port"])
async def test_a_bad_variable_is_told(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that names no proxy is an error that says which one, and nothing is sent."""
    monkeypatch.setenv("http_proxy", value)
    error = await failure("http://upstream.example.org")
    assert isinstance(error, InvalidRequestError)
    assert "http_proxy or all_proxy in the environment must be a URL like" in str(error)


async def test_a_socks_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOCKS proxy from the environment says what to do with it."""
    monkeypatch.setenv("all_proxy", "socks5://user:hunter2@proxy:1080")
    error = await failure("http://upstream.example.org")
    assert isinstance(error, InvalidRequestError)
    assert "pass it as Registry(proxy=…) and install core-chat[socks]" in str(error)


async def test_a_proxy_that_is_not_there() -> None:
    """Nobody at the proxy's address: the error says the proxy, and can be retried; its password is nowhere."""
    error = await failure("http://upstream.example.org", proxy="http://user:hunter2@127.0.0.1:9")
    assert isinstance(error, UnavailableError)
    assert "cannot connect to the proxy: Connection refused" in str(error)
    assert error.retryable


async def test_a_proxy_that_refuses() -> None:
    """What a proxy answers to a plain request is an answer; to a tunnel it is the proxy's refusal."""
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with http_proxy(refuse=refusal) as proxy:
        plain = await failure("http://upstream.example.org", proxy=f"http://user:hunter2@{proxy.url}")
        assert isinstance(plain, ProviderError)
        assert plain.status == 407
        tunnel = await failure("https://upstream.example.org", proxy=f"http://user:hunter2@{proxy.url}")
    assert isinstance(tunnel, UnavailableError)
    assert "the proxy refused the connection to upstream.example.org (status 407)" in str(tunnel)
    assert proxy.targets[-1] == "CONNECT upstream.example.org:443"


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_socks_proxy_is_used_with_the_extra(scheme: str) -> None:
    """Names are resolved by the proxy, credentials are sent as they are meant."""
    async with Upstream(*[Response.json("hello")] * 2) as upstream, socks_proxy() as proxy:
        assert await ask(named(upstream), proxy=f"{scheme}://user:p%40ss@{proxy.url}") == "hello"
        assert await ask(named(upstream), proxy=f"{scheme}://{proxy.url}") == "hello"
    assert proxy.targets == [named(upstream).removeprefix("http://")] * 2
    assert proxy.credentials == ["user:p@ss"]


async def test_socks_proxies_that_fail() -> None:
    """One that is not there and one that refuses are both unavailable."""
    refusal = b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"
    async with socks_proxy(refuse=refusal) as proxy:
        error = await failure("http://upstream.example.org", proxy=f"socks5://user:hunter2@{proxy.url}")
        assert isinstance(error, UnavailableError)
        assert "the SOCKS proxy made no connection to upstream.example.org" in str(error)
    error = await failure("http://upstream.example.org", proxy="socks5://user:hunter2@127.0.0.1:9")
    assert isinstance(error, UnavailableError)
    assert "the SOCKS proxy made no connection to upstream.example.org" in str(error)


def test_socks_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without aiohttp-socks a SOCKS URL is refused when the registry is made."""
    monkeypatch.setitem(sys.modules, "aiohttp_socks", None)
    monkeypatch.setattr("core_chat._proxy.find_spec", lambda _name: None)
    with pytest.raises(InvalidRequestError, match=r"a SOCKS proxy needs: pip install 'core-chat\[socks\]'"):
        Registry(proxy="socks5://user:hunter2@proxy")


async def test_netrc_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.netrc` with a password for the very host changes nothing."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login user password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    async with Upstream(Response.json("hello")) as upstream, open_session(None) as session:
        await Client(session=session, base_url=upstream.url).json("GET", "/")
    assert "authorization" not in upstream.requests[0].headers


async def test_the_registrys_session_keeps_no_cookies_and_has_no_cap() -> None:
    """One caller's cookies do not reach another, and any number of streams may be open."""
    cookie = Response.json(1)
    answers = [Response(cookie.body, headers={**cookie.headers, "Set-Cookie": "id=1; Path=/"}), Response.json(2)]
    async with Upstream(*answers) as upstream, open_session(None) as session:
        client = Client(session=session, base_url=upstream.url)
        await client.json("GET", "/")
        await client.json("GET", "/")
        assert session.connector is not None
        assert (session.connector.limit, session.timeout.total) == (0, None)
    assert "cookie" not in upstream.requests[1].headers
    assert upstream.requests[0].headers["user-agent"] == "core-chat"
