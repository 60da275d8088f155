"""The parts of an answer that are read; what is not named here is skipped without being built."""

import json
from typing import Any

import msgspec
from msgspec import Struct

from core_chat.events import Usage


class Delta(Struct):
    """A piece of an answer, or (`message`) a whole one; reasoning goes by three names."""

    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    reasoning_text: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None


class Choice(Struct):
    """One of the answers asked for; `text` is what the completions endpoint has instead of a delta."""

    delta: Delta | None = None
    message: Delta | None = None
    text: Any = None
    finish_reason: Any = None
    index: Any = 0
    usage: Any = None


class VendorExtra(Struct):
    """Where some servers put the usage of a stream."""

    usage: Any = None


class Chunk(Struct):
    """One event of a stream, or the body of an answer that is none."""

    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    id: Any = None
    x_groq: VendorExtra | None = None


class Details(Struct):
    """What the token counts hold."""

    reasoning_tokens: int | None = None
    cached_tokens: int | None = None


class Counts(Struct):
    """The upstream's token counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None


_decode_chunk = msgspec.json.Decoder(Chunk).decode
_no_details = Details()


def read_chunk(data: bytes) -> Chunk:
    """Return one event's data.

    Raises:
        ValueError: It is no JSON (a `msgspec.ValidationError`: not of this shape).
    """
    try:
        return _decode_chunk(data)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_chunk(_repaired(data))


def read_usage(value: Any) -> Usage | None:
    """Return token counts, or None where they are not of the usual shape."""
    try:
        counts = msgspec.convert(value, Counts, strict=False)
    except msgspec.ValidationError:
        return None
    read = counts.prompt_tokens_details or _no_details
    written = counts.completion_tokens_details or _no_details
    usage = Usage(counts.prompt_tokens, counts.completion_tokens, written.reasoning_tokens, read.cached_tokens)
    return None if usage == Usage() else usage


def _repaired(data: bytes) -> bytes:
    """Return strict JSON for what Python's own encoder may send: NaN, halves of a surrogate pair, broken UTF-8."""
    value = json.loads(data.decode("utf-8", "replace"), parse_constant=lambda _name: None)
    text = json.dumps(value, ensure_ascii=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
