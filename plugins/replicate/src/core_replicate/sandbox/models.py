"""What a sandbox model is: its card, its schema, and how it behaves."""

import hashlib
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from core_replicate.sandbox.problems import ProblemError
from core_replicate.sandbox.schemas import TEXT_STREAM, Schema

Style: TypeAlias = Literal["tokens", "string", "object", "pictures"]
Ending: TypeAlias = Literal["succeeded", "failed", "canceled", "aborted", "never"]
StreamFault: TypeAlias = Literal["cut", "close", "never-done", "expired", "linger"]

_CREATED = "2025-01-01T00:00:00.000000Z"


@frozen(kw_only=True)
class Delays:
    """Seconds that things take; all but the slow ones take none, so that tests are fast.

    Attributes:
        token: Before each piece of output.
        start: From `starting` to `processing`; `slow_start` for the model of that name.
        slow_create: How long `sandbox/slow-create` holds its reply back.
        idle: After so long without an event a stream is ended with a 408 comment.
        retry_after: What `sandbox/rate-limited` and `sandbox/unavailable` ask for; whole seconds.
    """

    token: float = 0.0
    start: float = 0.0
    slow_start: float = 0.2
    slow_create: float = 0.2
    idle: float = 30.0
    retry_after: int = 1


@frozen(kw_only=True)
class Behaviour:
    """How a model's predictions go; the default is well.

    Attributes:
        refusal: Answers a create instead of making a prediction; `refuses_once` serves the try after it.
        pieces: The output, instead of the canned answer.
        stops_after: So many pieces are given before the prediction ends.
        ends: The status it ends with; "never" goes on until it is cancelled.
        error: The prediction's error text; `plain_error` sends it as it is instead of as JSON.
        streams: Whether there is a `urls.stream`.
        foreign: Whether `urls.stream` names another origin.
        stream_fault: What is wrong with the stream.
        slow_start: Whether `Delays.slow_start` is its start; `slow_create` holds the create reply back.
        finishes_first: Whether the create reply already holds the output.
    """

    refusal: Callable[[Delays], ProblemError] | None = None
    refuses_once: bool = False
    pieces: tuple[str, ...] | None = None
    stops_after: int | None = None
    ends: Ending = "succeeded"
    error: str | None = None
    plain_error: bool = False
    streams: bool = True
    foreign: bool = False
    stream_fault: StreamFault | None = None
    slow_start: bool = False
    slow_create: bool = False
    finishes_first: bool = False


@frozen(kw_only=True)
class Model:
    """One model of the sandbox.

    Attributes:
        schema: The `openapi_schema` of its latest version; None is a model without one (`latest_version: null`).
        official: Official models are run by name and hide their versions; the others are run by version.
        style: What comes out.
        counts_in_logs: Whether token counts are in the logs and not in the metrics.
        thinks: Whether the answer begins with a <think> block.
    """

    owner: str
    name: str
    description: str
    schema: Schema | None
    official: bool = True
    versions: int = 1
    style: Style = "tokens"
    counts_in_logs: bool = False
    thinks: bool = False
    collections: tuple[str, ...] = ("language-models", "streaming-language-models")
    behaviour: Behaviour = field(factory=Behaviour)

    @property
    def id(self) -> str:
        """The name in full, `owner/name`."""
        return f"{self.owner}/{self.name}"

    @property
    def version_ids(self) -> tuple[str, ...]:
        """The ids of the versions, the latest first."""
        if self.schema is None:
            return ()
        return tuple(_version_id(f"{self.id}:{number}") for number in range(self.versions, 0, -1))

    @property
    def streams_text(self) -> bool:
        """Whether the output is a stream of text, which is what `stream: true` asks for."""
        return self.schema is None or self.schema["components"]["schemas"]["Output"] == TEXT_STREAM

    @property
    def properties(self) -> Schema:
        """The inputs by name."""
        found: Schema = {} if self.schema is None else self.schema["components"]["schemas"]["Input"]["properties"]
        return found

    def version_json(self, version: str) -> dict[str, Any]:
        """Return a version as the API shows it."""
        return {"id": version, "created_at": _CREATED, "cog_version": "0.14.4", "openapi_schema": self.schema}

    def as_json(self) -> dict[str, Any]:
        """Return the model as the API shows it."""
        latest = self.version_json(self.version_ids[0]) if self.version_ids else None
        return {
            "url": f"https://replicate.com/{self.id}",
            "owner": self.owner,
            "name": self.name,
            "description": self.description,
            "visibility": "public",
            "is_official": self.official,
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": 0,
            "cover_image_url": None,
            "default_example": None,
            "created_at": _CREATED,
            "latest_version": latest,
        }


def _version_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
