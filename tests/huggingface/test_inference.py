"""The provider `huggingface-inference`: names, prompts, wires found by asking, lists, keys."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core_chat import (
    AuthenticationError,
    Finish,
    InvalidRequestError,
    Message,
    MissingCredentialError,
    ModelInfo,
    ModelNotFoundError,
    ProviderError,
    Registry,
    RequestRejectedError,
    Retry,
    Route,
    TextDelta,
    UnavailableError,
    Usage,
)
from core_chat.errors import ContextLengthError
from core_chat.testing import ManualClock, Request, Response, Upstream
from core_chat.testing.upstream import Routes
from core_huggingface import HuggingFaceInference

RECORDED = Path(__file__).parents[2].parent / "shared/recorded/huggingface"
needs_recordings = pytest.mark.skipif(not RECORDED.exists(), reason="the recorded bodies are not here")

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ '<a>' if add_generation_prompt }}"
INSTRUCT = Response.json(
    {"id": "org/m", "pipeline_tag": "text-generation", "config": {"chat_template_jinja": TEMPLATE}}
)
BASE = Response.json({"id": "org/m", "pipeline_tag": "text-generation", "config": {"tokenizer_config": {}}})
NOT_FOUND = Response("Not Found", status=404, headers={"Content-Type": "text/plain"})
TOKENS: tuple[dict[str, Any], ...] = (
    {"index": 1, "token": {"text": " A", "special": False}, "generated_text": None, "details": None},
    {
        "index": 2,
        "token": {"text": "</s>", "special": True},
        "generated_text": " A",
        "details": {"finish_reason": "eos_token", "generated_tokens": 1, "input_length": 3},
    },
)
TGI = Response.stream((f"data:{json.dumps(token)}\n\n" for token in TOKENS), content_type="text/event-stream")
COMPLETION = {"id": "c-1", "choices": [{"index": 0, "text": " A", "finish_reason": "length"}]}
COMPLETIONS = Response.sse([json.dumps(COMPLETION), "[DONE]"])
PIPELINE = Response.json([{"generated_text": " A"}])


@asynccontextmanager
async def _registry(
    routes: Routes, *, path: str = "/hf-inference", attempts: int = 1, **settings: Any
) -> AsyncIterator[tuple[Registry, Upstream]]:
    """A registry over a scripted host, which is the Hub too."""
    async with (
        Upstream(routes=routes) as upstream,
        Registry(only=(), clock=ManualClock(), retry=Retry(attempts=attempts)) as registry,
    ):
        arguments = {"token": "hf_canary", "hub_url": upstream.url, **settings}
        registry.register(HuggingFaceInference(base_url=f"{upstream.url}{path}", **arguments), "hfi")
        yield registry, upstream


def _prompts(requests: Sequence[Request]) -> list[Any]:
    bodies = [request.json() for request in requests if request.method == "POST"]
    return [body.get("inputs", body.get("prompt")) for body in bodies]


TALK = [Message("system", "Be brief."), Message("user", "Hi")]


async def test_the_models_own_template_makes_the_prompt() -> None:
    """The Hub is asked once, then the endpoint; events, usage and route are those of the answer."""
    async with _registry({"GET /api/models/org/m": INSTRUCT, "POST /hf-inference/models/org/m": TGI}) as (registry, up):
        async with registry.stream("hfi:org/m", TALK, max_tokens=5) as stream:
            events = [event async for event in stream]
        await registry.chat("hfi:org/m", "Bye")
    assert events == [
        Route("hfi", "org/m", backend="hf-inference"),
        TextDelta(" A"),
        Usage(3, 1),
        Finish("stop", raw="eos_token"),
    ]
    assert [request.method for request in up.requests] == ["GET", "POST", "POST"]
    assert _prompts(up.requests) == ["<system>Be brief.<user>Hi<a>", "<user>Bye<a>"]
    assert up.requests[1].json() == {
        "inputs": "<system>Be brief.<user>Hi<a>",
        "parameters": {"return_full_text": False, "details": True, "max_new_tokens": 5},
        "stream": True,
    }
    assert {request.headers.get("authorization") for request in up.requests} == {"Bearer hf_canary"}


async def test_a_conversation_goes_on_and_an_open_answer_is_continued() -> None:
    """The transcript is sent again; a last assistant message is left open."""
    async with _registry({"GET /api/models/org/m": INSTRUCT, "POST /hf-inference/*": TGI}) as (registry, up):
        first = await registry.chat("hfi:org/m", "Hi")
        await registry.chat("hfi:org/m", "More", conversation=first.conversation)
        await registry.chat("hfi:org/m", [Message("user", "Count"), Message("assistant", "One,")])
    assert _prompts(up.requests) == ["<user>Hi<a>", "<user>Hi<assistant> A<user>More<a>", "<user>Count<assistant>One,"]


async def test_a_base_model_gets_the_text_as_it_is() -> None:
    """And anything more needs a format, before anything is sent."""
    async with _registry({"GET /api/models/org/m": BASE, "POST /hf-inference/*": TGI}) as (registry, up):
        reply = await registry.chat("hfi:org/m", "Once upon")
        assert reply.notices == ()
        with pytest.raises(InvalidRequestError, match="plain, mistral"):
            await registry.chat("hfi:org/m", TALK)
        await registry.chat("hfi:org/m", TALK, options={"format": "plain"})
    assert _prompts(up.requests) == ["Once upon", "System: Be brief.\nUser: Hi\nAssistant:"]


async def test_without_a_hub_nobody_is_asked_for_a_template() -> None:
    """A server of one's own need not be known to the Hub; the caller is told, and no key is needed."""
    async with _registry({"POST /*": TGI}, path="", hub_url=None, token=None) as (registry, up):
        reply = await registry.chat("hfi:org/m", "Hi")
        await registry.chat("hfi:org/m", TALK, options={"format": "llama"})
        await registry.chat("hfi:org/m", TALK, options={"template": TEMPLATE})
        await registry.chat("hfi:org/m", TALK, options={"prompt": "<raw>"})
    assert [notice.code for notice in reply.notices] == ["no_template"]
    assert all("authorization" not in request.headers for request in up.requests)
    assert _prompts(up.requests)[0] == "Hi"
    assert _prompts(up.requests)[1].startswith("<|begin_of_text|>")
    assert _prompts(up.requests)[2:] == ["<system>Be brief.<user>Hi<a>", "<raw>"]


async def test_a_configured_format_is_for_calls_that_name_none() -> None:
    """It comes before the model's template, which is then not looked up."""
    async with _registry({"POST /hf-inference/*": TGI}, format="qwen") as (registry, up):
        await registry.chat("hfi:", "Hi")
        await registry.chat("hfi:", "Hi", options={"format": "plain"})
    assert _prompts(up.requests) == ["<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "Hi"]
    with pytest.raises(InvalidRequestError, match="must be one of plain, mistral"):
        HuggingFaceInference(format="chatml")


async def test_custom_takes_the_models_end_token() -> None:
    """The Hub is asked only where the caller named none."""
    model = Response.json({"id": "org/m", "config": {"tokenizer_config": {"eos_token": {"content": "</s>"}}}})
    async with _registry({"GET /api/models/org/m": model, "POST /hf-inference/*": TGI}) as (registry, up):
        await registry.chat("hfi:org/m", "Hi", options={"format": "custom"})
    assert _prompts(up.requests) == ["<|user|>\nHi</s>\n<|assistant|>\n"]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_model_that_the_hub_does_not_show_can_still_be_asked(status: int) -> None:
    """The message goes as it is, and the caller is told."""
    hidden = Response.json({"error": "Repository not found"}, status=status, headers={"X-Error-Code": "RepoNotFound"})
    async with _registry({"GET /api/models/*": hidden, "POST /hf-inference/*": TGI}) as (registry, _):
        reply = await registry.chat("hfi:org/m", "Hi")
    assert [notice.code for notice in reply.notices] == ["no_template"]


async def test_a_hub_that_is_down_is_an_error() -> None:
    """A prompt without the model's template would be another question."""
    down = Response.json({"error": "down"}, status=503, headers={"Retry-After": "1"})
    async with _registry({"GET /api/models/*": [down, INSTRUCT], "POST /hf-inference/*": TGI}, attempts=2) as pair:
        reply = await pair[0].chat("hfi:org/m", "Hi")
        assert reply.text == " A"
    async with _registry({"GET /api/models/*": down}) as (registry, _):
        with pytest.raises(UnavailableError, match="down"):
            await registry.chat("hfi:org/m", "Hi")


async def test_a_hostile_template_reaches_nobody() -> None:
    """The error comes in bounded time, and names the way out."""
    endless = "{% for i in range(99999) %}{% for j in range(99999) %}{{ '' }}{% endfor %}{% endfor %}"
    model = Response.json({"id": "org/m", "config": {"chat_template_jinja": endless}})
    async with _registry({"GET /api/models/*": model}) as (registry, _):
        with pytest.raises(InvalidRequestError, match=r"computes for more than 2 s.*format"):
            await registry.chat("hfi:org/m", "Hi")


ANSWERS = [TGI, PIPELINE, Response.json({"generated_text": " A"}), COMPLETIONS, Response.json(COMPLETION)]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("content_type", [None, "text/plain", "application/octet-stream"])
async def test_the_answer_is_read_by_what_it_is(answer: Response, content_type: str | None) -> None:
    """A stream or a whole body, of either wire, whatever its Content-Type says."""
    headers = {**answer.headers} | ({"Content-Type": content_type} if content_type else {})
    answer = Response(answer.body, headers=headers, framing=answer.framing)
    async with _registry({"GET /api/models/*": BASE, "POST /hf-inference/models/org/m": answer}) as (registry, _):
        reply = await registry.chat("hfi:org/m", "Hi")
    assert reply.text == " A"
    assert reply.route is not None
    assert (reply.route.model, reply.route.backend) == ("org/m", "hf-inference")


MISSING = [
    NOT_FOUND,
    Response.json({"detail": "Not Found"}, status=404),
    Response.json({"detail": "Method Not Allowed"}, status=405),
    Response.json({"detail": [{"loc": ["body", "prompt"], "msg": "Field required", "type": "missing"}]}, status=422),
]


@pytest.mark.parametrize("missing", MISSING)
async def test_the_wire_that_is_there_is_found_and_remembered(missing: Response) -> None:
    """The other one is asked for once."""
    routes = {
        "GET /api/models/*": BASE,
        "POST /hf-inference/models/org/m": missing,
        "POST /hf-inference/models/org/m/v1/completions": COMPLETIONS,
    }
    async with _registry(routes) as (registry, up):
        for _ in range(2):
            reply = await registry.chat("hfi:org/m", "Hi", temperature=0)
            assert reply.text == " A"
            assert reply.finish == Finish("length", raw="length")
    paths = [request.path.removeprefix("/hf-inference") for request in up.requests if request.method == "POST"]
    assert paths == ["/models/org/m", *["/models/org/m/v1/completions"] * 2]
    assert up.requests[-1].json() == {
        "model": "org/m",
        "prompt": "Hi",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
    }


async def test_a_wire_that_has_gone_is_looked_for_again() -> None:
    """A server may have been updated."""
    routes: dict[str, Any] = {
        "GET /api/models/*": BASE,
        "POST /hf-inference/models/org/m": [TGI, NOT_FOUND],
        "POST /hf-inference/models/org/m/v1/completions": COMPLETIONS,
    }
    async with _registry(routes) as (registry, up):
        for _ in range(3):
            assert (await registry.chat("hfi:org/m", "Hi")).text == " A"
    assert [request.path.endswith("completions") for request in up.requests if request.method == "POST"] == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("path", "route", "asked"),
    [
        ("", "POST /", ["/models/org/m", "/"]),
        ("", "POST /v1/completions", ["/models/org/m", "/", "/v1/completions"]),
        ("/v1", "POST /v1/completions", ["/v1/completions"]),
        ("/models/org/m", "POST /models/org/m/", ["/models/org/m/"]),
    ],
)
async def test_a_server_of_ones_own_is_asked_where_it_answers(path: str, route: str, asked: list[str]) -> None:
    """At its root, at a model's path, or by the newer wire."""
    answer = COMPLETIONS if "completions" in route else TGI
    async with _registry({route: answer, "POST *": NOT_FOUND}, path=path, hub_url=None) as (registry, up):
        assert (await registry.chat("hfi:org/m", "Hi")).text == " A"
    assert [request.path for request in up.requests] == asked


async def test_where_nothing_answers_everything_that_was_tried_is_told() -> None:
    """The first failure is raised, with all the others."""
    async with _registry({"POST *": NOT_FOUND}, path="", hub_url=None) as (registry, _):
        with pytest.raises(ModelNotFoundError, match="Not Found") as caught:
            await registry.chat("hfi:org/m", "Hi")
    assert [attempt.target for attempt in caught.value.attempts] == [
        "tgi at /models/org/m",
        "tgi at /",
        "completions at /v1/completions",
        "completions at /models/org/m/v1/completions",
    ]


async def test_the_wire_can_be_named() -> None:
    """Then no other is tried."""
    async with _registry({"POST /v1/completions": COMPLETIONS, "POST *": NOT_FOUND}, path="", hub_url=None) as pair:
        registry, up = pair
        await registry.chat("hfi:org/m", "Hi", options={"api": "completions"})
        with pytest.raises(ModelNotFoundError):
            await registry.chat("hfi:org/m", "Hi", options={"api": "tgi"})
    assert [request.path for request in up.requests] == ["/v1/completions", "/models/org/m", "/"]


async def test_the_wire_that_can_be_told_everything_is_tried_first() -> None:
    """TGI has no word for a presence penalty; where only it is there, the caller is told before it is asked."""
    routes: dict[str, Any] = {"GET /api/models/*": BASE, "POST /hf-inference/models/org/m/v1/completions": COMPLETIONS}
    async with _registry(routes) as (registry, up):
        reply = await registry.chat("hfi:org/m", "Hi", presence_penalty=1, strict=True)
    assert reply.notices == ()
    assert up.requests[-1].json()["presence_penalty"] == 1
    routes |= {"POST /hf-inference/*/completions": NOT_FOUND, "POST /hf-inference/models/org/m": TGI}
    del routes["POST /hf-inference/models/org/m/v1/completions"]
    async with _registry(routes) as (registry, up):
        reply = await registry.chat("hfi:org/m", "Hi", presence_penalty=1)
        assert [notice.parameter for notice in reply.notices] == ["presence_penalty"]
    async with _registry(routes) as (registry, up):
        with pytest.raises(InvalidRequestError, match="presence_penalty"):
            await registry.chat("hfi:org/m", "Hi", presence_penalty=1, strict=True)
        assert [request.path.endswith("completions") for request in up.requests[1:]] == [True]


REFUSED = (
    "The following `model_kwargs` are not used by the model: {names} (note: typos in the generate arguments will also "
    "show up in this list)"
)


def _pipeline(request: Request) -> Response:
    """A model that knows two parameters, and repeats its prompt unless it is told not to."""
    parameters = request.json()["parameters"]
    if unknown := [name for name in parameters if name not in ("max_new_tokens", "top_k")]:
        return Response.json({"error": REFUSED.format(names=unknown), "warnings": []}, status=400)
    return Response.json([{"generated_text": request.json()["inputs"] + " A"}])


async def test_a_pipeline_is_asked_again_without_what_it_does_not_know() -> None:
    """What the caller had asked for is told; the repeated prompt is cut off; both are remembered."""
    routes: dict[str, Any] = {"GET /api/models/*": BASE, "POST /hf-inference/models/org/m": _pipeline}
    async with _registry(routes) as (registry, up):
        reply = await registry.chat("hfi:org/m", "Hi", max_tokens=3, stop="x", extra={"watermark": True})
        again = await registry.chat("hfi:org/m", "Hi Hi", max_tokens=3)
    assert (reply.text, again.text) == (" A", " A")
    assert {notice.parameter for notice in reply.notices} == {"stop", "extra"}
    assert again.notices == ()
    assert [request.json()["parameters"] for request in up.requests[-2:]] == [{"max_new_tokens": 3}] * 2
    assert len([request for request in up.requests if request.method == "POST"]) == 3


async def test_a_strict_call_of_such_a_pipeline_fails_before_anything_is_generated() -> None:
    """The refused request generated nothing."""
    async with _registry({"GET /api/models/*": BASE, "POST /hf-inference/*": _pipeline}) as (registry, up):
        with pytest.raises(InvalidRequestError, match="stop"):
            await registry.chat("hfi:org/m", "Hi", stop="x", strict=True)
    assert len([request for request in up.requests if request.method == "POST"]) == 1


@needs_recordings
async def test_recorded_answers_stream_through_the_provider() -> None:
    """Real bytes, from the socket to the reply."""
    name = "textgen_stream_tgi_llama2.txt"
    body = (RECORDED / name).read_bytes()
    expected = json.loads((RECORDED / "expected_streams.json").read_text(encoding="utf-8"))[name]
    answer = Response.stream([body], content_type="text/event-stream")
    async with _registry({"GET /api/models/*": BASE, "POST /hf-inference/*": answer}) as (registry, _):
        reply = await registry.chat("hfi:org/m", "Hi")
    assert len(reply.text) == expected["content_len"]
    assert reply.text.startswith(expected["content_head"])


@needs_recordings
@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("error_401_router.json", 401, AuthenticationError),
        ("error_404_router_hf_inference.json", 404, ModelNotFoundError),
        ("error_422_router_plaintext.txt", 422, RequestRejectedError),
        ("error_422_router_validation.json", 422, ContextLengthError),
    ],
)
async def test_recorded_errors_have_their_names(name: str, status: int, kind: type[ProviderError]) -> None:
    """As the router and TGI really send them."""
    error = Response((RECORDED / name).read_bytes(), status=status)
    async with _registry({"GET /api/models/*": BASE, "POST /hf-inference/*": error}) as (registry, _):
        with pytest.raises(kind) as caught:
            await registry.chat("hfi:org/m", "Hi")
    assert type(caught.value) is kind


async def test_a_key_is_needed_for_the_vendor_alone() -> None:
    """The error names the variable and the page."""
    async with Registry(only=()) as registry:
        registry.register(HuggingFaceInference(token=None), "hfi")
        with pytest.raises(MissingCredentialError, match=r"HF_TOKEN.*settings/tokens"):
            await registry.chat("hfi:", "Hi")


async def test_the_key_goes_to_no_other_host() -> None:
    """A Hub that is another host than the endpoint is asked without it."""
    async with (
        Upstream(routes={"GET *": INSTRUCT}) as hub,
        _registry({"POST /hf-inference/*": TGI}, hub_url=hub.url) as (registry, up),
    ):
        await registry.chat("hfi:org/m", "Hi", api_key="hf_call")
    assert "authorization" not in hub.requests[0].headers
    assert up.requests[0].headers["authorization"] == "Bearer hf_call"


@pytest.mark.parametrize(
    ("name", "expected", "known"),
    [
        ("", "Qwen/Qwen2.5-72B-Instruct", True),
        ("Qwen/Qwen2.5-72B-Instruct", "Qwen/Qwen2.5-72B-Instruct", True),
        ("flux", "black-forest-labs/FLUX.1-dev", True),
        ("flux-schnell", "black-forest-labs/FLUX.1-schnell", False),
        ("llama-3", "meta-llama/Llama-3.3-70B-Instruct", False),
        ("openai-community/gpt2", "openai-community/gpt2", True),
        ("org/m", "org/m", False),
    ],
)
def test_names_resolve(name: str, expected: str, known: bool) -> None:  # noqa: FBT001 - a parameter
    """Every id is accepted after the provider's name; aliases lead to the ids behind them."""
    model = HuggingFaceInference(token=None).resolve_model(name)
    assert model is not None
    assert (model.name, model.known, model.is_default) == (expected, known, name == "")


async def test_the_hub_lists_what_hf_inference_serves() -> None:
    """Both tasks, or the one that is asked for, searched by the Hub."""
    serving = {"provider": "hf-inference", "providerId": "x", "status": "live"}

    def listing(request: Request) -> Response:
        tag = request.query["pipeline_tag"]
        task = "conversational" if tag == "text-generation" else tag
        return Response.json([{"id": f"org/{tag}", "inferenceProviderMapping": [{**serving, "task": task}]}])

    async with _registry({"GET /api/models": listing}) as (registry, up):
        catalog = await registry.models("hfi")
        pictures = await registry.models("hfi", task="text-to-image", search="org")
    assert [(model.name, model.backends) for model in catalog.models] == [
        ("org/text-generation", ("hf-inference",)),
        ("org/text-to-image", ("hf-inference",)),
    ]
    assert [model.name for model in pictures.models] == ["org/text-to-image"]
    assert up.requests[0].query["inference_provider"] == "hf-inference"
    assert up.requests[-1].query["search"] == "org"


async def test_without_the_hub_the_bundled_models_are_listed_with_the_failure() -> None:
    """What is known is shown, and why it is not more."""
    async with _registry({"GET *": Response("", status=500)}) as (registry, _):
        catalog = await registry.models("hfi")
    assert {model.name for model in catalog.models} == {"Qwen/Qwen2.5-72B-Instruct", "black-forest-labs/FLUX.1-dev"}
    assert {model.source for model in catalog.models} == {"bundled"}
    assert isinstance(catalog.failures["hfi"], UnavailableError)


async def test_a_server_of_ones_own_lists_its_models() -> None:
    """From its list, or, of a TGI without one, from what it tells of itself."""
    listed = Response.json({"data": [{"id": "org/m", "max_model_len": 2048}]})
    async with _registry({"GET /v1/models": listed}, path="", hub_url=None) as (registry, _):
        models = (await registry.models("hfi")).models
    assert models == (ModelInfo("org/m", provider="hfi", context=2048, tasks={"text-generation"}, source="live"),)
    info = Response.json({"model_id": "org/tgi", "max_input_length": 1024, "version": "2.0"})
    async with _registry({"GET /info": info, "GET *": NOT_FOUND}, path="", hub_url=None) as (registry, _):
        models = (await registry.models("hfi")).models
    assert [(model.name, model.context) for model in models] == [("org/tgi", 1024)]
