"""Predictions as the API returns them: their state, output, usage, and the error of one that did not succeed."""

import base64
import json
import math
import mimetypes
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from yarl import URL

from core_chat import (
    ContentFilteredError,
    ContextLengthError,
    IncompleteStreamError,
    Media,
    ProtocolError,
    ProviderError,
    UnavailableError,
    Usage,
)
from core_chat.http import redact

FINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
_LOG_LINES = 10
_LONGEST_LOG = 2000
_LONGEST_TEXT = 1000
_FLAGGED = re.compile(r"\bE005\b|sensitive content|flagged|nsfw", re.IGNORECASE)
_TOO_LONG = re.compile(r"context.{0,3}length|context window|prompt.{0,20}too long|too many tokens", re.IGNORECASE)
_COUNT = re.compile(r"^(Input|Output) token count: (\d{1,12})\s*$", re.MULTILINE)
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


@frozen
class Prediction:
    """One prediction object; any of its fields may be missing upstream."""

    id: str
    status: str
    output: Any
    error: str | None
    logs: str
    stream_url: str | None
    metrics: Mapping[str, Any]

    @property
    def final(self) -> bool:
        """Whether it has ended, well or badly."""
        return self.status in FINAL


def read_prediction(data: object) -> Prediction:
    """Return the prediction in an API answer.

    Raises:
        ProtocolError: There is no prediction with an id in it that can be part of a path.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("id"), str) or not _ID.fullmatch(data["id"]):
        raise ProtocolError("Replicate's answer holds no prediction id", got=type(data).__name__)
    urls = data.get("urls")
    stream = urls.get("stream") if isinstance(urls, Mapping) else None
    metrics = data.get("metrics")
    return Prediction(
        id=data["id"],
        status=str(data.get("status") or "starting"),
        output=data.get("output"),
        error=None if data.get("error") is None else str(data["error"]),
        logs=str(data.get("logs") or ""),
        stream_url=stream if isinstance(stream, str) and stream else None,
        metrics=metrics if isinstance(metrics, Mapping) else {},
    )


def output_pieces(prediction: Prediction) -> list[str]:
    """Return the output so far as its pieces; an object gives its `text`, or at the end itself as JSON."""
    output = prediction.output
    if output is None:
        return []
    if isinstance(output, str):
        return [output]
    if isinstance(output, list):
        return [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in output]
    if isinstance(output, Mapping) and isinstance(output.get("text"), str):
        return [output["text"]]
    return [json.dumps(output, ensure_ascii=False)] if prediction.final else []


def usage_of(prediction: Prediction) -> Usage | None:
    """Return the tokens billed, from the metrics or (Gemini models) the log lines that tell them."""
    counts = {kind.lower(): int(count) for kind, count in _COUNT.findall(prediction.logs)}
    asked = _count(prediction.metrics.get("input_token_count"), counts.get("input"))
    answered = _count(prediction.metrics.get("output_token_count"), counts.get("output"))
    return None if asked is None and answered is None else Usage(asked, answered)


def _count(value: object, otherwise: int | None) -> int | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return int(value)
    return otherwise


def failure_of(prediction: Prediction, *, detail: str | None = None, secret: str | None = None) -> ProviderError:
    """Return the error for a prediction that ended without success, the end of its log as a note.

    `detail` is used where the prediction itself says nothing; `secret` is cut out of whatever is said.
    """
    said = redact(prediction.error or detail or "", [secret]).strip()[:_LONGEST_TEXT]
    text = f"prediction {prediction.id} {prediction.status}" + (f": {said}" if said else "")
    kind: type[ProviderError] = UnavailableError
    if prediction.status == "canceled":
        kind = IncompleteStreamError
    elif _FLAGGED.search(said):
        kind = ContentFilteredError
    elif _TOO_LONG.search(said):
        kind = ContextLengthError
    error = kind(text, request_id=prediction.id)
    if log := redact(prediction.logs, [secret]).strip().splitlines()[-_LOG_LINES:]:
        error.add_note("end of the prediction's log:\n" + "\n".join(log)[-_LONGEST_LOG:])
    return error


def as_media(link: str) -> Media:
    """Return a file output: its bytes where it is a data URI, else its URL (upstream keeps it for an hour).

    Raises:
        ProtocolError: It is neither.
    """
    if link.startswith("data:"):
        return _read_data_uri(link)
    try:
        url = URL(link)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ProtocolError("a file of the answer is no URL", got="a text that is no URL")
    return Media(url=link, media_type=mimetypes.guess_type(url.path)[0])


def _read_data_uri(uri: str) -> Media:
    head, comma, payload = uri.removeprefix("data:").partition(",")
    media_type, _, encoding = head.partition(";")
    if not comma:
        raise _broken_uri()
    if not encoding.endswith("base64"):
        return Media(data=urllib.parse.unquote_to_bytes(payload), media_type=media_type or None)
    try:
        return Media(data=base64.b64decode(payload, validate=True), media_type=media_type or None)
    except ValueError as error:
        raise _broken_uri() from error


def _broken_uri() -> ProtocolError:
    return ProtocolError("a file of the answer is a broken data URI", got="a broken data URI")
