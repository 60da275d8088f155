"""The request helper every plugin sends through: timeouts, proxies, credentials and errors, handled once."""

import json as jsonlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from attrs import field, frozen
from multidict import CIMultiDict
from yarl import URL

from core_chat._deadline import Deadline
from core_chat.checks import check_headers
from core_chat.clock import SYSTEM_CLOCK, Clock
from core_chat.errors import (
    InvalidRequestError,
    ProtocolError,
    ProviderError,
    RegistryClosedError,
    TimedOutError,
)
from core_chat.http.credentials import Call, check_base_url, is_trusted
from core_chat.http.failures import Failure
from core_chat.http.lines import LIMIT
from core_chat.http.session import proxy_for
from core_chat.http.transport import is_socks_error, read_chunk, transport_error
from core_chat.requests import Timeouts

_ERROR_BODY = 64 * 1024
_ERROR_BODY_SECONDS = 5.0
_DRAIN_SECONDS = 0.5


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
        """Return an absolute URL: a path is joined to `base_url`, a URL stays as it is.

        Raises:
            ProtocolError: It is no URL a request can be sent to.
        """
        absolute = path_or_url.startswith(("http://", "https://"))
        try:
            url = URL(path_or_url if absolute else f"{self.base_url}/{path_or_url.removeprefix('/')}")
            url.origin()
        except ValueError as error:
            raise ProtocolError("the upstream named a place that is no URL", got="an invalid URL") from error
        return url

    def trusts(self, url: URL) -> bool:
        """Whether the token may go to this URL."""
        return is_trusted(url, base_url=self.base_url, vendor_hosts=self.vendor_hosts)

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
            headers: Sent verbatim, in the place of the helper's own of the same name.
            follow: Whether redirects are followed (the token stays behind); by default only for GET.

        Raises:
            InvalidRequestError: The URL or body cannot be sent.
            ProviderError: The connection failed, took too long, or the status is an error or a redirect.
        """
        url = self.url(path_or_url)
        sent: CIMultiDict[str] = CIMultiDict()
        if self.token and self.trusts(url):
            sent["Authorization"] = f"Bearer {self.token}"
        if json is not None:
            data = _encode(json)
            sent["Content-Type"] = "application/json"
        sent.update(check_headers(headers or {}))
        redirects = method == "GET" if follow is None else follow
        response = await self._open(method, url, data=data, headers=sent, allow_redirects=redirects)
        try:
            if response.status >= 300:  # noqa: PLR2004 - the status codes of RFC 9110 need no names
                raise await self._failure(response)
            yield response
        finally:
            # A body read to its end leaves a connection that can be used again; any other is cut off at once.
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    async def _open(self, method: str, url: URL, **sent: Any) -> aiohttp.ClientResponse:
        if self.session.closed:
            raise RegistryClosedError("the session is closed")
        proxy = proxy_for(self.session, url)
        deadline = Deadline(self.clock)
        timeout = aiohttp.ClientTimeout(total=None, connect=self.timeouts.connect)
        host = url.host or ""
        try:
            with deadline.running(self.timeouts.headers):
                return await self.session.request(method, url, timeout=timeout, proxy=proxy, **sent)
        except aiohttp.ConnectionTimeoutError as error:
            text = f"no connection to {host} within {self.timeouts.connect:g} s"
            raise TimedOutError(text, timeout="connect", retryable=True) from error
        except TimeoutError as error:
            text = f"{host} sent no answer within {self.timeouts.headers or 0:g} s"
            raise TimedOutError(text, timeout="headers") from error
        except (aiohttp.ClientError, OSError) as error:
            raise transport_error(error, host=host) from error
        except ValueError as error:
            raise InvalidRequestError(f"the request to {host} cannot be sent: its headers or its body") from error
        except Exception as error:
            if is_socks_error(error):
                raise transport_error(error, host=host) from error
            raise
        finally:
            deadline.close()

    async def _failure(self, response: aiohttp.ClientResponse) -> ProviderError:
        if response.status < 400:  # noqa: PLR2004 - the status codes of RFC 9110 need no names
            return ProtocolError(
                f"the upstream redirects to {_host_of(response)}", got="a redirect", status=response.status
            )
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
        except (ValueError, RecursionError) as error:
            why = ValueError(str(error))  # the error itself holds the whole body, and who knows what is in there
        raise self.unexpected(body, response) from why

    def unexpected(self, body: bytes, response: aiohttp.ClientResponse) -> ProtocolError:
        """Return the error for an answer that is not the upstream's protocol."""
        kind = response.headers.get("Content-Type", "no content type")
        got = f"{kind}, {len(body)} bytes"
        words = Failure(response.status, body=body[:_ERROR_BODY], secrets=(self.token,) if self.token else ()).text
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
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequestError(f"the request cannot be written as JSON: {type(error).__name__}: {error}") from error


def _host_of(response: aiohttp.ClientResponse) -> str:
    try:
        return URL(response.headers.get("Location", "")).host or "another path"
    except ValueError:
        return "a place that is no URL"
