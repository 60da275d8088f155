"""The official `replicate` client against the sandbox."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from replicate.pagination import async_paginate
from replicate.stream import ServerSentEvent

from core_replicate.sandbox import TOKEN, Emulator, emulate
from core_replicate.sandbox.catalogue import FLAN_T5_XL

CHAT = "meta/meta-llama-3-8b-instruct"
COMMUNITY = f"replicate/flan-t5-xl:{FLAN_T5_XL.version_ids[0]}"
INPUT = {"prompt": "Why is the sky blue?"}


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """Serve a sandbox."""
    async with emulate(Emulator()) as emulator:
        yield emulator


def _client(emulator: Emulator, token: str = TOKEN) -> Client:
    client = Client(api_token=token, base_url=emulator.base_url.removesuffix("/v1"), trust_env=False)
    client.poll_interval = 0.001
    return client


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Client]:
    """Return an official client that talks to the sandbox from this event loop."""
    client = _client(emulator)
    yield client
    await client._async_client.aclose()


@pytest.fixture
def blocking(emulator: Emulator) -> Iterator[Client]:
    """Return an official client for use in a thread."""
    client = _client(emulator)
    yield client
    client._client.close()


def _text(events: list[ServerSentEvent]) -> str:
    return "".join(event.data for event in events if event.event == ServerSentEvent.EventType.OUTPUT)


async def test_a_prediction_is_created_and_got(emulator: Emulator, client: Client) -> None:
    """A created prediction is `starting`; got again, it has succeeded and has its output, metrics and times."""
    prediction = await client.models.predictions.async_create(CHAT, INPUT)
    assert (prediction.status, prediction.version, prediction.output) == ("starting", "hidden", None)
    await emulator.finished(prediction.id)
    await prediction.async_reload()
    assert prediction.status == "succeeded"
    assert "".join(prediction.output or ()).endswith("You wrote: Why is the sky blue?")
    assert prediction.metrics is not None
    assert prediction.metrics["input_token_count"] == 5
    assert prediction.started_at is not None
    assert prediction.completed_at is not None


async def test_a_version_and_a_deployment_run(client: Client) -> None:
    """A community version and a deployment run to their end."""
    by_version = await client.predictions.async_create(version=FLAN_T5_XL.version_ids[1], input=INPUT)
    by_deployment = await client.deployments.predictions.async_create("sandbox/deployment", INPUT)
    for prediction in (by_version, by_deployment):
        await prediction.async_wait()
        assert prediction.model == "replicate/flan-t5-xl"
        assert "canned" in "".join(prediction.output or ())


async def test_run_returns_the_output(client: Client) -> None:
    """`run` waits in the create request and returns what came out: pieces, one string, or an iterator for a version."""
    pieces: Any = await client.async_run(CHAT, INPUT)
    text = "".join(pieces)
    assert text.startswith("This is a canned answer")
    assert await client.async_run("openai/gpt-4.1-mini", INPUT) == text
    iterator: Any = await client.async_run(COMMUNITY, INPUT)
    assert "".join([piece async for piece in iterator]) == text


async def test_run_in_a_thread(blocking: Client) -> None:
    """The blocking client runs and streams the same."""
    ran: Any = await asyncio.to_thread(blocking.run, CHAT, INPUT)
    events = await asyncio.to_thread(lambda: list(blocking.stream(CHAT, input=INPUT)))
    assert _text(events) == "".join(ran)


async def test_run_of_a_picture_gives_its_url(client: Client) -> None:
    """An image model gives the URL of a picture that can be fetched without a token."""
    output: Any = await client.async_run("black-forest-labs/flux-schnell", {"prompt": "a fox", "aspect_ratio": "16:9"})
    (url,) = output
    async with httpx.AsyncClient(trust_env=False) as bare:
        picture = await bare.get(url)
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")


async def test_a_model_streams(emulator: Emulator, client: Client) -> None:
    """Streamed events carry the pieces of the output exactly, then `done`; the id of the last one is the newest."""
    events = [event async for event in await client.async_stream(CHAT, INPUT)]
    prediction = await emulator.created()
    assert [event.data for event in events[:-1]] == prediction.output
    assert events[-1].event == ServerSentEvent.EventType.DONE
    assert [event.id for event in events] == [event.id for event in prediction.events]


async def test_newlines_survive_a_stream(emulator: Emulator, client: Client) -> None:
    """Pieces with newlines at any place arrive whole (but for U+2028, where this client splits lines)."""
    prediction = await client.models.predictions.async_create("sandbox/unicode", INPUT)
    made = emulator.predictions[prediction.id]
    await emulator.finished(prediction.id)
    position = next(index for index, event in enumerate(made.events) if event.data == "\n")
    made.events[:position] = []
    events = [event async for event in prediction.async_stream()]
    assert [str(event.data) for event in events[:-1]] == made.output[position:]


async def test_cancel_stops_a_prediction(emulator: Emulator, client: Client) -> None:
    """A prediction that never ends is canceled, and its stream says so."""
    prediction = await client.models.predictions.async_create("sandbox/stuck", INPUT)
    await prediction.async_cancel()
    assert prediction.status == "canceled"
    assert (await emulator.canceled()).id == prediction.id
    events = [event async for event in prediction.async_stream()]
    assert events[-1].data == '{"reason": "canceled"}'


async def test_failures_are_raised(client: Client) -> None:
    """A failed prediction is a `ModelError`, an error event in a stream a `RuntimeError`."""
    with pytest.raises(ModelError, match="E1001"):
        await client.async_run("sandbox/failed", INPUT)
    with pytest.raises(RuntimeError, match="E1000"):
        _ = [event async for event in await client.async_stream("sandbox/stream-error", INPUT)]


async def test_a_model_without_a_stream(client: Client) -> None:
    """Streaming a model that cannot is refused by the server when asked for, by the client when there is no URL."""
    with pytest.raises(ReplicateError, match="Streaming not supported"):
        _ = [event async for event in await client.async_stream("openai/gpt-4.1-mini", INPUT)]
    prediction = await client.models.predictions.async_create("sandbox/no-stream", INPUT)
    with pytest.raises(ReplicateError, match="does not support streaming"):
        _ = [event async for event in prediction.async_stream()]


async def test_models_are_listed_page_by_page(emulator: Emulator, client: Client) -> None:
    """Following `next` gives every model once."""
    emulator.page_size = 7
    pages = [page async for page in async_paginate(client.models.async_list)]
    names = [model.id for page in pages for model in page.results]
    assert sorted(names) == sorted(emulator.models)
    assert {len(page) for page in pages[:-1]} == {7}


async def test_models_are_searched(client: Client) -> None:
    """A search finds models by words of their names and descriptions."""
    found = await client.models.async_search("llama chat")
    assert {model.id for model in found} == {
        "meta/meta-llama-3-70b-instruct",
        "meta/meta-llama-3-8b-instruct",
        "meta/llama-2-70b-chat",
    }


async def test_collections_are_shown(client: Client) -> None:
    """The collections are listed, and one is shown with its models."""
    collections = await client.collections.async_list()
    assert [it.slug for it in collections] == ["language-models", "streaming-language-models", "text-to-image"]
    pictures = await client.collections.async_get("text-to-image")
    assert [model.id for model in pictures] == ["black-forest-labs/flux-schnell"]


async def test_a_model_and_its_versions_are_shown(client: Client) -> None:
    """A community model shows its versions, an official one hides them, and a model may have none."""
    model = await client.models.async_get("replicate/flan-t5-xl")
    assert model.latest_version is not None
    versions = await model.versions.async_list()
    assert [version.id for version in versions] == list(FLAN_T5_XL.version_ids)
    assert (await model.versions.async_get(versions[1].id)).openapi_schema == model.latest_version.openapi_schema
    with pytest.raises(ReplicateError, match="official model"):
        await (await client.models.async_get(CHAT)).versions.async_list()
    assert (await client.models.async_get("sandbox/no-schema")).latest_version is None


async def test_account_deployments_and_predictions_are_listed(client: Client) -> None:
    """The account, its deployments and its predictions, the newest first, are shown."""
    assert (await client.accounts.async_current()).username == "sandbox"
    assert [it.id for it in await client.deployments.async_list()] == ["sandbox/deployment"]
    first = await client.models.predictions.async_create(CHAT, INPUT)
    second = await client.models.predictions.async_create(CHAT, INPUT)
    assert [it.id for it in await client.predictions.async_list()] == [second.id, first.id]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("sandbox/unauthenticated", (401, "Unauthenticated")),
        ("sandbox/payment-required", (402, "Insufficient credit")),
        ("sandbox/not-found", (404, "could not be found")),
        ("sandbox/invalid", (422, "Input validation failed")),
        ("sandbox/rate-limited", (429, "resets in ~1s")),
    ],
)
async def test_refusals_are_raised(client: Client, model: str, told: tuple[int, str]) -> None:
    """Each refusal is a `ReplicateError` with its status and text."""
    with pytest.raises(ReplicateError, match=told[1]) as caught:
        await client.models.predictions.async_create(model, INPUT)
    assert caught.value.status == told[0]


async def test_a_wrong_token_is_refused(emulator: Emulator) -> None:
    """A wrong token is refused everywhere."""
    stranger = _client(emulator, "r8_invalid")
    with pytest.raises(ReplicateError, match="valid authentication token") as caught:
        await stranger.models.async_list()
    await stranger._async_client.aclose()
    assert caught.value.status == 401


async def test_a_bad_input_is_refused(client: Client) -> None:
    """An input outside its limits is refused in the validator's words."""
    with pytest.raises(ReplicateError, match=r"- input\.max_tokens: Must be greater than or equal to 1024") as caught:
        await client.models.predictions.async_create("anthropic/claude-4-sonnet", INPUT | {"max_tokens": 10})
    assert caught.value.status == 422


async def test_a_stream_is_replayed_after_an_id(client: Client) -> None:
    """A raw request for the stream gets it from the start, and after a `Last-Event-ID` only what follows."""
    prediction = await client.models.predictions.async_create(CHAT, INPUT)
    url = (prediction.urls or {})["stream"]
    async with httpx.AsyncClient(trust_env=False) as bare:
        whole = (await bare.get(url)).text
        events = whole.removeprefix(": hi\n\n").split("\n\n")
        last_seen = events[4].split("\n")[1].removeprefix("id: ")
        rest = (await bare.get(url, headers={"Last-Event-ID": last_seen})).text
    assert rest == ": hi\n\n" + "\n\n".join(events[5:])
