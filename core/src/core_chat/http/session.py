"""The registry's own aiohttp session: no cap on connections, no cookies, proxies from the environment or as told."""

import ipaddress
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import (  # type: ignore[attr-defined]  # typeshed leaves the second out
    getproxies_environment,
    proxy_bypass_environment,
)

import aiohttp
from yarl import URL

from core_chat._proxy import check_proxy
from core_chat.errors import InvalidRequestError

_SOCKS_PORT = 1080


class EnvironmentConnector(aiohttp.TCPConnector):
    """Marks a session whose requests go through the proxies that the environment names."""


def open_session(proxy: str | None) -> aiohttp.ClientSession:
    """Return a session for a registry; `.netrc` is never read."""
    settings: dict[str, Any] = {
        "timeout": aiohttp.ClientTimeout(total=None),
        "cookie_jar": aiohttp.DummyCookieJar(),
        "headers": {"User-Agent": "core-chat"},
    }
    if proxy is None:
        return aiohttp.ClientSession(connector=EnvironmentConnector(limit=0), **settings)
    if urlsplit(proxy).scheme in ("http", "https"):
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), proxy=proxy, **settings)
    return aiohttp.ClientSession(connector=_socks_connector(proxy), **settings)


def _socks_connector(proxy: str) -> aiohttp.BaseConnector:
    from aiohttp_socks import ProxyConnector, ProxyType

    parts = urlsplit(proxy)
    version4 = parts.scheme.startswith("socks4")
    return ProxyConnector(
        host=parts.hostname or "",
        port=parts.port or _SOCKS_PORT,
        proxy_type=ProxyType.SOCKS4 if version4 else ProxyType.SOCKS5,
        username=unquote(parts.username or "") or None,
        password=unquote(parts.password or "") or None,
        rdns=None if version4 else True,
        limit=0,
    )


def proxy_for(session: aiohttp.ClientSession, url: URL) -> str | None:
    """Return the proxy that the environment names for a URL, for a session of our own; loopback has none.

    Raises:
        InvalidRequestError: The environment names something that is no proxy, or a SOCKS proxy, which has to be passed
            as `proxy=`.
    """
    if not isinstance(session.connector, EnvironmentConnector) or is_loopback(url.host or ""):
        return None
    proxies = getproxies_environment()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass_environment(f"{url.host}:{url.port}", proxies):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy.startswith("socks"):
        raise InvalidRequestError(
            "the proxy variables name a SOCKS proxy; pass it as Registry(proxy=…) and install core-chat[socks], "
            "or set NO_PROXY",
            parameter="proxy",
        )
    return check_proxy(proxy, name=f"{url.scheme}_proxy or all_proxy in the environment")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
