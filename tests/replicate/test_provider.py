"""The provider end to end: through a registry, over real sockets, to the sandbox or a scripted upstream."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from yarl import URL

from core_chat import (
    AuthenticationError,
    ChatRequest,
    ContentFilteredError,
    Event,
    Finish,
    Image,
    IncompleteStreamError,
    InvalidRequestError,
    Media,
    Message,
    MissingCredentialError,
    ModelInfo,
    ModelNotFoundError,
    Notice,
    PaymentRequiredError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    Registry,
    RequestRejectedError,
    Retry,
    Route,
    TextDelta,
    UnavailableError,
    UnknownModelError,
    Usage,
)
from core_chat.testing import ManualClock, Response, Stall, Upstream, faults
from core_chat.testing.upstream import Routes
from core_replicate import Replicate
from core_replicate.sandbox import Emulator, emulate
from core_replicate.sandbox.catalogue import FLAN_T5_XL
from core_replicate.sandbox.faulty import FAULTY

CHAT = "replicate:meta/meta-llama-3-8b-instruct"
CANNED = "This is a canned answer from the sandbox; no model was asked. You wrote: Hello you"
PNG = b"\x89PNG\r\n\x1a\n"


async def collect(registry: Registry, model: str = CHAT, messages: Any = "Hello you", **parameters: Any) -> list[Event]:
    """Return all events of an answer."""
    async with registry.stream(model, messages, **parameters) as stream:
        return [event async for event in stream]


async def failure(registry: Registry, model: str, **parameters: Any) -> ProviderError:
    """Return the error that a call ends with."""
    with pytest.raises(ProviderError) as caught:
        await collect(registry, model, **parameters)
    return caught.value


def texts(events: list[Event]) -> list[str]:
    """Return the pieces of text."""
    return [event.text for event in events if isinstance(event, TextDelta)]


def paths(emulator: Emulator) -> list[str]:
    """Return what the sandbox was asked for, in order, ids left out."""
    known = {it.id: "ID" for it in emulator.predictions.values()}
    known |= {it.stream_path: "STREAM" for it in emulator.predictions.values()}
    parts = [f"{request.method} {request.path.removeprefix('/v1/')}".split("/") for request in emulator.requests]
    return ["/".join(known.get(part, part) for part in each) for each in parts]


def sent(emulator: Emulator) -> Any:
    """Return the input of the latest prediction."""
    return list(emulator.predictions.values())[-1].input


async def test_an_answer_from_beginning_to_end(registry: Registry, emulator: Emulator) -> None:
    """The route with the prediction's id, one event for each piece that is not empty, the usage, the end."""
    events = await collect(registry)
    prediction = await emulator.created()
    assert events[0] == Route("replicate", "meta/meta-llama-3-8b-instruct", None, prediction.id)
    assert texts(events) == [piece for piece in prediction.pieces if piece]
    assert "".join(texts(events)) == CANNED
    assert events[-2:] == [Usage(2, 16), Finish("stop", raw="succeeded")]
    assert paths(emulator) == [
        "GET models/meta/meta-llama-3-8b-instruct",
        "POST models/meta/meta-llama-3-8b-instruct/predictions",
        "GET streams/STREAM",
        "GET predictions/ID",
    ]


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("meta/meta-llama-3-70b-instruct", Usage(2, 16)),
        ("meta/llama-2-70b-chat", Usage(2, 16)),
        ("openai/gpt-4o-mini", Usage(2, 16)),
        ("openai/gpt-4.1-mini", Usage(2, 16)),
        ("openai/gpt-5-structured", Usage(2, 16)),
        ("google/gemini-2.5-flash", Usage(2, 16)),
        ("anthropic/claude-4-sonnet", Usage(2, 16)),
        ("ibm-granite/granite-3.3-8b-instruct", Usage(2, 16)),
        ("replicate/flan-t5-xl", Usage(2, 16)),
        ("sandbox/slow-start", Usage(2, 16)),
        ("sandbox/cut-midway", Usage(2, 16)),
        ("sandbox/silent-close", Usage(2, 16)),
        ("sandbox/never-done", Usage(2, 16)),
        ("sandbox/expired-stream", Usage(2, 16)),
        ("sandbox/foreign-stream", Usage(2, 16)),
        ("sandbox/no-stream", Usage(2, 16)),
        ("sandbox/instant", Usage(2, 16)),
        ("sandbox/no-schema", Usage(2, 16)),
        ("sandbox/no-prompt", Usage(2, 16)),
        ("sandbox/rate-limited-once", Usage(2, 16)),
    ],
)
async def test_every_working_model_answers(registry: Registry, model: str, usage: Usage) -> None:
    """Each family, and each model whose stream or service stumbles, gives the whole answer once, and its usage."""
    reply = await registry.chat(f"replicate:{model}", "Hello you")
    assert reply.text == CANNED
    assert reply.usage == usage
    assert reply.finish == Finish("stop", raw="succeeded")


async def test_what_a_model_thought_is_told_from_its_answer(registry: Registry) -> None:
    """Thoughts that open the text between tags are reasoning; the answer after them is exact."""
    reply = await registry.chat("replicate:deepseek-ai/deepseek-r1", "Hello you")
    assert reply.reasoning == "\nThe sandbox does not think.\n"
    assert reply.text == f"\n\n{CANNED}"


async def test_text_is_exact(registry: Registry, emulator: Emulator) -> None:
    """Line separators of all kinds, characters of any size and pieces of blanks arrive as they were sent."""
    events = await collect(registry, "replicate:sandbox/unicode")
    assert texts(events) == (await emulator.created()).pieces


async def test_an_empty_answer_is_an_answer(registry: Registry) -> None:
    """A prediction that succeeds without output ends well."""
    events = await collect(registry, "replicate:sandbox/empty")
    assert [type(event) for event in events] == [Route, Usage, Finish]


async def test_a_stream_that_lingers_after_its_end(emulator: Emulator) -> None:
    """A connection that stays open after `done` is not waited for."""
    async with Registry(only=["replicate"], config={"replicate": emulator.settings}) as registry:
        assert (await registry.chat("replicate:sandbox/lingering", "Hello you")).text == CANNED


@pytest.mark.parametrize("model", ["cut-midway", "silent-close"])
async def test_a_broken_stream_is_resumed(registry: Registry, emulator: Emulator, model: str) -> None:
    """The second connection names the last event of the first, and every piece is one event all the same."""
    events = await collect(registry, f"replicate:sandbox/{model}")
    prediction = await emulator.created()
    assert texts(events) == [piece for piece in prediction.pieces if piece]
    streams = [request for request in emulator.requests if "/streams/" in request.path]
    assert [request.headers.get("Last-Event-ID") for request in streams] == [None, prediction.events[2].id]


async def test_a_stream_on_another_host_gets_no_token(registry: Registry, emulator: Emulator) -> None:
    """The token stays with the API; the stream's own address is its credential."""
    await registry.chat("replicate:sandbox/foreign-stream", "Hello you")
    authorized = {request.path.split("/")[2]: "Authorization" in request.headers for request in emulator.requests}
    assert authorized == {"models": True, "streams": False, "predictions": True}
    (stream,) = (request for request in emulator.requests if "/streams/" in request.path)
    assert stream.headers["Host"].startswith("localhost:")


@pytest.mark.parametrize(
    ("model", "kind", "partial", "text"),
    [
        ("stream-error", UnavailableError, "This is", "failed: Something went wrong (E1000)"),
        ("plain-error", UnavailableError, "This is", "failed: Something went wrong (E1000)"),
        ("failed", UnavailableError, "", "failed: The model ran out of memory (E1001)"),
        ("moderated", ContentFilteredError, "", "(E005)"),
        ("canceled-by-upstream", IncompleteStreamError, "This is", "canceled"),
        ("aborted", UnavailableError, "", "aborted"),
    ],
)
async def test_predictions_that_end_badly(
    registry: Registry, emulator: Emulator, *, model: str, kind: type[ProviderError], partial: str, text: str
) -> None:
    """A failure names the prediction, says its own words, holds the text so far; nothing is tried again or canceled."""
    error = await failure(registry, f"replicate:sandbox/{model}")
    prediction = await emulator.created()
    assert type(error) is kind
    assert text in str(error)
    assert error.request_id == prediction.id
    assert error.provider == "replicate"
    assert error.retryable is False
    assert error.partial is not None
    assert error.partial.text == partial
    assert len(emulator.predictions) == 1
    assert not prediction.cancel_requested


@pytest.mark.parametrize(
    ("model", "kind", "status", "text"),
    [
        ("unauthenticated", AuthenticationError, 401, "You did not pass a valid authentication token"),
        ("payment-required", PaymentRequiredError, 402, "insufficient credit"),
        ("not-found", ModelNotFoundError, 404, "could not be found"),
        ("invalid", RequestRejectedError, 422, "sandbox is required"),
        ("server-error", UnavailableError, 500, "Something went wrong"),
        ("bad-gateway", UnavailableError, 502, "502 Bad Gateway"),
        ("html", ProtocolError, 200, "Sign in"),
        ("no-id", ProtocolError, None, "no prediction id"),
    ],
)
async def test_creations_that_are_refused(
    registry: Registry, emulator: Emulator, *, model: str, kind: type[ProviderError], status: int | None, text: str
) -> None:
    """Each refusal has its own class, status and words, and is not tried again: a creation may bill."""
    error = await failure(registry, f"replicate:sandbox/{model}")
    assert type(error) is kind
    assert error.status == status
    assert text in str(error)
    assert error.retryable is False
    assert [path for path in paths(emulator) if path.startswith("POST")] == [f"POST models/sandbox/{model}/predictions"]
    assert not emulator.predictions


@pytest.mark.parametrize(("model", "kind"), [("rate-limited", RateLimitError), ("unavailable", UnavailableError)])
async def test_creations_that_are_tried_again(
    registry: Registry, clock: ManualClock, *, model: str, kind: type[ProviderError]
) -> None:
    """Where the service says when to come back it is asked again then, three times in all."""
    error = await failure(registry, f"replicate:sandbox/{model}")
    assert type(error) is kind
    assert (error.retryable, error.retry_after, len(error.attempts)) == (True, 1, 3)
    waits = [seconds for seconds in clock.sleeps if seconds]
    assert len(waits) == 2
    assert all(1 <= seconds <= 1.1 for seconds in waits)


async def test_a_wait_beyond_the_budget_is_not_begun(emulator: Emulator, clock: ManualClock) -> None:
    """A rate limit that resets too late is raised at once, with the time."""
    settings = {"replicate": emulator.settings}
    async with Registry(only=["replicate"], config=settings, clock=clock, retry=Retry(budget=0.5)) as registry:
        error = await failure(registry, "replicate:sandbox/rate-limited")
    assert error.retry_after == 1
    assert clock.sleeps == []


async def test_names_that_are_close_to_an_unknown_one(registry: Registry) -> None:
    """A model that is not there comes with those that were perhaps meant."""
    error = await failure(registry, "replicate:meta/meta-llama-3-8b-instrukt")
    assert isinstance(error, ModelNotFoundError)
    assert error.suggestions[0] == "meta/meta-llama-3-8b-instruct"
    assert "did you mean meta/meta-llama-3-8b-instruct" in str(error)


@asynccontextmanager
async def over(clock: ManualClock, routes: Routes, **settings: Any) -> AsyncIterator[tuple[Registry, Upstream]]:
    """Yield a registry whose Replicate is a scripted upstream."""
    async with Upstream(routes=routes) as upstream:
        config = {"replicate": {"base_url": f"{upstream.url}/v1", "token": "r8_x", **settings}}
        async with Registry(only=["replicate"], config=config, clock=clock) as registry:
            yield registry, upstream


def succeeded(output: Any) -> Response:
    """Return the answer to a creation whose prediction is over at once."""
    return Response.json({"id": "abc", "status": "succeeded", "output": output}, status=201)


def asked(upstream: Upstream) -> list[str]:
    """Return what a scripted upstream was asked for."""
    return [f"{request.method} {request.path.removeprefix('/v1/')}" for request in upstream.requests]


def model_object(**fields: Any) -> Response:
    """Return the answer with a model that takes a prompt and gives text."""
    schemas = {"Input": {"properties": {"prompt": {"type": "string"}}}, "Output": {"type": "string"}}
    latest = {"id": "1" * 64, "openapi_schema": {"components": {"schemas": schemas}}}
    return Response.json({"owner": "a", "name": "b", "latest_version": latest, **fields})


NOT_FOUND = Response.json({"detail": "The requested resource could not be found.", "status": 404}, status=404)


async def test_a_community_model_runs_by_its_latest_version(registry: Registry, emulator: Emulator) -> None:
    """A model that is known for no official one is run by version at once."""
    await collect(registry, "replicate:replicate/flan-t5-xl")
    assert paths(emulator)[:2] == ["GET models/replicate/flan-t5-xl", "POST predictions"]
    assert (await emulator.created()).version == FLAN_T5_XL.version_ids[0]


async def test_a_model_of_unknown_kind_is_tried_by_name_first(clock: ManualClock) -> None:
    """Where the model does not tell, its 404 does; then its latest version is run."""
    routes: Routes = {
        "GET /v1/models/a/b": model_object(),
        "POST /v1/models/a/b/predictions": NOT_FOUND,
        "POST /v1/predictions": succeeded("Hi"),
    }
    async with over(clock, routes) as (registry, upstream):
        assert (await registry.chat("replicate:a/b", "Hello")).text == "Hi"
    assert asked(upstream) == ["GET models/a/b", "POST models/a/b/predictions", "POST predictions"]
    assert upstream.requests[2].json() == {"version": "1" * 64, "input": {"prompt": "Hello"}}


async def test_a_model_is_looked_up_again_when_its_name_does_not_run(clock: ManualClock) -> None:
    """A look-up that failed at first is made again where the version is needed."""
    routes: Routes = {
        "GET /v1/models/a/b": [Response.json({}, status=500), model_object()],
        "POST /v1/models/a/b/predictions": NOT_FOUND,
        "POST /v1/predictions": succeeded("Hi"),
    }
    async with over(clock, routes) as (registry, _):
        assert (await registry.chat("replicate:a/b", "Hello")).text == "Hi"


@pytest.mark.parametrize(
    "second", [NOT_FOUND, Response.json({"title": "Invalid version or not permitted"}, status=422)]
)
async def test_a_model_that_runs_neither_way_is_not_found(clock: ManualClock, second: Response) -> None:
    """When its latest version does not run either, the model is not found, after two tries."""
    routes: Routes = {
        "GET /v1/models/a/b": model_object(),
        "POST /v1/models/a/b/predictions": NOT_FOUND,
        "POST /v1/predictions": second,
    }
    async with over(clock, routes) as (registry, upstream):
        assert isinstance(await failure(registry, "replicate:a/b"), ModelNotFoundError)
    assert len(upstream.requests) == 3


@pytest.mark.parametrize("prefix", ["replicate/flan-t5-xl:", ""])
async def test_versions(registry: Registry, emulator: Emulator, prefix: str) -> None:
    """A model's version, and a version alone, are run as they are named."""
    version = FLAN_T5_XL.version_ids[1]
    events = await collect(registry, f"replicate:{prefix}{version}")
    assert "".join(texts(events)) == CANNED
    assert (await emulator.created()).version == version
    assert [event.code for event in events if isinstance(event, Notice)] == ([] if prefix else ["schema_unavailable"])


@pytest.mark.parametrize("name", [f"replicate/flan-t5-xl:{'0' * 64}", "0" * 64, "meta/nothing", "sandbox/not-found"])
async def test_what_is_not_there(registry: Registry, emulator: Emulator, name: str) -> None:
    """An unknown version or model is not found, whichever status the service says it with."""
    assert isinstance(await failure(registry, f"replicate:{name}"), ModelNotFoundError)
    assert sum(path.startswith("POST") for path in paths(emulator)) == 1


async def test_the_latest_version_by_name(registry: Registry, emulator: Emulator) -> None:
    """`owner/name:latest`, which the service does not take, is the model."""
    await collect(registry, f"{CHAT}:latest")
    assert paths(emulator)[1] == "POST models/meta/meta-llama-3-8b-instruct/predictions"


async def test_deployments(registry: Registry, emulator: Emulator) -> None:
    """A deployment is run in place of the model, with the inputs of what it runs; the route names it."""
    events = await collect(registry, options={"deployment": "sandbox/deployment"}, max_tokens=3)
    prediction = await emulator.created()
    assert events[0] == Route("replicate", "meta/meta-llama-3-8b-instruct", "sandbox/deployment", prediction.id)
    assert prediction.deployment == "sandbox/deployment"
    assert prediction.input == {"prompt": "Hello you", "max_length": 3}
    assert paths(emulator)[:3] == [
        "GET deployments/sandbox/deployment",
        "GET models/replicate/flan-t5-xl",
        "POST deployments/sandbox/deployment/predictions",
    ]


async def test_a_deployment_that_is_not_there(registry: Registry, emulator: Emulator) -> None:
    """An unknown deployment is not replaced by anything else."""
    error = await failure(registry, CHAT, options={"deployment": "acme/chat"})
    assert isinstance(error, ModelNotFoundError)
    assert paths(emulator) == ["GET deployments/acme/chat", "POST deployments/acme/chat/predictions"]


async def test_a_schema_is_asked_for_once(registry: Registry, emulator: Emulator) -> None:
    """Many chats with one model ask for it once, and once more with another key."""
    look = "GET models/meta/meta-llama-3-8b-instruct"
    for _ in range(3):
        await collect(registry)
    assert paths(emulator).count(look) == 1
    await collect(registry, api_key="r8_other")
    assert paths(emulator).count(look) == 2


@pytest.mark.parametrize("look", [NOT_FOUND, Response.json({}, status=500), faults.html(), faults.no_answer()])
async def test_a_chat_needs_no_schema(clock: ManualClock, look: Response) -> None:
    """When the model cannot be looked up the usual inputs are sent, which is told, and is no error even if strict."""
    routes: Routes = {"GET /v1/models/a/b": look, "POST /v1/models/a/b/predictions": succeeded("Hi")}
    async with over(clock, routes) as (registry, upstream):
        reply = await registry.chat("replicate:a/b", "Hello", max_tokens=5, strict=True)
    assert reply.text == "Hi"
    assert [(notice.code, notice.parameter) for notice in reply.notices] == [("schema_unavailable", None)]
    assert upstream.requests[-1].json() == {"input": {"prompt": "Hello", "max_tokens": 5}}


async def test_a_look_up_that_hangs_does_not_stop_the_chat(clock: ManualClock) -> None:
    """The model is waited for ten seconds, then the chat goes on without its schema."""
    stall = Stall()
    look = faults.slow_headers(model_object(), stall)
    routes: Routes = {"GET /v1/models/a/b": look, "POST /v1/models/a/b/predictions": succeeded("Hi")}
    async with over(clock, routes) as (registry, _):
        chat = asyncio.create_task(registry.chat("replicate:a/b", "Hello"))
        await stall.reached.wait()
        clock.advance(10)
        assert (await chat).text == "Hi"


async def test_what_is_not_honoured_is_told_before_the_creation(registry: Registry, emulator: Emulator) -> None:
    """A notice comes first; with `strict` it is an error, and nothing is created."""
    events = await collect(registry, top_k=1, seed=0, width=64)
    assert isinstance(events[0], Notice)
    assert events[0].parameter == "width"
    assert sent(emulator) == {"prompt": "Hello you", "top_k": 1, "seed": 0}
    with pytest.raises(InvalidRequestError, match="width"):
        await collect(registry, width=64, strict=True)
    assert len(emulator.predictions) == 1


async def test_messages_reach_the_model(registry: Registry, emulator: Emulator) -> None:
    """System message and history go where the model takes them; the conversation goes on with the answer."""
    system = {"role": "system", "content": "Be brief."}
    reply = await registry.chat(CHAT, [system, {"role": "user", "content": "Hi"}])
    assert sent(emulator) == {"system_prompt": "Be brief.", "prompt": "Hi"}
    assert reply.text.endswith("You wrote: Hi")
    await registry.chat(CHAT, "And?", conversation=reply.conversation)
    history = f"User: Hi\nAssistant: {reply.text}\nUser: And?\nAssistant:"
    assert sent(emulator) == {"system_prompt": "Be brief.", "prompt": history}
    await registry.chat("replicate:openai/gpt-4o-mini", "And?", conversation=reply.conversation)
    assert [item["role"] for item in sent(emulator)["messages"]] == ["system", "user", "assistant", "user"]


async def test_pictures_reach_the_model(registry: Registry, emulator: Emulator) -> None:
    """A picture goes as a data URI into the input for it."""
    await collect(registry, "replicate:anthropic/claude-4-sonnet", Message("user", ["What is it?", Image(PNG)]))
    uri = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert sent(emulator) == {"prompt": "What is it?", "image": uri}


async def test_made_pictures_are_links(registry: Registry, emulator: Emulator) -> None:
    """A model of pictures gives a link to each, asked for and not streamed."""
    model = "replicate:black-forest-labs/flux-schnell"
    events = await collect(registry, model, "A cat", aspect_ratio="16:9", seed=7, extra={"num_outputs": 2})
    assert sent(emulator) == {"prompt": "A cat", "aspect_ratio": "16:9", "seed": 7, "num_outputs": 2}
    assert events[1:-1] == [Media(url=url, media_type="image/png") for url in (await emulator.created()).output]
    assert len(events) == 4
    assert not any("files" in path for path in paths(emulator))


FILES = {
    "Input": {"properties": {"prompt": {"type": "string"}}},
    "Output": {"type": "array", "items": {"type": "string", "format": "uri"}},
}
PICTURES = {"id": "1" * 64, "openapi_schema": {"components": {"schemas": FILES}}}


async def test_made_pictures_are_bytes(clock: ManualClock) -> None:
    """A data URI gives the bytes themselves; one without a list is one picture; both are the answer's message."""
    uri = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    routes: Routes = {
        "GET /v1/models/a/b": model_object(latest_version=PICTURES),
        "POST /v1/models/a/b/predictions": [succeeded([uri, uri]), succeeded(uri)],
    }
    async with over(clock, routes) as (registry, _):
        reply = await registry.chat("replicate:a/b", "A cat")
        assert reply.media == (Media(data=PNG, media_type="image/png"),) * 2
        assert len(reply.message.images) == 2
        assert len((await registry.chat("replicate:a/b", "A cat")).media) == 1


async def test_a_picture_that_is_none_is_an_error(clock: ManualClock) -> None:
    """Text where a file should be is an error, after the prediction, so that nothing is tried again or canceled."""
    routes: Routes = {
        "GET /v1/models/a/b": model_object(latest_version=PICTURES),
        "POST /v1/models/a/b/predictions": succeeded(["no file"]),
    }
    async with over(clock, routes) as (registry, upstream):
        error = await failure(registry, "replicate:a/b")
    assert isinstance(error, ProtocolError)
    assert len(upstream.requests) == 2


async def test_no_error_after_the_creation_is_tried_again(clock: ManualClock) -> None:
    """A rate limit of the looks is no reason to make, and pay, a second prediction."""
    routes: Routes = {
        "GET /v1/models/a/b": model_object(),
        "POST /v1/models/a/b/predictions": Response.json({"id": "abc", "status": "starting"}, status=201),
        "GET /v1/predictions/abc": faults.rate_limited(1),
        "POST /v1/predictions/abc/cancel": Response.json({"id": "abc", "status": "canceled"}),
    }
    async with over(clock, routes) as (registry, upstream):
        error = await failure(registry, "replicate:a/b")
    assert isinstance(error, RateLimitError)
    assert error.retryable is False
    assert asked(upstream).count("POST models/a/b/predictions") == 1
    assert asked(upstream)[-1] == "POST predictions/abc/cancel"


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_any_good_status_creates(clock: ManualClock, status: int) -> None:
    """A creation may be answered with 200, 201 or 202."""
    created = Response.json({"id": "abc", "status": "succeeded", "output": "Hi"}, status=status)
    routes: Routes = {"GET /v1/models/a/b": model_object(), "POST /v1/models/a/b/predictions": created}
    async with over(clock, routes) as (registry, _):
        assert (await registry.chat("replicate:a/b", "Hello")).text == "Hi"


@pytest.mark.parametrize("url", ["http://[", "no url", "ftp://x/y", "http://127.0.0.1:1/refused"])
async def test_a_stream_that_is_nowhere_is_replaced_by_polling(clock: ManualClock, url: str) -> None:
    """A stream URL that leads nowhere does not stop the answer."""
    fresh = {"id": "abc", "status": "starting", "urls": {"stream": url}}
    routes: Routes = {
        "GET /v1/models/a/b": model_object(),
        "POST /v1/models/a/b/predictions": Response.json(fresh, status=201),
        "GET /v1/predictions/abc": Response.json({"id": "abc", "status": "succeeded", "output": "Hi"}),
        "GET /v1/*": NOT_FOUND,
    }
    async with over(clock, routes) as (registry, _):
        assert (await registry.chat("replicate:a/b", "Hello")).text == "Hi"


async def test_a_polled_prediction_in_its_own_rhythm(clock: ManualClock) -> None:
    """Looks are as far apart as the provider is told."""
    routes: Routes = {
        "GET /v1/models/a/b": model_object(),
        "POST /v1/models/a/b/predictions": Response.json({"id": "abc", "output": ["a"]}, status=201),
        "GET /v1/predictions/abc": [
            Response.json({"id": "abc", "status": "processing", "output": ["a", "b"]}),
            Response.json({"id": "abc", "status": "succeeded", "output": ["a", "b", "c"]}),
        ],
    }
    async with over(clock, routes, poll_interval=2) as (registry, _):
        assert texts(await collect(registry, "replicate:a/b")) == ["a", "b", "c"]
    assert clock.sleeps == [2, 2]


@pytest.mark.parametrize(
    ("parameters", "header"),
    [
        ({}, "1800s"),
        ({"options": {"cancel_after": 60}}, "60s"),
        ({"headers": {"cancel-after": "90s"}}, "90s"),
    ],
)
async def test_the_service_is_told_when_to_cancel(
    registry: Registry, emulator: Emulator, *, parameters: dict[str, Any], header: str
) -> None:
    """A prediction that nobody can cancel any more ends by itself."""
    await collect(registry, **parameters)
    assert [(await emulator.created()).headers.getall("Cancel-After")] == [[header]]  # type: ignore[attr-defined]


async def test_headers_and_extra_inputs_of_a_call(registry: Registry, emulator: Emulator) -> None:
    """They go with the creation, and with nothing else."""
    extra = {"prompt_template": "{prompt}", "top_k": 0}
    await collect(registry, headers={"X-Trace": "1"}, extra=extra, top_k=9)
    assert sent(emulator) == {"prompt": "Hello you", "top_k": 0, "prompt_template": "{prompt}"}
    traced = [request.method for request in emulator.requests if "X-Trace" in request.headers]
    assert traced == ["POST"]


async def test_a_key_of_a_call(registry: Registry, emulator: Emulator) -> None:
    """A key given with a call is used for all its requests, and for no other call."""
    await collect(registry, api_key="r8_other")
    assert {request.headers.get("Authorization") for request in emulator.requests} == {"Bearer r8_other"}
    emulator.requests.clear()
    await collect(registry)
    assert {request.headers.get("Authorization") for request in emulator.requests} == {"Bearer r8_sandbox"}


async def test_a_refused_key(registry: Registry, emulator: Emulator) -> None:
    """A key that the service does not take is an error of its own, after one creation that was refused."""
    assert isinstance(await failure(registry, CHAT, api_key="r8_invalid"), AuthenticationError)
    assert not emulator.predictions


async def test_without_a_key_nothing_is_sent(emulator: Emulator) -> None:
    """A missing key is told with its variable and page, when it is needed and not before."""
    settings = {"replicate": {"base_url": emulator.base_url}}
    async with Registry(only=["replicate"], config=settings) as registry:
        error = await failure(registry, CHAT)
    assert isinstance(error, MissingCredentialError)
    assert (error.variable, error.page) == ("REPLICATE_API_TOKEN", "https://replicate.com/account/api-tokens")
    assert not emulator.requests


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"options": {"deploymnt": "a/b"}}, "did you mean deployment"),
        ({"options": {"deployment": "x"}}, "owner/name"),
        ({"options": {"cancel_after": 1}}, "cancel_after"),
        ({"extra": {"seed": float("nan")}}, "JSON"),
        ({"extra": {"seed": object()}}, "JSON"),
        ({"api_key": "two words"}, "space"),
    ],
)
async def test_bad_input_is_told_and_not_sent(
    registry: Registry, emulator: Emulator, *, parameters: dict[str, Any], text: str
) -> None:
    """What cannot be sent is refused with a reason; nothing is created."""
    with pytest.raises(InvalidRequestError, match=text):
        await collect(registry, **parameters)
    assert not any(path.startswith("POST") for path in paths(emulator))


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_the_base_url_with_and_without_its_version(clock: ManualClock, suffix: str) -> None:
    """Both ways of the vendor's clients to write the base URL lead to the same place."""
    async with emulate(Emulator(clock=clock)) as emulator:
        settings = emulator.settings | {"base_url": emulator.base_url.removesuffix("/v1") + suffix}
        async with Registry(only=["replicate"], config={"replicate": settings}, clock=clock) as registry:
            assert (await registry.chat(CHAT, "Hello you")).text == CANNED


@pytest.mark.parametrize(
    ("base_url", "url", "trusted"),
    [
        ("https://api.replicate.com", "https://api.replicate.com/v1/predictions", True),
        ("https://api.replicate.com/v1", "https://stream.replicate.com/v1/files/x", True),
        ("https://api.replicate.com/v1", "https://stream-b.svc.rno2.c.replicate.net/v1/streams/x", True),
        ("https://api.replicate.com/v1", "http://stream.replicate.com/v1/files/x", False),
        ("https://api.replicate.com/v1", "https://replicate.com.example.net/x", False),
        ("https://api.replicate.com/v1", "https://notreplicate.com/x", False),
        ("https://api.replicate.com/v1", "https://replicate.delivery/x", False),
        ("https://proxy.example", "https://stream.replicate.com/v1/files/x", False),
        ("https://proxy.example", "https://proxy.example/anything", True),
        ("https://proxy.example", "https://proxy.example:444/anything", False),
    ],
)
async def test_who_gets_the_token(base_url: str, url: str, *, trusted: bool) -> None:
    """The API's own origin does, and the vendor's other hosts over https as long as the API is the vendor's."""
    request = ChatRequest(model=ModelInfo("a/b"), messages=(Message("user", "Hi"),))
    async with aiohttp.ClientSession() as session:
        client = Replicate(token="r8_x", base_url=base_url)._api(request, session).client
        assert client.trusts(URL(url)) is trusted


async def test_a_stop_text_that_the_model_takes(registry: Registry, emulator: Emulator) -> None:
    """A model with stop sequences stops by itself."""
    reply = await registry.chat(CHAT, "Hello you", stop=[" from", "END"])
    assert sent(emulator) == {"prompt": "Hello you", "stop_sequences": " from,END"}
    assert reply.text == "This is a canned answer"
    assert not (await emulator.created()).cancel_requested


async def test_a_stop_text_that_the_model_does_not_take(registry: Registry, emulator: Emulator) -> None:
    """The answer is cut where the stop text begins, across pieces, and the prediction is canceled."""
    reply = await registry.chat("replicate:", "Hello you", stop=["ed ans"])
    assert reply.text == "This is a cann"
    assert reply.finish == Finish("stop", raw="stop text")
    assert sent(emulator) == {"prompt": "Hello you"}
    assert (await emulator.canceled()).id == (await emulator.created()).id


async def test_what_was_held_back_is_not_lost(registry: Registry) -> None:
    """What could have been a stop text, and was none, is text at the end and before an error."""
    reply = await registry.chat("replicate:", "Hello you", stop=["you, too"])
    assert reply.text == CANNED
    emulated = next(model for model in FAULTY if model.name == "stream-error")
    assert emulated.behaviour.stops_after == 3
    error = await failure(registry, "replicate:sandbox/stream-error", stop=["is,a"])
    assert error.partial is not None
    assert error.partial.text == "This is"


def test_resolving_names(emulator: Emulator) -> None:
    """Known names are known, others are taken after the provider's name, and what is no name is refused."""
    registry = Registry(only=["replicate"], config={"replicate": emulator.settings})
    default = registry.resolve("replicate:")
    assert (default.name, default.is_default, default.known) == ("meta/meta-llama-3-70b-instruct", True, True)
    assert registry.resolve("meta/meta-llama-3-70b-instruct:latest") == default
    assert registry.resolve("openai/gpt-4o-mini").tasks == frozenset({"chat"})
    other = registry.resolve("replicate:acme/model")
    assert (other.name, other.known, other.provider) == ("acme/model", False, "replicate")
    versioned = registry.resolve(f"replicate:meta/llama-2-70b-chat:{'0' * 64}")
    assert (versioned.name, versioned.known) == (f"meta/llama-2-70b-chat:{'0' * 64}", False)
    for name in ("replicate:llama", "replicate:meta/a b", "acme/model"):
        with pytest.raises(UnknownModelError):
            registry.resolve(name)
    with pytest.raises(UnknownModelError, match=r"did you mean meta/meta-llama-3-70b-instruct"):
        registry.resolve("replicate:meta-llama-3-70b-instruct")


async def test_a_name_that_no_resolver_gave(registry: Registry) -> None:
    """A model made by hand is checked as well."""
    with pytest.raises(InvalidRequestError, match="owner/name"):
        await collect(registry, ModelInfo("../predictions", provider="replicate"))  # type: ignore[arg-type]


def test_what_is_told_of_the_provider(emulator: Emulator) -> None:
    """The label, the pages and the variable are there before anything is asked."""
    registry = Registry(only=["replicate"], config={"replicate": emulator.settings})
    registry.resolve("replicate:")
    about = registry.plugins["replicate"].about
    assert about is not None
    assert (about.label, about.key_variable, about.needs_key) == ("Replicate", "REPLICATE_API_TOKEN", True)
    assert about.default_model in about.models
