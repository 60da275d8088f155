"""The request helper every plugin sends through: timeouts, proxies, credentials and errors, handled once."""

import json as jsonlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import aiohttp
from attrs import field, frozen
from yarl import URL

from core_chat._deadline import Deadline
from core_chat.clock import SYSTEM_CLOCK, Clock
from core_chat.errors import (
    IncompleteStreamError,
    InvalidRequestError,
    MissingCredentialError,
    ProtocolError,
    ProviderError,
    TimedOutError,
    UnavailableError,
)
from core_chat.http.failures import Failure
from core_chat.http.lines import LIMIT, LineSplitter
from core_chat.http.session import proxy_for
from core_chat.http.sse import ServerSentEvent, SSEDecoder
from core_chat.models import About
from core_chat.requests import ChatRequest, ModelQuery, Timeouts, check_secret

Call: TypeAlias = ChatRequest | ModelQuery
_ERROR_BODY = 64 * 1024
_ERROR_BODY_SECONDS = 5.0
_DRAIN_SECONDS = 0.5


def check_base_url(value: Any) -> str:
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
    if url is None or not good or url.user or url.password or any(character.isspace() for character in value):
        raise InvalidRequestError("base_url must be an absolute URL like https://host/path", parameter="base_url")
    return str(value).rstrip("/")


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


@frozen(kw_only=True)
class Client:
    """Sends one call's requests.

    Attributes:
        session: The host's session; it is never closed here.
        base_url: What relative paths are joined to; its origin is the one that gets the token.
        token: Sent as a bearer token.
        vendor_hosts: Domains, with their subdomains, that get the token too, over https; leave it empty when `base_url`
            is not the vendor's own.
        timeouts: `connect` and `headers` are applied here; the rest belongs to the stream.
        refine: Gives a more exact error for a failure than the default, or None.
    """

    session: aiohttp.ClientSession
    base_url: str = field(converter=check_base_url)
    token: str | None = field(default=None, repr=False)
    vendor_hosts: tuple[str, ...] = ()
    timeouts: Timeouts = field(factory=Timeouts)
    clock: Clock = SYSTEM_CLOCK
    refine: Callable[[Failure], ProviderError | None] = lambda _failure: None

    def url(self, path_or_url: str) -> URL:
        """Return an absolute URL: a path is joined to `base_url`, a URL stays as it is."""
        if path_or_url.startswith(("http://", "https://")):
            return URL(path_or_url)
        return URL(f"{self.base_url}/{path_or_url.removeprefix('/')}")

    def trusts(self, url: URL) -> bool:
        """Whether the token may go to this URL."""
        if url.origin() == URL(self.base_url).origin():
            return True
        host = url.host or ""
        return url.scheme == "https" and any(host == name or host.endswith(f".{name}") for name in self.vendor_hosts)

    @asynccontextmanager
    async def send(
        self,
        method: str,
        path_or_url: str,
        *,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        follow: bool | None = None,
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """Send a request and yield the answer once its headers are there; leaving the block lets the connection go.

        Args:
            method: Such as "POST".
            path_or_url: Joined to `base_url` unless absolute.
            json: A body to send as JSON, in the order given.
            data: Any other body aiohttp takes.
            headers: Sent verbatim, after the helper's own.
            follow: Whether redirects are followed (the token stays behind); by default only for GET.

        Raises:
            InvalidRequestError: The URL or body cannot be sent.
            ProviderError: The connection failed, took too long, or the status is an error or a redirect.
        """
        url = self.url(path_or_url)
        sent = {"Authorization": f"Bearer {self.token}"} if self.token and self.trusts(url) else {}
        if json is not None:
            data = _encode(json)
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        response = await self._open(
            method, url, data=data, headers=sent, allow_redirects=method == "GET" if follow is None else follow
        )
        try:
            if response.status >= 300:  # noqa: PLR2004 - the status codes of RFC 9110 need no names
                raise await self._failure(response)
            yield response
        finally:
            response.release()

    async def _open(self, method: str, url: URL, **sent: Any) -> aiohttp.ClientResponse:
        deadline = Deadline(self.clock)
        timeout = aiohttp.ClientTimeout(total=None, connect=self.timeouts.connect)
        try:
            with deadline.running(self.timeouts.headers):
                return await self.session.request(
                    method, url, timeout=timeout, proxy=proxy_for(self.session, url), **sent
                )
        except aiohttp.ConnectionTimeoutError as error:
            text = f"no connection to {url.host} within {self.timeouts.connect:g} s"
            raise TimedOutError(text, timeout="connect", retryable=True) from error
        except TimeoutError as error:
            raise TimedOutError(
                f"{url.host} sent no answer within {self.timeouts.headers or 0:g} s", timeout="headers"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise transport_error(error, host=url.host or "") from error
        finally:
            deadline.close()

    async def _failure(self, response: aiohttp.ClientResponse) -> ProviderError:
        if response.status < 400:  # noqa: PLR2004 - the status codes of RFC 9110 need no names
            target = URL(response.headers.get("Location", "")).host or "another path"
            return ProtocolError(f"the upstream redirects to {target}", got="a redirect", status=response.status)
        failure = await self.read_failure(response)
        return self.refine(failure) or failure.default_error()

    async def read_failure(self, response: aiohttp.ClientResponse, body: bytes | None = None) -> Failure:
        """Return a failed answer, its body read for a moment and up to 64 KiB at most."""
        if body is None:
            body = await self._some_body(response)
        return Failure(
            response.status,
            headers=response.headers,
            body=body,
            reason=response.reason or "",
            secrets=(self.token,) if self.token else (),
            clock=self.clock,
        )

    async def _some_body(self, response: aiohttp.ClientResponse) -> bytes:
        body = b""
        deadline = Deadline(self.clock)
        try:
            with deadline.running(_ERROR_BODY_SECONDS):
                while len(body) < _ERROR_BODY and (chunk := await response.content.readany()):
                    body += chunk
        except (TimeoutError, aiohttp.ClientError, OSError):
            pass  # the status alone has to do
        finally:
            deadline.close()
        return body

    async def json(self, method: str, path_or_url: str, **sent: Any) -> Any:
        """Send a request as `send` does and return the whole answer, read as JSON.

        Raises:
            ProtocolError: The answer is no JSON.
        """
        async with self.send(method, path_or_url, **sent) as response:
            body = await self.body(response)
            return self.parse(body, response)

    def parse(self, body: bytes, response: aiohttp.ClientResponse) -> Any:
        """Return a body read as JSON.

        Raises:
            ProtocolError: It is none.
        """
        try:
            return jsonlib.loads(body)
        except ValueError as error:
            raise self.unexpected(body, response) from error

    def unexpected(self, body: bytes, response: aiohttp.ClientResponse) -> ProtocolError:
        """Return the error for an answer that is not the upstream's protocol."""
        kind = response.headers.get("Content-Type", "no content type")
        got = f"{kind}, {len(body)} bytes"
        words = Failure(response.status, body=body, secrets=(self.token,) if self.token else ()).text
        return ProtocolError(f"the upstream answered something unexpected: {words}", got=got, status=response.status)

    async def body(self, response: aiohttp.ClientResponse, *, limit: int = LIMIT) -> bytes:
        """Return a whole body of at most `limit` bytes.

        Raises:
            ProtocolError: It is longer.
            ProviderError: It broke off, or nothing came for `timeouts.idle` seconds.
        """
        parts: list[bytes] = []
        size = 0
        deadline = Deadline(self.clock)
        try:
            while True:
                with deadline.running(self.timeouts.idle):
                    chunk = await read_chunk(response)
                if not chunk:
                    return b"".join(parts)
                size += len(chunk)
                if size > limit:
                    raise ProtocolError(f"the answer is longer than {limit} bytes", got="an overlong answer")
                parts.append(chunk)
        except TimeoutError as error:
            raise TimedOutError("the answer stopped in the middle", timeout="idle") from error
        finally:
            deadline.close()

    async def drain(self, response: aiohttp.ClientResponse) -> None:
        """Read what follows the terminal event, for a moment at most, so that the connection is reused."""
        deadline = Deadline(self.clock)
        try:
            with deadline.running(_DRAIN_SECONDS):
                while await response.content.readany():
                    pass
        except (TimeoutError, aiohttp.ClientError, OSError):
            response.close()
        finally:
            deadline.close()


def client_for(session: aiohttp.ClientSession, call: Call, **settings: Any) -> Client:
    """Return a client with a call's timeouts and clock; the settings are those of `Client`."""
    return Client(session=session, timeouts=call.timeouts, clock=call.clock, **settings)


def _encode(value: Any) -> bytes:
    try:
        return jsonlib.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"the request cannot be written as JSON: {error}") from error


def transport_error(error: Exception, *, host: str = "the upstream") -> ProviderError:
    """Return the error for a connection that failed before an answer came."""
    if isinstance(error, aiohttp.InvalidURL):
        return ProtocolError(f"{host} is no place to send a request to", got="an invalid URL")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return UnavailableError(f"no trusted TLS connection to {host}: check base_url, the proxy and the clock")
    if isinstance(error, aiohttp.ClientConnectorError):
        what = "the proxy" if isinstance(error, aiohttp.ClientProxyConnectionError) else host
        return UnavailableError(f"cannot connect to {what}: {error.os_error.strerror or 'no answer'}", retryable=True)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return UnavailableError(f"the proxy refused the connection to {host} (status {error.status})")
    if isinstance(error, aiohttp.ClientResponseError):
        return ProtocolError(f"{host} did not answer in HTTP", got="broken HTTP")
    return UnavailableError(f"{host} closed the connection before it answered")


async def read_chunk(response: aiohttp.ClientResponse) -> bytes:
    """Return the next piece of a body, empty at its end.

    Raises:
        IncompleteStreamError: The connection broke before the end.
    """
    try:
        return await response.content.readany()
    except (aiohttp.ClientError, OSError) as error:
        raise IncompleteStreamError("the connection broke in the middle of the answer") from error


async def sse_events(
    response: aiohttp.ClientResponse, *, decoder: SSEDecoder | None = None
) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield the server-sent events of an answer; use it under `aclosing`.

    Raises:
        IncompleteStreamError: The connection broke before the end.
        ProtocolError: A line or an event is too long.
    """
    decoder = decoder or SSEDecoder()
    while chunk := await read_chunk(response):
        for event in decoder.feed(chunk):
            yield event


async def json_lines(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    r"""Yield the lines of an answer that are not blank, cut at `\n` only; the last one needs no line end.

    Raises:
        IncompleteStreamError: The connection broke before the end; the whole lines before it have been yielded.
        ProtocolError: A line is too long.
    """
    splitter = LineSplitter(ends="lf")
    while chunk := await read_chunk(response):
        for line in splitter.feed(chunk):
            if line.strip():
                yield line
    if (rest := splitter.close()).strip():
        yield rest
