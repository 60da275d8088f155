"""One request for a picture, followed to its end: the answer, the job behind it, the files it names."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from core_chat.errors import ProtocolError, ProviderError, RateLimitError, TimedOutError, UnavailableError
from core_chat.http import Client
from core_huggingface._download import LARGEST, download
from core_huggingface._image_answers import (
    DONE,
    Later,
    check_failed,
    later_in,
    no_pictures,
    picture,
    pictures_in,
    status_in,
)
from core_huggingface._image_requests import Order

if TYPE_CHECKING:
    from aiohttp import ClientResponse

_LARGEST_ANSWER = 2 * LARGEST
_LONGEST_JOB = 900.0
_BAD_MOMENTS = 3


@frozen
class Made:
    """The pictures, each with its media type, and the upstream's id of the request."""

    pictures: tuple[tuple[bytes, str], ...]
    upstream_id: str | None


@define(eq=False)
class Job:
    """Has a picture made at one place; `base` is the URL that the place's paths are below."""

    client: Client
    base: str
    _bad_moments: int = field(init=False, default=0)

    async def make(self, order: Order, *, headers: Mapping[str, str]) -> Made:
        """Send the request and return what it brought.

        Raises:
            ProviderError: There is no picture in the end; retryable only where nothing was made.
        """
        # The answer begins when the picture is there, so the wait for it is the one for the first event.
        patient = evolve(self.client, timeouts=evolve(self.client.timeouts, headers=None))
        sent = {**order.headers, **headers}
        async with patient.send("POST", f"{self.base}/{order.path}", json=order.body, headers=sent) as response:
            body = await patient.body(response, limit=_LARGEST_ANSWER)
            upstream_id = response.headers.get("x-request-id")
            if not body.lstrip().startswith((b"{", b"[")):
                return Made((_plain_picture(body, patient, response),), upstream_id)
            answer = patient.parse(body, response)
        try:
            found = await self._follow(answer)
            return Made(tuple([picture(await self._bytes(item)) for item in found]), upstream_id)
        except ProviderError as error:
            error.retryable = False
            raise

    async def _bytes(self, item: bytes | str) -> bytes:
        return item if isinstance(item, bytes) else await download(self.client, item)

    async def _follow(self, answer: Any) -> list[bytes | str]:
        """Return the pictures in an answer, or in what its job has in the end."""
        later: Later | None = None
        began = self.client.clock.time()
        while not (found := pictures_in(answer)):
            check_failed(answer)
            later = later_in(answer, base=self.base) or later
            if later is None or (status_in(answer) in DONE and later.result == later.status):
                raise no_pictures(answer)
            if self.client.clock.time() - began > _LONGEST_JOB:
                raise TimedOutError(f"the picture was not done after {_LONGEST_JOB:g} s", timeout="total")
            answer = await self._next(answer, later)
        return found

    async def _next(self, answer: Any, later: Later) -> Any:
        """Ask for the result of a job that is done, else wait and ask how far it is."""
        if status_in(answer) in DONE:
            result = await self._get(later.result)
            if not pictures_in(result):
                check_failed(result)
                raise no_pictures(result)
            return result
        await self.client.clock.sleep(later.seconds)
        try:
            return await self._get(later.status)
        except (UnavailableError, RateLimitError, TimedOutError):
            self._bad_moments += 1
            if self._bad_moments > _BAD_MOMENTS:
                raise
            return answer

    async def _get(self, url: str) -> Any:
        async with self.client.send("GET", url) as response:
            return self.client.parse(await self.client.body(response, limit=_LARGEST_ANSWER), response)


def _plain_picture(body: bytes, client: Client, response: "ClientResponse") -> tuple[bytes, str]:
    try:
        return picture(body)
    except ProtocolError as error:
        raise client.unexpected(body, response) from error
