"""The text-generation wire of TGI and of the older pipelines, without I/O: streams, whole bodies, errors in both."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from core_chat.errors import IncompleteStreamError, ProtocolError, ProviderError, UnavailableError
from core_chat.events import Event, Finish, FinishReason, Route, TextDelta, Usage
from core_chat.http import Failure, redact
from core_chat.openai import ChatDecoder, Refine, stream_error

_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "stop": "stop",
}
_BROKEN_OFF = ("generation", "incomplete_generation")
_QUOTED = 200


class _Token(Struct):
    text: str = ""
    special: bool = False


class _Details(Struct):
    finish_reason: str | None = None
    generated_tokens: int | None = None
    input_length: int | None = None


class _Piece(Struct):
    """One event of a stream, or a whole answer; everything else in them is skipped without being built."""

    token: _Token | None = None
    generated_text: str | None = None
    details: _Details | None = None
    error: Any = None


_read = msgspec.json.Decoder(_Piece).decode


def refine(failure: Failure) -> ProviderError | None:
    """Tell a generation that broke off from a request that was refused: both come with a status below 500."""
    return failure.error(UnavailableError) if failure.code in _BROKEN_OFF else None


class TextDecoder:
    """Decodes one answer: `feed` it the data of every event or `read_body` the whole of it, then drain `end`.

    Args:
        route: Told before the first piece.
        prompt: Cut off where the answer repeats it, for a server that was not told to leave it out.
        secrets: Credentials to cut out of what errors quote.
        refine: Gives a more exact error for a failure than the default, or None.

    Attributes:
        done: Whether the end of the answer has come; nothing counts after it.
    """

    __slots__ = ("_details", "_prompt", "_refine", "_route", "_secrets", "done")

    def __init__(
        self,
        *,
        route: Route | None = None,
        prompt: str = "",
        secrets: tuple[str, ...] = (),
        refine: Refine = refine,
    ) -> None:
        self._route = route
        self._prompt = prompt
        self._secrets = secrets
        self._refine = refine
        self._details: _Details | None = None
        self.done = False

    def feed(self, data: bytes, event: str = "message") -> list[Event]:
        """Return the events of one piece of a stream: its token's text, unless the token is a special one.

        Raises:
            ProviderError: The upstream reports an error.
            ProtocolError: This is no piece of an answer.
        """
        if self.done:
            return []
        piece = self._piece(data, event=event)
        if piece.details is not None:
            self._details = piece.details
        self.done = piece.generated_text is not None or bool(piece.details and piece.details.finish_reason)
        token = piece.token
        if token is None and not self.done:
            raise self._odd(data)
        return self._told(token.text if token is not None and not token.special else "")

    @property
    def finished(self) -> bool:
        """The same as `done`: nothing follows the end on this wire."""
        return self.done

    def _told(self, text: str) -> list[Event]:
        events: list[Event] = [TextDelta(text)] if text else []
        if self._route is not None:
            events.insert(0, self._route)
            self._route = None
        return events

    def read_body(self, body: bytes) -> list[Event]:
        """Return the events of an answer that is no stream: an object, or a list that holds one.

        Raises:
            ProviderError: The body reports an error.
            ProtocolError: The body is something else, or holds several answers.
        """
        piece = self._piece(self._unwrapped(body))
        if piece.generated_text is None:
            raise self._odd(body)
        self._details, self.done = piece.details, True
        return self._told(piece.generated_text.removeprefix(self._prompt))

    def end(self) -> Iterator[Event]:
        """Yield the usage, where it was told, and the `Finish`.

        The reason is the one in the answer's details; an answer that came to its end and tells none has stopped.

        Raises:
            IncompleteStreamError: The end of the answer did not come.
        """
        if not self.done:
            raise IncompleteStreamError("the answer broke off: its end did not come")
        details = self._details or _Details()
        if details.generated_tokens is not None:
            yield Usage(details.input_length, details.generated_tokens)
        raw = details.finish_reason
        yield Finish(_REASONS.get(raw, "other") if raw else "stop", raw=raw)

    def _piece(self, data: bytes, *, event: str = "message") -> _Piece:
        try:
            piece = _read(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if event == "error" or b'"error"' in data:
                raise self._error(data) from error
            raise self._odd(data) from error
        if piece.error or event == "error":
            raise self._error(data)
        return piece

    def _unwrapped(self, body: bytes) -> bytes:
        """Return the one object in a body of nested lists."""
        try:
            value = json.loads(body)
        except ValueError as error:
            raise self._odd(body) from error
        while isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, list) and value:
            raise ProtocolError(f"the upstream sent {len(value)} answers; one was asked for", got="several answers")
        return msgspec.json.encode(value)

    def _error(self, data: bytes) -> ProviderError:
        return stream_error(data, secrets=self._secrets, refine=self._refine)

    def _odd(self, data: bytes) -> ProtocolError:
        text = redact(data.decode("utf-8", "replace"), self._secrets)
        return ProtocolError("the upstream sent something that is no piece of a generated text", got=text[:_QUOTED])


Decoder: TypeAlias = TextDecoder | ChatDecoder


def decoder_for(
    data: bytes,
    *,
    route: Route | None = None,
    prompt: str = "",
    secrets: tuple[str, ...] = (),
    refine: Refine = refine,
) -> Decoder:
    """Return the decoder that the first piece of an answer, or its whole body, calls for: completions have choices."""
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if isinstance(value, Mapping) and "choices" in value:
        return ChatDecoder(route=route, secrets=secrets, refine=refine)
    return TextDecoder(route=route, prompt=prompt, secrets=secrets, refine=refine)
