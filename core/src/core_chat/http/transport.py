"""From what goes wrong with a connection to the error that says what it means."""

import os
from collections.abc import Callable
from typing import Any

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from core_chat.errors import IncompleteStreamError, ProtocolError, ProviderError, TimedOutError, UnavailableError


def transport_error(error: BaseException, *, host: str = "the upstream") -> ProviderError:
    """Return the error for a connection that failed; credentials are taken out of aiohttp's own error."""
    _forget_secrets(error)
    for kinds, name in _NAMES:
        if isinstance(error, kinds):
            return name(error, host)
    if is_socks_error(error):
        return UnavailableError(f"the SOCKS proxy made no connection to {host}", retryable=True)
    return UnavailableError(f"{host} closed the connection before it answered")


def _not_connected(error: aiohttp.ClientConnectorError, host: str) -> ProviderError:
    what = "the proxy" if isinstance(error, aiohttp.ClientProxyConnectionError) else host
    number = error.os_error.errno or 0
    why = os.strerror(number) if number > 0 else error.os_error.strerror
    return UnavailableError(f"cannot connect to {what}: {why or 'no answer'}", retryable=True)


# The first that fits counts: a class stands before its bases.
_NAMES: tuple[
    tuple[type[BaseException] | tuple[type[BaseException], ...], Callable[[Any, str], ProviderError]], ...
] = (
    (TimeoutError, lambda _, host: TimedOutError(f"{host} took too long")),
    (
        (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError),
        lambda _, host: ProtocolError(f"{host} is no place to send a request to", got="an invalid URL"),
    ),
    (
        (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError),
        lambda _, host: UnavailableError(
            f"no trusted TLS connection to {host}: check base_url, the proxy and the clock"
        ),
    ),
    (aiohttp.ClientConnectorError, _not_connected),
    (
        aiohttp.ClientHttpProxyError,
        lambda error, host: UnavailableError(f"the proxy refused the connection to {host} (status {error.status})"),
    ),
    (aiohttp.TooManyRedirects, lambda _, host: ProtocolError(f"{host} redirects without end", got="a redirect")),
    (aiohttp.ClientResponseError, lambda _, host: ProtocolError(f"{host} did not answer in HTTP", got="broken HTTP")),
    (
        aiohttp.ClientPayloadError,
        lambda _, _host: IncompleteStreamError("the connection broke in the middle of the answer"),
    ),
)


def is_socks_error(error: BaseException) -> bool:
    """Whether an error is that of the SOCKS library, which is optional."""
    return type(error).__module__.partition(".")[0] in ("python_socks", "aiohttp_socks")


def _forget_secrets(error: BaseException) -> None:
    """Take the request's headers and the proxy's credentials out of an error, whose text or repr would show them."""
    if isinstance(error, aiohttp.ClientResponseError):
        info = error.request_info
        if info is not None:  # pragma: no branch - aiohttp types it so, and its own tests leave it out
            error.request_info = info._replace(
                url=info.url.with_user(None),
                real_url=info.real_url.with_user(None),
                headers=CIMultiDictProxy(CIMultiDict()),
            )
        error.history = ()
        error.args = (error.request_info, ())
    elif isinstance(error, aiohttp.ClientConnectorError):
        key = error._conn_key  # noqa: SLF001 - it has no public name, and the error's repr shows it
        proxy = None if key.proxy is None else key.proxy.with_user(None)
        error._conn_key = key._replace(proxy=proxy, proxy_auth=None)  # noqa: SLF001 - as above
        error.args = (error._conn_key, error.os_error)  # noqa: SLF001 - as above


async def read_chunk(response: aiohttp.ClientResponse) -> bytes:
    """Return the next piece of a body, empty at its end.

    Raises:
        IncompleteStreamError: The connection broke before the end.
    """
    try:
        return await response.content.readany()
    except (aiohttp.ClientError, OSError) as error:
        if left := _left_behind(response.content):
            return left
        _forget_secrets(error)
        raise IncompleteStreamError("the connection broke in the middle of the answer") from error


def _left_behind(body: aiohttp.StreamReader) -> bytes:
    """Return what came before the connection broke and nobody has read yet; aiohttp raises first and keeps it."""
    broken = body.exception()
    if broken is None:
        return b""
    body.set_exception(None)  # type: ignore[arg-type]  # it is the one public way to read on
    try:
        return body.read_nowait()
    finally:
        body.set_exception(broken)
