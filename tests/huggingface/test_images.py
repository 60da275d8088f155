"""Pictures, from the request to the bytes, for both providers."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core_chat import (
    ContentFilteredError,
    CoreError,
    Finish,
    InvalidRequestError,
    Media,
    Message,
    ModelNotFoundError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    Registry,
    Reply,
    Retry,
    Route,
    TimedOutError,
    UnavailableError,
)
from core_chat.messages import Image
from core_chat.sandbox import sandboxes
from core_chat.testing import ManualClock, Request, Response, Upstream
from core_chat.testing.upstream import Routes
from core_huggingface import HuggingFace, HuggingFaceInference
from core_huggingface.sandbox.pictures import canned_picture

PNG = canned_picture("A cat", width=8, height=8)
TEXT = base64.b64encode(PNG).decode()
FILE = Response(PNG, headers={"Content-Type": "image/jpeg"})
MODEL = "org/m"


def _mapping(*offers: tuple[str, str]) -> Response:
    entries = {name: {"status": "live", "providerId": id_, "task": "text-to-image"} for name, id_ in offers}
    return Response.json({"id": MODEL, "inferenceProviderMapping": entries})


def _link(request: Request) -> str:
    return f"{request.origin}/files/a.png"


@asynccontextmanager
async def _registry(routes: Routes, *, attempts: int = 1, **settings: Any) -> AsyncIterator[tuple[Registry, Upstream]]:
    """A registry with both providers over one scripted host, which is the Hub, the router and all makers behind it."""
    async with (
        Upstream(routes=routes) as upstream,
        Registry(only=(), clock=ManualClock(), retry=Retry(attempts=attempts)) as registry,
    ):
        urls = {"token": "hf_canary", "hub_url": upstream.url, **settings}
        registry.register(HuggingFace(base_url=f"{upstream.url}/v1", **urls), "huggingface")
        registry.register(HuggingFaceInference(base_url=f"{upstream.url}/hf-inference", **urls), "inference")
        yield registry, upstream


POLLS: Mapping[str, Mapping[str, Any]] = {
    "hf-inference": {"POST /hf-inference/models/vendor/m": Response(PNG, headers={"Content-Type": "image/jpeg"})},
    "hf-inference, base64": {"POST /hf-inference/*": Response.json({"data": [{"b64_json": TEXT}]})},
    "hf-inference, link": {"POST /hf-inference/*": lambda sent: Response.json({"output": [_link(sent)]})},
    "hf-inference, octets": {"POST /hf-inference/*": Response(PNG)},
    "fal-ai": {
        "POST /fal-ai/vendor/m": Response.json(
            {"request_id": "7", "status": "IN_QUEUE", "response_url": "https://queue.fal.run/vendor/m/requests/7"}
        ),
        "GET /fal-ai/vendor/m/requests/7/status": [
            Response.json({"status": "IN_QUEUE"}),
            Response.json({"status": "IN_PROGRESS"}),
            Response.json({"status": "COMPLETED"}),
        ],
        "GET /fal-ai/vendor/m/requests/7": lambda sent: Response.json({"images": [{"url": _link(sent)}]}),
    },
    "fal-ai, at once": {
        "POST /fal-ai/vendor/m": lambda sent: Response.json(
            {"images": [{"url": _link(sent), "content_type": "image/jpeg"}], "seed": 1, "has_nsfw_concepts": [False]}
        )
    },
    "fal-ai, inline": {
        "POST /fal-ai/vendor/m": Response.json({"images": [{"url": f"data:image/png;base64,{TEXT}"}], "seed": 1})
    },
    "nscale": {"POST /nscale/v1/images/generations": Response.json({"data": [{"b64_json": TEXT}]})},
    "together": {"POST /together/v1/images/generations": Response.json({"data": [{"b64_json": TEXT, "index": 0}]})},
    "together, link": {
        "POST /together/v1/images/generations": lambda sent: Response.json({"data": [{"url": _link(sent), "index": 0}]})
    },
    "replicate": {
        "POST /replicate/v1/models/vendor/m/predictions": lambda sent: Response.json(
            {"status": "processing", "output": [_link(sent)], "urls": {"get": "https://api.replicate.com/v1/x"}},
            status=201,
        )
    },
    "replicate, later": {
        "POST /replicate/*": Response.json(
            {
                "status": "processing",
                "output": None,
                "error": None,
                "urls": {"get": "https://api.replicate.com/v1/p/7"},
            },
            status=201,
        ),
        "GET /replicate/v1/p/7": [
            Response.json({"status": "processing", "output": None}),
            lambda sent: Response.json({"status": "succeeded", "output": _link(sent)}),
        ],
    },
    "wavespeed": {
        "POST /wavespeed/api/v3/vendor/m": Response.json(
            {"code": 200, "message": "success", "data": {"id": "7", "urls": {"get": "https://api.wavespeed.ai/r/7"}}}
        ),
        "GET /wavespeed/r/7": [
            Response.json({"data": {"status": "created", "outputs": []}}),
            Response.json({"data": {"status": "processing", "outputs": []}}),
            lambda sent: Response.json({"data": {"status": "completed", "outputs": [_link(sent)]}}),
        ],
    },
    "zai-org": {
        "POST /zai-org/api/paas/v4/async/images/generations": Response.json({"id": "7", "task_status": "PROCESSING"}),
        "GET /zai-org/api/paas/v4/async-result/7": [
            Response.json({"id": "7", "task_status": "PROCESSING"}),
            lambda sent: Response.json({"task_status": "SUCCESS", "image_result": [{"url": _link(sent)}]}),
        ],
    },
}


@pytest.mark.parametrize("row", POLLS)
async def test_each_row_of_the_table_gives_the_picture(row: str) -> None:
    """One media event whose bytes match; the file is fetched without the key, everything else with it."""
    provider = row.partition(",")[0]
    routes = {"GET /api/models/*": _mapping((provider, "vendor/m")), "GET /files/a.png": FILE, **POLLS[row]}
    async with (
        _registry(routes) as (registry, upstream),
        registry.stream(f"huggingface:{MODEL}", "A cat", width=8, height=8) as stream,
    ):
        events = [event async for event in stream]
    assert [event for event in events if isinstance(event, Media)] == [Media(data=PNG, media_type="image/png")]
    assert [event.backend for event in events if isinstance(event, Route)] == [provider]
    assert events[-1] == Finish("stop")
    for request in upstream.requests:
        sent = request.headers.get("authorization")
        assert sent == (None if request.path.startswith("/files") else "Bearer hf_canary")
    assert upstream.requests[1].json()[_PROMPT.get(provider, "prompt")] is not None


_PROMPT = {"hf-inference": "inputs", "replicate": "input"}
SHAPES = [row for row in POLLS if row.startswith("hf-inference")]


@pytest.mark.parametrize("row", SHAPES)
async def test_an_endpoint_may_answer_in_each_shape(row: str) -> None:
    """`huggingface-inference` reads them all; the Hub tells that the model makes pictures."""
    model = Response.json({"id": "vendor/m", "pipeline_tag": "text-to-image"})
    routes = {"GET /api/models/*": model, "GET /files/a.png": FILE, **POLLS[row]}
    async with _registry(routes) as (registry, upstream):
        reply = await registry.chat("inference:vendor/m", "A cat", seed=7, aspect_ratio="1:1")
    assert reply.media == (Media(data=PNG, media_type="image/png"),)
    assert upstream.requests[1].json() == {
        "inputs": "A cat",
        "parameters": {"width": 1024, "height": 1024, "seed": 7},
    }


@pytest.mark.parametrize("row", ["fal-ai", "replicate, later", "wavespeed", "zai-org"])
async def test_an_endpoint_may_answer_with_a_job(row: str) -> None:
    """A job named by an endpoint of one's own is followed below it."""
    provider = row.partition(",")[0]
    first, *others = POLLS[row].values()
    routes: dict[str, Any] = {"POST /hf-inference/models/vendor/m": first, "GET /files/a.png": FILE}
    paths = [path for path in POLLS[row] if path.startswith("GET")]
    for path, answer in zip(paths, others, strict=True):
        routes[path.replace(f"/{provider}/", "/hf-inference/", 1)] = answer
    async with _registry(routes, hub_url=None) as (registry, _):
        reply = await registry.chat("inference:vendor/m", "A cat", options={"task": "text-to-image"})
    assert reply.media == (Media(data=PNG, media_type="image/png"),)


async def _ask(routes: Routes, *, model: str = f"huggingface:{MODEL}", attempts: int = 1, **parameters: Any) -> Reply:
    async with _registry(routes, attempts=attempts) as (registry, _):
        return await registry.chat(
            model, parameters.pop("messages", "A cat"), **{"width": 8, "height": 8, **parameters}
        )


async def test_the_next_provider_is_asked_where_one_fails() -> None:
    """In the order of the account's preference; all attempts are told in the end."""
    routes = {
        "GET /api/models/*": _mapping(("together", "a"), ("unknown-one", "b"), ("nscale", "c")),
        "POST /together/*": Response.json({"error": "busy"}, status=503),
        "POST /nscale/*": POLLS["nscale"]["POST /nscale/v1/images/generations"],
    }
    reply = await _ask(routes)
    assert reply.media[0].data == PNG
    assert reply.route == Route("huggingface", MODEL, backend="nscale")
    routes["POST /nscale/*"] = Response.json({"error": "broken"}, status=500)
    with pytest.raises(UnavailableError, match="busy") as caught:
        await _ask(routes)
    assert [attempt.target for attempt in caught.value.attempts] == [f"{MODEL}:together", f"{MODEL}:nscale"]
    assert not caught.value.retryable


async def test_a_bad_request_is_asked_of_nobody_else() -> None:
    """Another provider would refuse it too."""
    routes = {
        "GET /api/models/*": _mapping(("together", "a"), ("nscale", "c")),
        "POST /together/*": Response.json({"error": "bad size"}, status=422),
    }
    with pytest.raises(ProviderError, match="bad size"):
        await _ask(routes)


async def test_the_provider_that_can_be_told_everything_comes_first() -> None:
    """Better honoured elsewhere than lost here."""
    routes = {
        "GET /api/models/*": _mapping(("zai-org", "a"), ("nscale", "c")),
        "POST /nscale/*": POLLS["nscale"]["POST /nscale/v1/images/generations"],
    }
    reply = await _ask(routes, seed=7)
    assert reply.route is not None
    assert reply.route.backend == "nscale"
    assert reply.notices == ()


async def test_what_cannot_be_told_is_a_notice_before_anything_is_asked() -> None:
    """And with `strict` nothing is asked."""
    routes: dict[str, Any] = {"GET /api/models/*": _mapping(("nscale", "a"))}
    options = {"num_inference_steps": 4}
    with pytest.raises(InvalidRequestError, match="num_inference_steps"):
        await _ask(routes, options=options, strict=True)
    routes["POST /nscale/*"] = POLLS["nscale"]["POST /nscale/v1/images/generations"]
    reply = await _ask(routes, options=options)
    assert [notice.parameter for notice in reply.notices] == ["options"]


async def test_parameters_of_texts_mean_nothing_to_pictures() -> None:
    """Each is named."""
    routes = {
        "GET /api/models/*": _mapping(("nscale", "a")),
        "POST /nscale/*": POLLS["nscale"]["POST /nscale/v1/images/generations"],
    }
    messages = [Message("system", "Be quick"), Message("user", ["A cat", Image(PNG)])]
    reply = await _ask(routes, messages=messages, temperature=0.5, max_tokens=9, stop="x", aspect_ratio="1:1")
    assert {notice.parameter for notice in reply.notices} == {
        "temperature",
        "max_tokens",
        "stop",
        "messages",
        "aspect_ratio",
        None,
    }


async def test_the_last_user_message_is_the_prompt_unless_an_option_says_more() -> None:
    """An earlier conversation has no part in it."""
    model = Response.json({"id": "vendor/m", "pipeline_tag": "text-to-image"})
    routes = {"GET /api/models/*": model, "POST /hf-inference/*": FILE}
    turns = [Message("user", "A dog"), Message("assistant", "Which?"), Message("user", "A cat")]
    async with _registry(routes) as (registry, upstream):
        await registry.chat("inference:vendor/m", turns)
        await registry.chat("inference:vendor/m", turns, options={"prompt": "A cow", "negative_prompt": "grass"})
    sent = [request.json() for request in upstream.requests if request.method == "POST"]
    assert sent == [
        {"inputs": "A cat", "parameters": {}},
        {"inputs": "A cow", "parameters": {"negative_prompt": "grass"}},
    ]


async def test_a_picture_needs_words() -> None:
    """Nothing is sent without."""
    with pytest.raises(InvalidRequestError, match="what it is to show"):
        await _ask({"GET /api/models/*": _mapping(("nscale", "a"))}, messages=[Message("user", [Image(PNG)])])


async def test_a_model_that_nobody_makes_pictures_with_is_not_found() -> None:
    """Only providers that are not known here serve it."""
    with pytest.raises(ModelNotFoundError, match="makes pictures"):
        await _ask({"GET /api/models/*": _mapping(("brand-new", "a"))})


BROKEN: list[tuple[Response, type[CoreError], str]] = [
    (
        Response("<html><title>Hi</title>", headers={"Content-Type": "text/html"}),
        ProtocolError,
        "HTML page titled 'Hi'",
    ),
    (Response("not a picture", headers={"Content-Type": "image/png"}), ProtocolError, "unexpected"),
    (Response(""), ProtocolError, "unexpected"),
    (Response.json({"message": "hello"}), ProtocolError, "without a picture: hello"),
    (Response.json({"output": ["ftp://x/a.png"]}), ProtocolError, "without a picture"),
    (Response.json({"output": base64.b64encode(b"no picture").decode()}), ProtocolError, "no picture"),
    (Response.json({"error": "broken"}), UnavailableError, "broken"),
    (Response.json({"status": "failed", "error": "NSFW content"}), ContentFilteredError, "NSFW"),
    (Response.json({"error": "loading", "estimated_time": 3.0}, status=503), UnavailableError, "loading"),
    (Response.json({"status": "succeeded", "urls": {"get": "http://x/y"}}), ProtocolError, "without a picture"),
]


@pytest.mark.parametrize(("response", "kind", "text"), BROKEN)
async def test_what_is_no_picture_is_an_error(response: Response, kind: type[CoreError], text: str) -> None:
    """Never an answer without a picture."""
    routes = {
        "GET /api/models/*": Response.json({"id": "vendor/m", "pipeline_tag": "text-to-image"}),
        "POST /hf-inference/*": response,
    }
    with pytest.raises(kind, match=text):
        await _ask(routes, model="inference:vendor/m")


async def test_a_job_that_never_ends_is_given_up() -> None:
    """In the clock's time, and not tried again."""
    routes = {
        "GET /api/models/*": _mapping(("zai-org", "a")),
        "POST /zai-org/*": Response.json({"id": "7", "task_status": "PROCESSING"}),
        "GET /zai-org/*": Response.json({"id": "7", "task_status": "PROCESSING"}),
    }
    with pytest.raises(TimedOutError) as caught:
        await _ask(routes, attempts=3)
    assert not caught.value.retryable


async def test_a_bad_moment_while_waiting_is_got_over() -> None:
    """The job goes on; a few failed questions are none of its business."""
    bad = Response.json({"error": "busy"}, status=503)
    routes: dict[str, Any] = {
        "GET /api/models/*": _mapping(("zai-org", "a")),
        "GET /files/a.png": FILE,
        **POLLS["zai-org"],
        "GET /zai-org/api/paas/v4/async-result/7": [
            bad,
            bad,
            POLLS["zai-org"]["GET /zai-org/api/paas/v4/async-result/7"][1],
        ],
    }
    assert (await _ask(routes)).media[0].data == PNG
    with pytest.raises(UnavailableError, match="busy"):
        await _ask({**routes, "GET /zai-org/api/paas/v4/async-result/7": bad})


async def test_a_refusal_before_anything_was_made_is_tried_again() -> None:
    """A 429 costs nothing."""
    routes: dict[str, Any] = {
        "GET /api/models/*": Response.json({"id": "vendor/m", "pipeline_tag": "text-to-image"}),
        "POST /hf-inference/*": [Response.json({"error": "slow down"}, status=429), FILE],
    }
    assert (await _ask(routes, model="inference:vendor/m", attempts=2)).media[0].data == PNG
    with pytest.raises(RateLimitError):
        await _ask({**routes, "POST /hf-inference/*": Response.json({}, status=429)}, model="inference:vendor/m")


@pytest.mark.parametrize(
    ("path", "requests"),
    [
        ("/models/org/m", ["/models/org/m"]),
        ("/", ["/models/org/m", "/"]),
        ("/v1/images/generations", ["/models/org/m", "/", "/v1/images/generations"]),
    ],
)
async def test_a_server_of_ones_own_is_asked_where_it_answers(path: str, requests: list[str]) -> None:
    """By model, at its root, or as OpenAI's API is; a path that is not there costs nothing."""
    answer = Response.json({"data": [{"b64_json": TEXT}]})
    routes = {f"POST {path}": answer, "POST *": Response("Not Found", status=404)}
    async with Upstream(routes=routes) as upstream, Registry(only=()) as registry:
        registry.register(HuggingFaceInference(token=None, base_url=upstream.url), "own")
        reply = await registry.chat("own:org/m", "A cat", options={"task": "text-to-image"})
    assert reply.media[0].data == PNG
    assert reply.route == Route("own", "org/m")
    assert [request.path for request in upstream.requests] == requests


async def test_the_default_picture_model_is_taken_where_a_picture_is_asked_for() -> None:
    """No model is named, and the task is a picture."""
    routes = {"POST /hf-inference/models/black-forest-labs/FLUX.1-dev": FILE}
    async with _registry(routes) as (registry, _):
        reply = await registry.chat("inference:", "A cat", options={"task": "text-to-image"})
    assert reply.route == Route("inference", "black-forest-labs/FLUX.1-dev", backend="hf-inference")
    assert reply.media[0].data == PNG


MAKERS = ("fal-ai", "nscale", "replicate", "replicate-version", "together", "wavespeed", "zai-org")


@pytest.mark.parametrize("maker", MAKERS)
async def test_the_sandbox_has_every_maker(maker: str) -> None:
    """Its pictures say that they are canned, and have the size that was asked for."""
    async with sandboxes(["huggingface"]) as config, Registry(config=config, clock=ManualClock()) as registry:
        reply = await registry.chat(f"huggingface:sandbox/picture-{maker}", "A cat", width=12, height=10)
    (media,) = reply.media
    assert media.data == canned_picture("A cat", width=12, height=10)
    assert b"canned" in (media.data or b"")


@pytest.mark.parametrize("model", ["", "flux", "sandbox/picture-json", "sandbox/picture-base64"])
async def test_the_sandbox_has_every_shape_of_hf_inference(model: str) -> None:
    """With no configuration."""
    async with sandboxes(["huggingface"]) as config, Registry(config=config) as registry:
        options = {} if model else {"task": "text-to-image"}
        reply = await registry.chat(f"huggingface-inference:{model}", "A cat", options=options)
    assert [media.data for media in reply.media] == [canned_picture("A cat")]


@pytest.mark.parametrize(
    ("model", "kind", "text"),
    [
        ("huggingface:sandbox/picture-failed", UnavailableError, "the sandbox's model broke"),
        ("huggingface:sandbox/picture-unsafe", ContentFilteredError, "NSFW"),
        ("huggingface:sandbox/picture-gone", ProtocolError, "could not be fetched"),
        ("huggingface:sandbox/picture-endless", ProtocolError, "longer than"),
        ("huggingface-inference:sandbox/picture-html", ProtocolError, "Sandbox: no picture"),
    ],
)
async def test_the_sandboxes_failing_makers_fail(model: str, kind: type[ProviderError], text: str) -> None:
    """Each in its own way."""
    async with sandboxes(["huggingface"]) as config, Registry(config=config, clock=ManualClock()) as registry:
        with pytest.raises(kind, match=text):
            await registry.chat(model, "A cat", width=8, height=8)


async def test_the_sandbox_lets_another_provider_make_the_picture() -> None:
    """The first one is unavailable."""
    async with sandboxes(["huggingface"]) as config, Registry(config=config, clock=ManualClock()) as registry:
        reply = await registry.chat("huggingface:sandbox/picture-elsewhere", "A cat", width=8, height=8)
    assert reply.media[0].data == PNG
    assert reply.route is not None
    assert reply.route.backend == "nscale"
