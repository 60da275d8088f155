"""Following a prediction to its end: over its event stream, reconnecting where it breaks, or by polling."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from attrs import define, evolve, field

from core_chat import (
    Clock,
    IncompleteStreamError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    TimedOutError,
    UnavailableError,
)
from core_chat.http import read_chunk
from core_replicate._api import Api
from core_replicate._predictions import Prediction, failure_of, output_pieces
from core_replicate._transcript import Transcript

_TRIES = 5
_FIRST_WAIT = 0.5
_PASSING = (RateLimitError, UnavailableError, TimedOutError, IncompleteStreamError)
_HEADERS = {"Accept": "text/event-stream", "Cache-Control": "no-store"}


@define(eq=False)
class Follower:
    """Yields the pieces of one prediction's output, each once, whatever happens to the connection.

    `prediction` is the newest state known. With `streams=False` the output is polled for even where there is a stream.
    """

    api: Api
    prediction: Prediction
    clock: Clock
    poll_interval: float
    streams: bool = True
    _transcript: Transcript = field(factory=Transcript, init=False)

    @property
    def ended(self) -> bool:
        """Whether the prediction is over, so that there is nothing left to cancel."""
        return self._transcript.has_ended() or self.prediction.final

    def pieces(self) -> AsyncGenerator[str, None]:
        """Yield the output as it grows, until the prediction has succeeded.

        Raises:
            ProviderError: It failed, was canceled or aborted, or can no longer be followed.
        """
        url = self.prediction.stream_url if self.streams else None
        return self._poll() if url is None else self._stream(url)

    async def _stream(self, url: str) -> AsyncGenerator[str, None]:
        """Read the event stream, again where it breaks; what it does not give, the prediction itself may."""
        transcript = self._transcript
        failed = 0
        while not transcript.has_ended() and failed < _TRIES and not self.prediction.final:
            before = len(transcript.passed)
            try:
                async with self.api.client.send("GET", url, headers=_HEADERS | transcript.connect()) as response:
                    if response.content_type != "text/event-stream":
                        raise ProtocolError("the stream is no event stream", got=response.content_type)
                    while not transcript.has_ended() and (chunk := await read_chunk(response)):
                        for piece in transcript.feed(chunk):
                            yield piece
                    await self.api.client.drain(response)
            except _PASSING:
                pass  # the connection broke: what follows sees to it
            except ProviderError:
                break  # no other try would be answered differently
            failed = 0 if len(transcript.passed) > before else failed + 1
            if failed and not transcript.has_ended() and not await self._look():
                await self.clock.sleep(_FIRST_WAIT * 2 ** (failed - 1))
        if transcript.ending is None:
            async with aclosing(self._poll()) as rest:
                async for piece in rest:
                    yield piece
        else:
            for piece in await self._conclude(transcript.ending.status, transcript.ending.detail):
                yield piece

    async def _conclude(self, status: str, detail: str | None) -> list[str]:
        """Take in the stream's own account of the end, and look at the prediction, which tells more than its stream."""
        if not await self._look() or self.prediction.status == "succeeded":
            self.prediction = evolve(self.prediction, status=status)
        if self.prediction.status != "succeeded":
            raise self._failure(detail)
        if self._transcript.connections == 1:
            return []
        return self._transcript.catch_up(output_pieces(self.prediction))

    async def _look(self) -> bool:
        """Look at the prediction and say whether it is over; a look that fails changes nothing."""
        try:
            self.prediction = await self.api.prediction(self.prediction.id)
        except ProviderError:
            return False
        return self.prediction.final

    async def _poll(self) -> AsyncGenerator[str, None]:
        while True:
            for piece in self._transcript.catch_up(output_pieces(self.prediction)):
                yield piece
            if self.prediction.final:
                break
            self.prediction = await self._next_state()
        if self.prediction.status != "succeeded":
            raise self._failure()

    def _failure(self, detail: str | None = None) -> ProviderError:
        return failure_of(self.prediction, detail=detail, secret=self.api.client.token)

    async def _next_state(self) -> Prediction:
        """Return the prediction a moment later; troubles that pass are waited out, for the prediction goes on."""
        wait = self.poll_interval
        for failed in range(_TRIES):
            await self.clock.sleep(wait)
            try:
                return await self.api.prediction(self.prediction.id)
            except _PASSING as error:
                wait = max(error.retry_after or 0.0, _FIRST_WAIT * 2**failed)
        await self.clock.sleep(wait)
        return await self.api.prediction(self.prediction.id)
