"""Which key a call sends, and to where."""

from typing import Any, TypeAlias

from yarl import URL

from core_chat.errors import InvalidRequestError, MissingCredentialError
from core_chat.models import About
from core_chat.requests import ChatRequest, ModelQuery, check_secret

Call: TypeAlias = ChatRequest | ModelQuery


def check_base_url(value: Any, *, name: str = "base_url") -> str:
    """Return a base URL without a slash at its end; an attrs converter for `base_url` fields.

    Raises:
        InvalidRequestError: It is no absolute http(s) URL, or it holds credentials, a query or a fragment.
    """
    try:
        url = URL(value) if isinstance(value, str) else None
    except ValueError:
        url = None
    good = (
        url is not None and url.scheme in ("http", "https") and url.host and not url.query_string and not url.fragment
    )
    if url is None or not good or url.user or url.password or any(not c.isprintable() or c == " " for c in value):
        raise InvalidRequestError(f"{name} must be an absolute URL like https://host/path", parameter=name)
    return str(value).rstrip("/?#")


def credential(call: Call, token: str | None, *, about: About) -> str | None:
    """Return the key for a call: its own `api_key`, else the configured token.

    Raises:
        MissingCredentialError: The provider needs a key and there is none.
        InvalidRequestError: The key cannot be sent in a header.
    """
    key = check_secret(call.api_key) or check_secret(token, "token")
    if key is None and about.needs_key:
        raise MissingCredentialError(variable=about.key_variable, page=about.key_page)
    return key


def is_trusted(url: URL, *, base_url: str, vendor_hosts: tuple[str, ...]) -> bool:
    """Whether a credential may go to a URL: to the origin of `base_url`, and over https to the vendor's domains."""
    home = URL(base_url)
    if (url.scheme, url.host, url.port) == (home.scheme, home.host, home.port):
        return True
    host = url.host or ""
    return url.scheme == "https" and any(host == name or host.endswith(f".{name}") for name in vendor_hosts)
