"""Fetching what an upstream only named: without credentials, of bounded size, and never from inside the network.

The address is checked where it cannot change any more, on each socket that is about to connect. So redirects, names
that resolve to private addresses, names that resolve differently the second time, and odd spellings of 127.0.0.1 are
all one case. Behind a proxy, which resolves names itself, what the URL says is checked.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp
from attrs import define, evolve
from yarl import URL

from core_chat.errors import ProtocolError, ProviderError, TimedOutError, UnavailableError
from core_chat.http import Client, Failure, is_loopback
from core_chat.http.session import EnvironmentConnector, proxy_for

LARGEST = 64 << 20
"""Bytes a picture may have."""
_WAITS = (0.5, 2.0)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet; one that carries an IPv4 address is judged by that too."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast
    if ip.ipv4_mapped is not None:
        return is_public(str(ip.ipv4_mapped))
    carried = ip.sixtofour or (ip.teredo and ip.teredo[1])
    if ip in _NAT64:
        carried = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.is_global and not ip.is_multicast and (not carried or is_public(str(carried)))


def _names_private(host: str) -> bool:
    """Whether a host, as it is written, means a private address; legacy spellings of IPv4 addresses are understood."""
    if is_loopback(host) or host.endswith((".local", ".internal", ".localdomain")):
        return True
    try:
        return not is_public(host)
    except ValueError:
        pass
    try:
        return not is_public(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        return False


async def is_private(url: URL) -> bool:
    """Whether a URL leads into a private network: by its host's name, or because every address of it is private."""
    host = url.host or ""
    if _names_private(host):
        return True
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, url.port)
    except OSError:
        return False
    return bool(found) and not any(is_public(str(address[0])) for *_, address in found)


class _PrivateAddressError(OSError):
    """A socket was about to connect to a private address."""


@define(eq=False)
class _Guard:
    """Checks every connection, and every request of a chain of redirects."""

    by_name: bool
    refused: bool = False

    def open_socket(self, info: Any) -> socket.socket:
        """Return a socket for an address, as aiohttp's `socket_factory`."""
        family, kind, protocol, _, address = info
        if not is_public(str(address[0])):
            self.refused = True
            raise _PrivateAddressError("a private address")
        return socket.socket(family, kind, protocol)

    async def check(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Let a request pass, as aiohttp's middleware; what a URL or `.netrc` made of credentials goes."""
        request.headers.pop("Authorization", None)
        if self.by_name and _names_private(request.url.host or ""):
            self.refused = True
            raise aiohttp.ClientConnectionError
        return await handler(request)


async def download(client: Client, link: str, *, limit: int = LARGEST) -> bytes:
    """Return what a link names; `client` is the one that was told of it, and a relative link is its host's.

    Raises:
        ProtocolError: It is no http(s) link, leads to a private address while the client's base URL does not, or names
            more than `limit` bytes.
        ProviderError: It cannot be fetched; never retryable, since the upstream's work would be done again.
    """
    base = URL(client.base_url)
    try:
        url = base.join(URL(link))
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or url.user or url.password:
        raise ProtocolError("the upstream's link to its file is none", got=link[:200])
    private = await is_private(base)
    try:
        return await _fetch(client, url, private=private, limit=limit)
    except ProviderError as error:
        error.retryable = False
        raise


async def _fetch(client: Client, url: URL, *, private: bool, limit: int) -> bytes:
    """Fetch, and try twice more where it may only have been a bad moment."""
    for wait in _WAITS:
        try:
            return await _fetch_once(client, url, private=private, limit=limit)
        except (UnavailableError, TimedOutError):
            await client.clock.sleep(wait)
    return await _fetch_once(client, url, private=private, limit=limit)


async def _fetch_once(client: Client, url: URL, *, private: bool, limit: int) -> bytes:
    direct = not _is_proxied(client.session, url)
    guard = _Guard(by_name=not private)
    async with _session(client.session, guard, checked=direct and not private) as session:
        bare = evolve(client, session=session, token=None, refine=_not_there)
        try:
            async with bare.send("GET", str(url)) as response:
                return await bare.body(response, limit=limit)
        except ProviderError as error:
            if guard.refused:
                text = f"the upstream's link leads from {url.host} to a private address; it was not fetched"
                raise ProtocolError(text, got="a private address") from error
            raise


def _not_there(failure: Failure) -> ProviderError:
    """Return the error for a file that is not given out: it says nothing about the model or the key."""
    text = f"the file could not be fetched: {failure.text}"
    if failure.status >= 500 or failure.status == 429:  # noqa: PLR2004 - RFC 9110
        return failure.error(UnavailableError, text)
    return failure.error(ProtocolError, text)


def _is_proxied(session: aiohttp.ClientSession, url: URL) -> bool:
    """Whether the host's session reaches a URL by way of a proxy, or in a way that is not known here."""
    if type(session.connector) not in (aiohttp.TCPConnector, EnvironmentConnector) or _default_proxy(session):
        return True
    if session.trust_env:
        return bool(getproxies_environment().get(url.scheme)) and not proxy_bypass(url.host or "")
    return proxy_for(session, url) is not None


def _default_proxy(session: aiohttp.ClientSession) -> Any:
    return getattr(session, "_default_proxy", None)  # aiohttp has no public name for it


@asynccontextmanager
async def _session(
    host: aiohttp.ClientSession, guard: _Guard, *, checked: bool
) -> AsyncGenerator[aiohttp.ClientSession, None]:
    """Open a session that shares only its way to the network with the host's, or not even that: `checked`."""
    connector = aiohttp.TCPConnector(socket_factory=guard.open_socket) if checked else host.connector
    session = aiohttp.ClientSession(
        connector=connector,
        connector_owner=checked,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "core-chat"},
        middlewares=(guard.check,),
        proxy=None if checked else _default_proxy(host),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=not checked and host.trust_env,
    )
    async with session:
        yield session
