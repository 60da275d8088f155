"""The provider `huggingface`: names, requests, routes, keys, lists, and servers of one's own."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core_chat import (
    Image,
    InvalidRequestError,
    Message,
    MissingCredentialError,
    ModelInfo,
    ModelNotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProviderError,
    Registry,
    RequestRejectedError,
    Retry,
    Route,
    UnavailableError,
)
from core_chat.testing import ManualClock, Request, Response, Stall, Upstream, faults
from core_chat.testing.upstream import Routes
from core_huggingface import HuggingFace
from core_huggingface._aliases import DEFAULT_CHAT, DEFAULT_VISION

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
TEXT = '{"id":"c-1","choices":[{"index":0,"delta":{"content":"Hi"}}]}'
STOP = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'


def answer(backend: str | None = "novita") -> Response:
    """A short stream, with the router's header."""
    stream = Response.sse([TEXT, STOP, "[DONE]"])
    headers = {**stream.headers, "X-Request-Id": "r-1"} | ({"X-Inference-Provider": backend} if backend else {})
    return Response(stream.body, headers=headers, framing="chunked")


def failing(status: int, text: str = "no", *, backend: str | None = None, **more: Any) -> Response:
    """An error of the router."""
    headers = {"X-Inference-Provider": backend} if backend else {}
    return Response.json({"error": {"message": text, **more}}, status=status, headers=headers)


def mapping(*providers: str, task: str = "conversational", status: str = "live") -> Response:
    """The Hub's answer, by provider."""
    entries = {name: {"status": status, "providerId": "x", "task": task} for name in providers}
    return Response.json({"id": "org/m", "inferenceProviderMapping": entries})


@asynccontextmanager
async def registry_over(
    routes: Routes, *, attempts: int = 1, **settings: Any
) -> AsyncIterator[tuple[Registry, Upstream]]:
    """A registry in which `huggingface` talks to a scripted router that is the Hub too."""
    async with (
        Upstream(routes=routes) as upstream,
        Registry(only=(), retry=Retry(attempts=attempts), clock=ManualClock()) as registry,
    ):
        usual = {"token": "hf_1", "base_url": f"{upstream.url}/v1", "hub_url": upstream.url}
        registry.register(HuggingFace(**{**usual, **settings}), "huggingface")
        yield registry, upstream


@asynccontextmanager
async def provider_over(
    *chats: Response, hub: Response | None = None, **settings: Any
) -> AsyncIterator[tuple[Registry, Upstream]]:
    """The same, for a router and a Hub that answer as told."""
    routes: dict[str, Any] = {"POST /v1/chat/completions": list(chats)}
    if hub is not None:
        routes["GET /api/models/*"] = hub
    async with registry_over(routes, **settings) as over:
        yield over


def chats(upstream: Upstream) -> list[Request]:
    """The requests that asked for an answer."""
    return [request for request in upstream.requests if request.method == "POST"]


def asked(upstream: Upstream) -> list[str]:
    """The model ids that were asked for."""
    return [request.json()["model"] for request in chats(upstream)]


def told(messages: Sequence[Any]) -> list[str | None]:
    """The parameters that notices name."""
    return [notice.parameter for notice in messages]


@pytest.mark.parametrize(
    ("name", "resolved", "known"),
    [
        ("", DEFAULT_CHAT, True),
        ("llama-3", DEFAULT_CHAT, True),
        ("llama-3:novita", f"{DEFAULT_CHAT}:novita", True),
        ("deepseek-r1", "deepseek-ai/DeepSeek-R1", True),
        (f"{DEFAULT_CHAT}:fastest", f"{DEFAULT_CHAT}:fastest", True),
        ("org/new-model", "org/new-model", False),
        ("org/new-model:brand-new-provider", "org/new-model:brand-new-provider", False),
    ],
)
def test_names_are_resolved(name: str, resolved: str, known: bool) -> None:  # noqa: FBT001 - a table
    """Aliases, suffixes and ids that are on no list."""
    model = HuggingFace(token=None).resolve_model(name)
    assert model is not None
    assert (model.name, model.known) == (resolved, known)


async def test_a_question_goes_to_the_router() -> None:
    """One request, the model first in it; the answer's header tells who served it."""
    async with provider_over(answer("cerebras")) as (registry, upstream):
        reply = await registry.chat("huggingface:", "Hi", temperature=0)
    assert reply.text == "Hi"
    assert reply.route == Route("huggingface", DEFAULT_CHAT, backend="cerebras", upstream_id="r-1")
    (sent,) = upstream.requests
    assert sent.body.startswith(b'{"model": "' + DEFAULT_CHAT.encode())
    assert set(sent.json()) == {"model", "messages", "stream", "stream_options", "temperature"}
    assert sent.headers["authorization"] == "Bearer hf_1"
    assert "x-hf-bill-to" not in sent.headers


@pytest.mark.parametrize("suffix", ["novita", "fastest", "cheapest", "preferred", "brand-new"])
async def test_a_suffix_is_passed_on(suffix: str) -> None:
    """Providers, policies and names that nobody knew before; the route names the model without it."""
    async with provider_over(answer(None)) as (registry, upstream):
        reply = await registry.chat(f"huggingface:org/m:{suffix}", "Hi")
    assert asked(upstream) == [f"org/m:{suffix}"]
    assert reply.route is not None
    assert reply.route.model == "org/m"
    assert reply.route.backend == (suffix if suffix in ("novita", "brand-new") else None)


async def test_somebody_else_pays() -> None:
    """Per call, or as configured."""
    async with provider_over(answer(), answer(), bill_to="our-org") as (registry, upstream):
        await registry.chat("huggingface:org/m", "Hi")
        await registry.chat("huggingface:org/m", "Hi", options={"bill_to": "their-org"})
    assert [request.headers["x-hf-bill-to"] for request in upstream.requests] == ["our-org", "their-org"]


async def test_a_key_of_the_call_is_the_only_one_sent() -> None:
    """Also to the Hub."""
    async with provider_over(failing(500), answer(), hub=mapping("novita")) as (registry, upstream):
        await registry.chat("huggingface:org/m", "Hi", api_key="hf_2")
    assert {request.headers["authorization"] for request in upstream.requests} == {"Bearer hf_2"}
    assert len(upstream.requests) == 3


async def test_without_a_key_nothing_is_sent_to_the_router() -> None:
    """The error names the variable and the page."""
    async with Registry(only=()) as registry:
        registry.register(HuggingFace(token=None), "huggingface")
        with pytest.raises(MissingCredentialError, match=r"HF_TOKEN.*settings/tokens"):
            await registry.chat("huggingface:", "Hi")


async def test_a_server_of_ones_own_needs_no_key_and_no_hub() -> None:
    """Its models have whatever names they have, and no other is asked where one fails."""
    async with provider_over(answer(None), failing(503), hub_url=None, token=None) as (registry, upstream):
        await registry.chat("huggingface:llama-3:8b", "Hi")
        with pytest.raises(UnavailableError):
            await registry.chat("huggingface:tiny", "Hi")
    assert asked(upstream) == ["llama-3:8b", "tiny"]
    assert len(upstream.requests) == 2
    assert "authorization" not in upstream.requests[0].headers


async def test_tools_formats_and_pictures_are_sent() -> None:
    """As the wire has them."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    async with provider_over(answer()) as (registry, upstream):
        await registry.chat(
            "huggingface:org/m",
            [Message("system", "Be brief."), Message("user", ["Look", Image(PNG)])],
            tools=[tool],
            tool_choice="required",
            response_format="json",
        )
    body = upstream.requests[0].json()
    assert body["tools"] == [tool]
    assert (body["tool_choice"], body["response_format"]) == ("required", {"type": "json_object"})
    assert body["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")


async def test_pictures_without_a_model_go_to_one_that_sees() -> None:
    """The route says so; a model that was named is asked, whatever it can."""
    picture = [Message("user", ["Look", Image(PNG)])]
    async with provider_over(answer(), answer()) as (registry, upstream):
        reply = await registry.chat("huggingface:", picture)
        await registry.chat(f"huggingface:{DEFAULT_CHAT}", picture)
    assert asked(upstream) == [DEFAULT_VISION, DEFAULT_CHAT]
    assert reply.route is not None
    assert reply.route.model == DEFAULT_VISION
    assert [notice.code for notice in reply.notices] == ["vision_model"]


async def test_what_cannot_be_honoured_is_told_first() -> None:
    """With `strict` nothing is sent."""
    async with provider_over(answer()) as (registry, upstream):
        reply = await registry.chat("huggingface:org/m", "Hi", top_k=5, options={"prompt": "x"})
        assert told(reply.notices) == ["options", "top_k"]
        for asked_for in ({"top_k": 5}, {"options": {"guidance_scale": 2}}):
            with pytest.raises(InvalidRequestError):
                async with registry.stream(f"huggingface:{DEFAULT_CHAT}", "Hi", strict=True, **asked_for) as stream:
                    await stream.reply()
    assert len(chats(upstream)) == 1


async def test_extra_may_name_the_model() -> None:
    """It is verbatim, and still first."""
    async with provider_over(answer()) as (registry, upstream):
        reply = await registry.chat("huggingface:org/m", "Hi", extra={"model": "org/other:novita", "x": 1})
    assert upstream.requests[0].body.startswith(b'{"model": "org/other:novita"')
    assert upstream.requests[0].json()["x"] == 1
    assert reply.route is not None
    assert reply.route.model == "org/other"


@pytest.mark.parametrize(
    "options",
    [
        {"providers": ["a:b"]},
        {"providers": [""]},
        {"providers": [5]},
        {"provider": "novita"},
        {"bill_to": ""},
        {"bill_to": "a\r\nX-B: c"},
    ],
)
async def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    """Before anything is sent."""
    async with provider_over() as (registry, upstream):
        with pytest.raises(InvalidRequestError):
            await registry.chat("huggingface:org/m", "Hi", options=options)
        with pytest.raises(InvalidRequestError, match="both say"):
            await registry.chat("huggingface:org/m:novita", "Hi", options={"providers": "together"})
    assert upstream.requests == []


async def test_the_next_provider_answers() -> None:
    """Who answered first is not asked again; what failed is told, and the key's mapping was asked once."""
    script = (failing(402, "empty here", backend="together"), answer(None))
    async with provider_over(*script, hub=mapping("together", "novita")) as (registry, upstream):
        reply = await registry.chat("huggingface:org/m", "Hi", temperature=0.5)
    assert asked(upstream) == ["org/m", "org/m:novita"]
    first, second = (request.json() for request in chats(upstream))
    assert {**second, "model": "org/m"} == first
    assert reply.route == Route("huggingface", "org/m", backend="novita", upstream_id="r-1")
    assert [notice.code for notice in reply.notices] == ["fallback"]
    assert "empty here" in reply.notices[0].text


async def test_when_all_fail_every_reason_is_told() -> None:
    """The first failure is raised, with one attempt for each."""
    script = (failing(402, "empty", backend="a"), failing(503, "busy"), failing(403, "not here"))
    async with provider_over(*script, hub=mapping("a", "b", "c")) as (registry, upstream):
        with pytest.raises(PaymentRequiredError) as caught:
            await registry.chat("huggingface:org/m", "Hi")
    assert asked(upstream) == ["org/m", "org/m:b", "org/m:c"]
    assert [(one.target, one.status, one.text) for one in caught.value.attempts] == [
        ("org/m (a)", 402, "empty"),
        ("org/m:b", 503, "busy"),
        ("org/m:c", 403, "not here"),
    ]
    assert caught.value.retryable is False


async def test_a_busy_upstream_is_asked_again_by_the_core() -> None:
    """When every attempt may be made again, the whole call is, after the wait."""
    busy = [failing(429, "busy") for _ in range(2)]
    async with provider_over(*busy, answer(), hub=mapping("a"), attempts=2) as (registry, upstream):
        reply = await registry.chat("huggingface:org/m", "Hi")
    assert reply.text == "Hi"
    assert asked(upstream) == ["org/m", "org/m:a", "org/m"]


async def test_the_callers_own_list_is_asked_in_order() -> None:
    """And nobody else, not even the Hub."""
    async with provider_over(failing(500), answer()) as (registry, upstream):
        await registry.chat("huggingface:org/m", "Hi", options={"providers": ["b", "a"]})
    assert asked(upstream) == ["org/m:b", "org/m:a"]
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(("status", "kind"), [(401, ProviderError), (400, RequestRejectedError), (422, ProviderError)])
async def test_what_no_provider_can_mend_is_raised_at_once(status: int, kind: type[ProviderError]) -> None:
    """A bad key or a bad request."""
    async with provider_over(failing(status)) as (registry, upstream):
        with pytest.raises(kind):
            await registry.chat("huggingface:org/m", "Hi")
    assert len(upstream.requests) == 1


async def test_a_permission_of_the_token_is_told_how_to_mend() -> None:
    """The reason is a code, the text says where."""
    text = "This authentication method does not have sufficient permissions to call Inference Providers"
    async with provider_over(failing(403, text)) as (registry, _):
        with pytest.raises(PermissionDeniedError, match="settings/tokens") as caught:
            await registry.chat("huggingface:org/m", "Hi")
    assert caught.value.reason == "scope"


@pytest.mark.parametrize(
    "hub",
    [
        Response.json({"error": "later"}, status=500),
        Response("<html>", headers={"Content-Type": "text/html"}),
        Response.json([]),
        Response.json({"id": "org/m"}),
        Response.json({"id": "org/m", "inferenceProviderMapping": []}),
        Response.json({"error": "?"}, status=404, headers={"X-Error-Code": "RepoNotFound"}),
        mapping("a", status="staging"),
        mapping("a", task="text-generation"),
    ],
)
async def test_a_mapping_of_no_use_hides_nothing(hub: Response) -> None:
    """The failure that made it necessary is raised as it was."""
    async with provider_over(failing(503, "busy"), hub=hub) as (registry, upstream):
        with pytest.raises(UnavailableError, match="busy"):
            await registry.chat("huggingface:org/m", "Hi")
    assert len(chats(upstream)) == 1


async def test_a_slow_mapping_delays_no_other_stream() -> None:
    """While the Hub does not tell who else serves a model, other answers come from their beginning to their end."""
    stall = Stall()
    script = (failing(402, backend="a"), *(answer() for _ in range(20)), answer(None))
    async with provider_over(*script, hub=faults.slow_headers(mapping("b"), stall)) as (registry, upstream):
        waiting = asyncio.ensure_future(registry.chat("huggingface:org/m", "Hi"))
        await stall.reached.wait()
        for _ in range(20):
            assert (await registry.chat("huggingface:org/other", "Hi")).text == "Hi"
        assert not waiting.done()
        stall.release()
        assert (await waiting).text == "Hi"
    assert asked(upstream)[-1] == "org/m:b"


async def test_leaving_while_the_mapping_is_looked_up_ends_the_look_up() -> None:
    """Nothing is asked for somebody who has gone."""
    stall = Stall()
    async with provider_over(failing(402), hub=faults.slow_headers(mapping("b"), stall)) as (registry, upstream):
        waiting = asyncio.ensure_future(registry.chat("huggingface:org/m", "Hi"))
        await stall.reached.wait()
        waiting.cancel()
        await upstream.left.wait()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert len(chats(upstream)) == 1


async def test_nothing_falls_back_after_the_first_content() -> None:
    """Text, reasoning or a tool call that was shown is never followed by another provider's."""
    error = json.dumps({"error": {"message": "broke", "http_status_code": 503}})
    call = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}
    for delta in ({"content": "Hi"}, {"reasoning": "hm"}, call):
        begun = json.dumps({"choices": [{"index": 0, "delta": delta}]})
        async with provider_over(Response.sse([begun, error]), hub=mapping("a")) as (registry, upstream):
            with pytest.raises(UnavailableError, match="broke") as caught:
                await registry.chat("huggingface:org/m", "Hi")
        assert len(upstream.requests) == 1
        assert caught.value.partial is not None
        assert caught.value.attempts == () or len(caught.value.attempts) == 1


async def test_an_error_before_the_first_content_falls_back() -> None:
    """Also one inside HTTP 200, after a chunk without content; what the failed attempt had begun is not shown."""
    role = '{"id":"c-0","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}'
    error = json.dumps({"error": {"message": "broke", "code": 503}})
    stream = Response.sse([role, error])
    headers = {**stream.headers, "X-Inference-Provider": "a"}
    first = Response(stream.body, headers=headers, framing="chunked")
    async with provider_over(first, answer(None), hub=mapping("a", "b")) as (registry, upstream):
        reply = await registry.chat("huggingface:org/m", "Hi")
    assert asked(upstream) == ["org/m", "org/m:b"]
    assert reply.route is not None
    assert reply.route.backend == "b"


async def test_a_renamed_model_is_found() -> None:
    """The router does not know the old name, the Hub redirects, and the answer comes from the new one."""
    moved = Response("", status=307, headers={"Location": "/api/models/new/m?expand[]=inferenceProviderMapping"})
    found = {"id": "new/m", "inferenceProviderMapping": {"a": {"providerId": "x", "task": "conversational"}}}
    routes: Routes = {
        "POST /v1/chat/completions": [failing(400, "which?", code="model_not_supported"), answer(None)],
        "GET /api/models/old/m": moved,
        "GET /api/models/new/m": Response.json(found),
    }
    async with registry_over(routes) as (registry, upstream):
        reply = await registry.chat("huggingface:old/m", "Hi")
    assert asked(upstream) == ["old/m", "new/m:a"]
    assert reply.route is not None
    assert reply.route.model == "new/m"


async def test_models_are_listed() -> None:
    """Chat from the router, pictures from the Hub; one is the default."""
    chat = {"object": "list", "data": [{"id": DEFAULT_CHAT, "providers": [{"provider": "a", "context_length": 10}]}]}
    pictures = [
        {"id": "a/p", "inferenceProviderMapping": [{"provider": "f", "providerId": "x", "task": "text-to-image"}]}
    ]
    routes = {"GET /v1/models": Response.json(chat), "GET /api/models": Response.json(pictures)}
    async with registry_over(routes) as (registry, _):
        both = await registry.models("huggingface")
        assert [(model.name, model.is_default) for model in both.models] == [(DEFAULT_CHAT, True), ("a/p", False)]
        assert [model.name for model in (await registry.models("huggingface", task="text-to-image")).models] == ["a/p"]
        assert [model.name for model in (await registry.models("huggingface", task="chat")).models] == [DEFAULT_CHAT]
        assert (await registry.models("huggingface", task="translation")).models == ()


async def test_what_can_be_listed_is_listed_when_something_fails() -> None:
    """The bundled models stand in for those that cannot be had, and the failure is told."""
    chat = Response.json({"data": [{"id": "org/m"}]})
    routes = {"GET /v1/models": chat, "GET /api/models": Response.json({}, status=500)}
    async with registry_over(routes) as (registry, _):
        catalog = await registry.models("huggingface")
    sources = {model.name: model.source for model in catalog.models}
    assert sources["org/m"] == "live"
    assert sources["black-forest-labs/FLUX.1-dev"] == "bundled"
    assert DEFAULT_CHAT not in sources
    assert isinstance(catalog.failures["huggingface"], UnavailableError)


async def test_a_server_of_ones_own_lists_what_it_has() -> None:
    """And nothing is made up when it does not answer."""
    routes: dict[str, Any] = {
        "GET /v1/models": [Response.json({"data": [{"id": "tiny"}]}), Response.json({}, status=404)]
    }
    async with registry_over(routes, token=None, hub_url=None) as (registry, _):
        assert [model.name for model in (await registry.models("huggingface")).models] == ["tiny"]
        again = await registry.models("huggingface", task="chat")
    assert again.models == ()
    assert isinstance(again.failures["huggingface"], ModelNotFoundError)


@pytest.mark.parametrize(
    "settings", [{"base_url": "router"}, {"hub_url": "hub"}, {"bill_to": ""}, {"base_url": "http://a:b@c/v1"}]
)
def test_bad_settings_are_refused(settings: dict[str, str]) -> None:
    """When the provider is built."""
    with pytest.raises(InvalidRequestError):
        HuggingFace(**settings)


def test_what_is_resolved_is_marked() -> None:
    """Models that see pictures, and models that make them."""
    provider = HuggingFace(token=None)
    vision, flux = provider.resolve_model("llama-3.2-11b"), provider.resolve_model("flux")
    assert isinstance(vision, ModelInfo)
    assert isinstance(flux, ModelInfo)
    assert vision.features == frozenset({"images"})
    assert flux.tasks == frozenset({"text-to-image"})
