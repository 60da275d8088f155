"""Predictions as the API returns them: their state, output, usage, and the error of one that did not succeed."""

import base64
import binascii
import json
import mimetypes
import re
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

FINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
_LOG_LINES = 10
_FLAGGED = re.compile(r"\bE005\b|sensitive content|flagged|nsfw", re.IGNORECASE)
_TOO_LONG = re.compile(r"context.{0,3}length|context window|prompt.{0,20}too long|too many tokens", re.IGNORECASE)
_COUNT = re.compile(r"^(Input|Output) token count: (\d+)\s*$", re.MULTILINE)


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
        ProtocolError: There is no prediction with an id in it.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("id"), str) or not data["id"]:
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


def output_pieces(output: Any) -> list[str]:
    """Return an output as the pieces it is made of; an object gives its `text`, or itself as JSON."""
    if output is None:
        return []
    if isinstance(output, str):
        return [output]
    if isinstance(output, list):
        return [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in output]
    if isinstance(output, Mapping) and isinstance(output.get("text"), str):
        return [output["text"]]
    return [json.dumps(output, ensure_ascii=False)]


def usage_of(prediction: Prediction) -> Usage | None:
    """Return the tokens billed, from the metrics or (Gemini models) the log lines that tell them."""
    counts = {kind.lower(): int(count) for kind, count in _COUNT.findall(prediction.logs)}
    asked = _count(prediction.metrics.get("input_token_count"), counts.get("input"))
    answered = _count(prediction.metrics.get("output_token_count"), counts.get("output"))
    return None if asked is None and answered is None else Usage(asked, answered)


def _count(value: object, otherwise: int | None) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def failure_of(prediction: Prediction, *, detail: str | None = None) -> ProviderError:
    """Return the error for a prediction that ended without success, its last log lines as a note."""
    said = detail or prediction.error or ""
    text = f"prediction {prediction.id} {prediction.status}" + (f": {said}" if said else "")
    kind: type[ProviderError] = UnavailableError
    if prediction.status == "canceled":
        kind = IncompleteStreamError
    elif _FLAGGED.search(said):
        kind = ContentFilteredError
    elif _TOO_LONG.search(said):
        kind = ContextLengthError
    error = kind(text, request_id=prediction.id)
    if prediction.logs.strip():
        error.add_note("last lines of the prediction's log:\n" + "\n".join(prediction.logs.splitlines()[-_LOG_LINES:]))
    return error


def as_media(link: str) -> Media:
    """Return a file output: its bytes where it is a data URI, else its URL (upstream keeps it for an hour).

    Raises:
        ProtocolError: It is neither.
    """
    if link.startswith("data:"):
        head, _, payload = link.partition(",")
        try:
            data = base64.b64decode(payload, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ProtocolError("a file of the answer is broken base64", got="a broken data URI") from error
        return Media(data=data, media_type=head[5:].partition(";")[0] or None)
    if not link.startswith(("https://", "http://")):
        raise ProtocolError("a file of the answer is no URL", got="a text that is no URL")
    return Media(url=link, media_type=mimetypes.guess_type(URL(link).path)[0])
