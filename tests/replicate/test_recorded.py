"""Bytes that the service really sent: its streams at every split, its answers read as what they are."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core_chat import (
    AuthenticationError,
    ChatRequest,
    CoreError,
    Finish,
    IncompleteStreamError,
    Media,
    Message,
    ModelInfo,
    ModelNotFoundError,
    ProviderError,
    RateLimitError,
    Registry,
    RequestRejectedError,
    TextDelta,
    UnavailableError,
)
from core_chat.testing import ManualClock, Response, Upstream, faults
from core_chat.testing.upstream import Routes
from core_replicate._inputs import build_inputs
from core_replicate._listing import read_model
from core_replicate._predictions import as_media, output_pieces, read_prediction, usage_of
from core_replicate._schema import Property, read_schema
from core_replicate._transcript import Ending, Transcript

RECORDED = Path(__file__).parents[2].parent / "shared" / "recorded" / "replicate"
MANIFEST: list[dict[str, Any]] = json.loads((RECORDED / "manifest.json").read_bytes()) if RECORDED.exists() else []
STREAMS = {item["file"]: item["expect"] for item in MANIFEST if "expect" in item and item["file"].endswith(".sse")}
ERRORS = {item["file"]: item["status"] for item in MANIFEST if "/error_" in item["file"]}
MOST_SPLITS = 4096

pytestmark = pytest.mark.skipif(not MANIFEST, reason="the recorded bodies are not there (../shared/recorded/replicate)")
ENDINGS = {"ok": "succeeded", "canceled": "canceled", "error": "failed", "disconnected": None}
KINDS: dict[str, type[ProviderError] | None] = {
    "ok": None,
    "canceled": IncompleteStreamError,
    "error": UnavailableError,
    "disconnected": ModelNotFoundError,  # what the looks that follow are answered with below
}


def body(file: str) -> bytes:
    """Return the recorded bytes."""
    return (RECORDED / file).read_bytes()


def load(name: str) -> Any:
    """Return a recorded JSON body."""
    return json.loads(body(f"http/{name}"))


def read(*chunks: bytes) -> tuple[list[str], Ending | None]:
    """Return the pieces of a stream, and how it ended."""
    transcript = Transcript()
    transcript.connect()
    pieces = [piece for chunk in chunks for piece in transcript.feed(chunk)]
    return pieces, transcript.ending


def places(content: bytes) -> range:
    """Return every place to cut a body at; of a very long one, places evenly spread over it."""
    return range(0, len(content) + 1, 1 + len(content) // MOST_SPLITS)


@pytest.mark.parametrize(("file", "expected"), STREAMS.items(), ids=STREAMS)
def test_every_stream_at_every_split(file: str, expected: Mapping[str, Any]) -> None:
    """Each recorded stream gives its text and its end, wherever its bytes are cut in two, or cut into single ones."""
    content = body(file)
    whole, ending = read(content)
    assert "".join(whole) == expected["text"]
    assert (ending.status if ending else None) == ENDINGS[expected["outcome"]]
    assert whole == expected.get("non_empty_chunks", whole)
    assert "" not in whole
    if "detail" in expected:
        assert ending is not None
        assert ending.detail == expected["detail"]
    for at in places(content):
        assert read(content[:at], content[at:]) == (whole, ending)
    for size in (1, 2, 3, 7, 4096):
        assert read(*(content[at : at + size] for at in range(0, len(content), size))) == (whole, ending)


@pytest.mark.parametrize(("file", "expected"), STREAMS.items(), ids=STREAMS)
def test_every_stream_that_breaks_anywhere_is_gone_on_with(file: str, expected: Mapping[str, Any]) -> None:
    """Broken off at any byte and replayed, a stream gives the same pieces as in one go."""
    content = body(file)
    whole, ending = read(content)
    for at in places(content):
        transcript = Transcript()
        transcript.connect()
        pieces = transcript.feed(content[:at])
        if not transcript.has_ended():
            transcript.connect()
            pieces += transcript.feed(content)
        assert (pieces, transcript.ending) == (whole, ending)
    assert "".join(whole) == expected["text"]


@asynccontextmanager
async def over(clock: ManualClock, routes: Routes) -> AsyncIterator[Registry]:
    """Yield a registry whose Replicate is a scripted upstream."""
    async with Upstream(routes=routes) as upstream:
        config = {"replicate": {"base_url": f"{upstream.url}/v1", "token": "r8_x"}}
        async with Registry(only=["replicate"], config=config, clock=clock) as registry:
            yield registry


def created(request: Any) -> Response:
    """Return the answer to a creation whose prediction streams."""
    urls = {"stream": f"{request.origin}/v1/streams/x"}
    return Response.json({"id": "abc", "status": "starting", "urls": urls}, status=201)


NOT_FOUND = Response.json({"detail": "Not found."}, status=404)


@pytest.mark.parametrize(("file", "expected"), STREAMS.items(), ids=STREAMS)
@pytest.mark.parametrize("size", [1, 5, 10**6])
async def test_every_stream_through_the_provider(
    clock: ManualClock, file: str, expected: Mapping[str, Any], *, size: int
) -> None:
    """Over a real socket each stream gives its text, and then its end or its error."""
    stream = faults.drip(
        Response(body(file), headers={"Content-Type": "text/event-stream"}, framing="chunked"), size=size
    )
    routes: Routes = {"POST *": created, "GET /v1/streams/x": stream, "*": NOT_FOUND}
    raised: CoreError | None = None
    text = ""
    async with over(clock, routes) as registry, registry.stream("replicate:a/b", "Hi") as events:
        try:
            async for event in events:
                text += event.text if isinstance(event, TextDelta) else ""
        except CoreError as error:
            raised = error
    assert text == expected["text"]
    assert (None if raised is None else type(raised)) is KINDS[expected["outcome"]]
    assert expected.get("detail", "") in str(raised)


@pytest.mark.parametrize(("file", "status"), ERRORS.items(), ids=ERRORS)
async def test_every_error_body(clock: ManualClock, file: str, status: int) -> None:
    """Each recorded refusal is its own class, and says what the service said."""
    detail = json.loads(body(file))["detail"]
    kinds = {401: AuthenticationError, 404: ModelNotFoundError, 422: RequestRejectedError, 429: RateLimitError}
    kind = ModelNotFoundError if "version does not exist" in detail else kinds[status]
    answer = Response(body(file), status=status, headers={"Content-Type": "application/problem+json"})
    async with over(clock, {"*": answer}) as registry:
        with pytest.raises(ProviderError) as caught:
            await registry.chat("replicate:a/b", "Hi")
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert " ".join(detail.split()) in str(caught.value)
    assert caught.value.retry_after == (30 if "~30s" in detail else None)


async def test_a_creation_without_a_stream_is_polled(clock: ManualClock) -> None:
    """The answer of 2024-04, which has no stream URL, leads to looks at the prediction."""
    given = load("create_official_llama3_a.201.json")
    done = {**given, "status": "succeeded", "output": ["\n\n", "Fuzzy", ""], "metrics": {"output_token_count": 2}}
    routes: Routes = {
        "POST /v1/models/meta/meta-llama-3-8b-instruct/predictions": Response.json(given, status=201),
        f"GET /v1/predictions/{given['id']}": [Response.json({**done, "status": "processing"}), Response.json(done)],
        "GET /v1/models/*": NOT_FOUND,
    }
    async with (
        over(clock, routes) as registry,
        registry.stream("replicate:meta/meta-llama-3-8b-instruct", "write a haiku about llamas") as stream,
    ):
        events = [event async for event in stream]
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["\n\n", "Fuzzy"]
    assert isinstance(events[-1], Finish)


def test_predictions() -> None:
    """Recorded predictions of several years are read: fresh, streaming, canceled, and done."""
    assert read_prediction(load("create_official_llama3_a.201.json")).stream_url is None
    streaming = read_prediction(load("create_version_stream.201.json"))
    assert streaming.stream_url == (
        "https://streaming-api.svc.us.c.replicate.net/v1/predictions/4awn473bsrztjzlx2b6ufoxkkm"
    )
    assert not streaming.final
    canceled = read_prediction(load("cancel_sdxl_a.200.json"))
    assert (canceled.status, canceled.final, canceled.logs) == ("canceled", True, "")
    done = read_prediction(load("prediction_get_succeeded_a.200.json"))
    (link,) = output_pieces(done)
    assert as_media(link) == Media(url=link, media_type="image/png")
    assert usage_of(done) is None


def test_a_models_schema() -> None:
    """The schema of 2023 gives the older names, with their limits, and a system prompt of its own."""
    model = load("model_get_llama2_70b_chat.200.json")
    schema = read_schema(model["latest_version"])
    assert schema is not None
    assert schema.output == "text"
    assert schema.inputs["temperature"] == Property("number", minimum=0.01, maximum=5, order=4)
    messages = (Message("system", "Be brief."), Message("user", "Hi"))
    request = ChatRequest(
        model=ModelInfo("meta/llama-2-70b-chat"),
        messages=messages,
        max_tokens=100,
        temperature=0,
        stop=("END",),
        seed=0,
    )
    inputs = build_inputs(request, schema)
    assert inputs.values == {
        "system_prompt": "Be brief.",
        "prompt": "Hi",
        "max_new_tokens": 100,
        "temperature": 0.01,
        "seed": 0,
        "stop_sequences": "END",
    }
    assert [notice.parameter for notice in inputs.notices] == ["temperature"]


def test_a_search() -> None:
    """The models of a recorded search are read with what their schemas tell."""
    results = load("models_search_llama.200.json")["results"]
    models = [model for model in (read_model(item, "search") for item in results) if model is not None]
    assert len(models) == len(results)
    assert all(model.tasks == frozenset({"chat"}) for model in models if model.name.startswith("meta/"))
