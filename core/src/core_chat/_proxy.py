"""Checks of a registry's `proxy=` that need no aiohttp."""

from importlib.util import find_spec
from urllib.parse import urlsplit

from core_chat.errors import InvalidRequestError

_SCHEMES = ("http", "https", "socks5", "socks5h", "socks4")


def check_proxy(proxy: str | None, *, name: str = "proxy") -> str | None:
    """Return a proxy URL that can be used; the error shows no credentials.

    Raises:
        InvalidRequestError: It is no URL of a known scheme with a host, or the extra for SOCKS is not installed.
    """
    if proxy is None:
        return None
    try:
        parts = urlsplit(proxy)
        good = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
        good = good and not (parts.path.strip("/") or parts.query or parts.fragment)
        good = good and all(character.isprintable() and character != " " for character in proxy)
    except (ValueError, AttributeError, TypeError):
        good = False
    if not good:
        raise InvalidRequestError(
            f"{name} must be a URL like http://host:3128 or socks5://host:1080", parameter="proxy"
        ) from None
    if parts.scheme.startswith("socks") and find_spec("aiohttp_socks") is None:
        raise InvalidRequestError("a SOCKS proxy needs: pip install 'core-chat[socks]'", parameter="proxy")
    return proxy
