"""Replicate keeps the contract: over its event stream, and by polling."""

from typing import Any

from core_chat.testing import ProviderContract, Request, Response
from core_chat.testing.contract import Play
from core_replicate import Replicate

SCHEMAS = {
    "Input": {"properties": {"prompt": {"type": "string"}, "system_prompt": {"type": "string"}}},
    "Output": {"type": "array", "items": {"type": "string"}},
}
MODEL = {
    "owner": "meta",
    "name": "meta-llama-3-70b-instruct",
    "is_official": True,
    "latest_version": {"id": "0" * 64, "openapi_schema": {"components": {"schemas": SCHEMAS}}},
}
PREDICTION = {"id": "abc", "status": "starting", "output": None, "error": None, "logs": ""}
NOT_FOUND = Response.json({"detail": "Not found.", "status": 404}, status=404)


def framed(event: str, data: str, number: int) -> str:
    """Return an event as the upstream's server frames it."""
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {event}\nid: 1760000000:{number}\n{lines}\n"


def created(request: Request) -> Response:
    """Answer a creation with a prediction that streams."""
    return Response.json(PREDICTION | {"urls": {"stream": f"{request.origin}/v1/streams/x"}}, status=201)


def problem(status: int) -> Response:
    """Return an error as the service writes it."""
    body = {"title": "Problem", "detail": f"The scripted upstream answers with status {status}", "status": status}
    return Response.json(body, status=status, headers={"Content-Type": "application/problem+json"})


class TestReplicate(ProviderContract):
    """With a model that streams, whose stream is all there is: the looks at the prediction find nothing."""

    name = "replicate"
    optional_end = 0

    def make(self, base_url: str) -> object:
        """Talk to the scripted upstream."""
        return Replicate(base_url=base_url)

    def answer(self, pieces: list[str]) -> Play:
        """Create a prediction and stream the pieces."""
        events = [framed("output", piece, number) for number, piece in enumerate(["", *pieces, ""])]
        stream = Response.stream(
            [": hi\n\n", *events, framed("done", "{}", len(events))], content_type="text/event-stream"
        )
        return {
            "GET /v1/models/*": Response.json(MODEL),
            "POST /v1/models/*": created,
            "GET /v1/streams/x": stream,
            "POST /v1/predictions/abc/cancel": Response.json(PREDICTION | {"status": "canceled"}),
            "GET /v1/predictions/abc": NOT_FOUND,
        }

    def error(self, status: int) -> Response:
        """Return an error as the service writes it."""
        return problem(status)

    def listing(self) -> Play:
        """Two collections."""
        picture = {"owner": "a", "name": "p", "latest_version": None}
        return {
            "GET /v1/collections/language-models": Response.json({"models": [MODEL]}),
            "GET /v1/collections/text-to-image": Response.json({"models": [picture]}),
        }


class TestPolling(TestReplicate):
    """With a model that does not stream: one look shows the whole output."""

    def answer(self, pieces: list[str]) -> Play:
        """Create a prediction and show it once it has succeeded."""
        done: dict[str, Any] = PREDICTION | {"status": "succeeded", "output": pieces}
        return {
            "GET /v1/models/*": Response.json(MODEL),
            "POST /v1/models/*": Response.json(PREDICTION, status=201),
            "POST /v1/predictions/abc/cancel": Response.json(PREDICTION | {"status": "canceled"}),
            "GET /v1/predictions/abc": Response.json(done),
        }
