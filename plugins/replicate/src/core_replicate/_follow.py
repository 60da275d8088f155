"""Following a prediction to its end: over its event stream, reconnecting where it breaks, or by polling."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NoReturn

from attrs import define, evolve, field

from core_chat import Clock, IncompleteStreamError, ProtocolError, ProviderError
from core_chat.http import ServerSentEvent, SSEDecoder, sse_events
from core_replicate._api import Api
from core_replicate._predictions import Prediction, failure_of, output_pieces

_RECONNECTS = 5
_FIRST_WAIT = 0.5


@define(eq=False)
class Follower:
    """Yields the pieces of one prediction's output, each character once, whatever happens to the connection.

    `prediction` is the newest state known, `ended` whether the upstream has nothing left to cancel.
    """

    api: Api
    prediction: Prediction
    clock: Clock
    poll_interval: float
    _emitted: list[str] = field(factory=list, init=False)
    _seen: set[str] = field(factory=set, init=False)
    _last_id: str = field(default="", init=False)
    _done: bool = field(default=False, init=False)

    @property
    def ended(self) -> bool:
        """Whether the prediction is over."""
        return self._done or self.prediction.final

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Yield the output as it grows, until the prediction has succeeded.

        Raises:
            ProviderError: It failed, was canceled or aborted, or can no longer be followed.
        """
        url = self.prediction.stream_url
        async with aclosing(self._poll() if url is None else self._stream(url)) as source:
            async for piece in source:
                if piece:
                    self._emitted.append(piece)
                    yield piece

    async def _poll(self) -> AsyncGenerator[str, None]:
        while True:
            for piece in self._rest():
                yield piece
            if self.prediction.final:
                break
            await self.clock.sleep(self.poll_interval)
            self.prediction = await self.api.prediction(self.prediction.id)
        if self.prediction.status != "succeeded":
            raise failure_of(self.prediction)

    def _rest(self) -> list[str]:
        """Return the pieces of the prediction's output that have not been passed on."""
        pieces = output_pieces(self.prediction.output)
        emitted, known = "".join(self._emitted), "".join(pieces)
        if not known.startswith(emitted) and not emitted.startswith(known):
            raise IncompleteStreamError("the stream broke, and the stored output does not continue it")
        skip = len(emitted)
        rest = []
        for piece in pieces:
            rest.append(piece[skip:])
            skip = max(0, skip - len(piece))
        return rest

    async def _stream(self, url: str) -> AsyncGenerator[str, None]:
        """Read the event stream, again where it breaks; when it cannot be read, poll."""
        failed = 0
        while failed <= _RECONNECTS:
            before = len(self._seen), len(self._emitted)
            async with aclosing(self._connection(url)) as connection:
                try:
                    async for piece in connection:
                        yield piece
                except ProviderError:
                    if self._done:
                        raise
            if self._done:
                return
            if before != (len(self._seen), len(self._emitted)):
                failed = 0
                continue
            failed += 1
            if await self.look():
                break
            await self.clock.sleep(_FIRST_WAIT * 2 ** (failed - 1))
        async with aclosing(self._poll()) as rest:
            async for piece in rest:
                yield piece

    async def look(self) -> bool:
        """Look at the prediction itself and say whether it is over; a look that fails changes nothing."""
        try:
            self.prediction = await self.api.last_look(self.prediction.id)
        except ProviderError:
            return False
        return self.prediction.final

    async def _connection(self, url: str) -> AsyncGenerator[str, None]:
        """Read one connection; the stream is replayed from its start to whoever names no last event."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        replayed = 0 if self._last_id else sum(map(len, self._emitted))
        decoder = SSEDecoder(ends="lf")
        async with self.api.client.send("GET", url, headers=headers) as response:
            if response.content_type != "text/event-stream":
                raise ProtocolError("the stream is no event stream", got=response.content_type)
            async with aclosing(sse_events(response, decoder=decoder)) as events:
                async for event in events:
                    if event.event == "output" and event.id not in self._seen:
                        text = event.text
                        yield text[replayed:]
                        replayed = max(0, replayed - len(text))
                    elif event.event in ("error", "done"):
                        await self._end(event)
                        await self.api.client.drain(response)
                        return
                    if event.id:
                        self._seen.add(event.id)
                        self._last_id = event.id

    async def _end(self, event: ServerSentEvent) -> None:
        """Take in the terminal event: `done` with `{}` is success, everything else a failure."""
        self._done = True
        reason = _field(event.text, "reason")
        if event.event == "error":
            await self._fail("failed", _field(event.text, "detail") or event.text)
        elif reason:
            await self._fail("canceled" if reason == "canceled" else "failed", _field(event.text, "output"))

    async def _fail(self, status: str, detail: str | None) -> NoReturn:
        """Raise what the prediction itself says, which is more than its stream tells."""
        known = self.prediction
        if not await self.look():
            self.prediction = evolve(known, status=status)
        raise failure_of(self.prediction, detail=self.prediction.error or detail)


def _field(text: str, name: str) -> str | None:
    """Return a text field of a JSON object, or None where it is neither."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
