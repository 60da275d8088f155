"""The Hub's metadata: mappings in both forms, renamed models, lists over pages, and who may see the token."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core_chat import (
    InvalidRequestError,
    ModelInfo,
    ModelNotFoundError,
    ModelQuery,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
)
from core_chat.http import Client
from core_chat.http.session import open_session
from core_chat.testing import ManualClock, Request, Response, Stall, Upstream, faults
from core_huggingface._hub import DEFAULT_HUB, DEFAULT_ORIGIN, Hub, default_hub, read_mapping

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "huggingface"

NOVITA = {"status": "live", "providerId": "org/m-novita", "task": "conversational"}
FAL = {"status": "live", "providerId": "fal/m", "task": "text-to-image", "adapter": "lora", "adapterWeightsPath": "w"}
STAGING = {"status": "staging", "providerId": "m", "task": "conversational"}


@asynccontextmanager
async def hub_over(
    *script: Any, routes: Any = None, token: str | None = "hf_1", clock: ManualClock | None = None
) -> AsyncIterator[tuple[Hub, Client, Upstream]]:
    """A Hub and a client of one call, over a scripted upstream that is the router too."""
    async with Upstream(*script, routes=routes) as upstream, open_session(None) as session:
        hub = Hub(upstream.url, f"{upstream.url}/v1")
        query = ModelQuery(clock=clock or ManualClock())
        yield hub, hub.client(session, query, token=token), upstream


def model(mapping: Any, name: str = "org/m") -> Response:
    """What the Hub answers about who serves a model."""
    return Response.json({"_id": "1", "id": name, "inferenceProviderMapping": mapping})


@pytest.mark.parametrize(
    "mapping",
    [
        pytest.param({"sambanova": STAGING, "novita": NOVITA, "fal-ai": FAL}, id="dict"),
        pytest.param(
            [{"provider": "sambanova", **STAGING}, {"provider": "novita", **NOVITA}, {"provider": "fal-ai", **FAL}],
            id="list",
        ),
    ],
)
def test_a_mapping_is_read_in_both_forms(mapping: Any) -> None:
    """All entries in their order; those for a task are the live ones of it."""
    servings = read_mapping(mapping)
    assert [(one.provider, one.provider_id, one.status) for one in servings] == [
        ("sambanova", "m", "staging"),
        ("novita", "org/m-novita", "live"),
        ("fal-ai", "fal/m", "live"),
    ]
    assert (servings[2].adapter, servings[2].weights) == ("lora", "w")


@pytest.mark.parametrize(
    "mapping",
    [None, {}, [], "novita", 5, {"novita": None}, {"novita": {"task": "conversational"}}, [None, {"provider": 5}]],
)
def test_what_is_no_mapping_is_nobody(mapping: Any) -> None:
    """Odd entries are skipped, never fatal."""
    assert read_mapping(mapping) == ()


def test_a_new_field_or_provider_changes_nothing() -> None:
    """Names that nobody knew before pass through."""
    servings = read_mapping({"brand-new": {**NOVITA, "somethingElse": {"x": 1}}})
    assert [one.provider for one in servings] == ["brand-new"]


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded bodies are not there")
def test_recorded_mappings_are_read() -> None:
    """Eight providers that chat; six that make pictures, two of them in staging."""
    eight = json.loads((RECORDED / "hub_mapping_dict_8providers.json").read_text())["inferenceProviderMapping"]
    assert [one.provider for one in read_mapping(eight) if one.live] == list(eight)
    pictures = json.loads((RECORDED / "hub_mapping_dict_text_to_image.json").read_text())["inferenceProviderMapping"]
    live = [one.provider for one in read_mapping(pictures) if one.live]
    assert live == ["fal-ai", "replicate", "together", "hf-inference"]


async def test_offers_are_asked_for_with_the_token_and_kept() -> None:
    """One request for all that follow; live offers for a task only."""
    async with hub_over(model({"sambanova": STAGING, "novita": NOVITA, "fal-ai": FAL})) as (hub, client, upstream):
        offers = await hub.offers("org/m", client)
        assert await hub.offers("org/m", client) is offers
    assert [one.provider for one in offers.live("conversational")] == ["novita"]
    assert [one.provider for one in offers.live("text-to-image")] == ["fal-ai"]
    assert not offers.only("text-to-image")
    sent = upstream.requests[0]
    assert (sent.path, dict(sent.query)) == ("/api/models/org/m", {"expand[]": "inferenceProviderMapping"})
    assert sent.headers["authorization"] == "Bearer hf_1"


async def test_what_was_learnt_expires() -> None:
    """After some minutes the Hub is asked again."""
    clock = ManualClock()
    async with hub_over(model({}), model({"novita": NOVITA}), clock=clock) as (hub, client, _):
        assert (await hub.offers("org/m", client)).servings == ()
        await clock.sleep(299)
        assert (await hub.offers("org/m", client)).servings == ()
        await clock.sleep(2)
        assert len((await hub.offers("org/m", client)).servings) == 1


async def test_every_key_has_its_own_mapping() -> None:
    """The order is the account's preference, so nothing is shared between keys."""
    other = model({"together": NOVITA})
    async with Upstream(model({"novita": NOVITA}), other) as upstream, open_session(None) as session:
        hub = Hub(upstream.url, upstream.url)
        names = [
            (await hub.offers("org/m", hub.client(session, ModelQuery(), token=token))).servings[0].provider
            for token in ("hf_1", "hf_2", "hf_1")
        ]
    assert names == ["novita", "together", "novita"]


async def test_callers_at_the_same_time_share_one_request() -> None:
    """However many they are."""
    stall = Stall()
    async with hub_over(faults.slow_headers(model({"novita": NOVITA}), stall)) as (hub, client, upstream):
        waiting = [asyncio.ensure_future(hub.offers("org/m", client)) for _ in range(5)]
        await stall.reached.wait()
        stall.release()
        assert len({id(await one) for one in waiting}) == 1
    assert len(upstream.requests) == 1


async def test_a_failure_is_not_kept() -> None:
    """The next call asks again."""
    async with hub_over(Response.json({}, status=500), model({"novita": NOVITA})) as (hub, client, _):
        with pytest.raises(ProviderError):
            await hub.offers("org/m", client)
        assert len((await hub.offers("org/m", client)).servings) == 1


async def test_a_renamed_model_is_followed() -> None:
    """The redirect is relative and keeps the query; the offers tell the new id."""
    target = "/api/models/new/m?expand[]=inferenceProviderMapping"
    routes = {
        "/api/models/org/m": Response("Temporary Redirect", status=307, headers={"Location": target}),
        "/api/models/new/m": model({"novita": NOVITA}, "new/m"),
    }
    async with hub_over(routes=routes) as (hub, client, upstream):
        assert (await hub.offers("org/m", client)).model == "new/m"
    assert upstream.requests[1].headers["authorization"] == "Bearer hf_1"


async def test_an_odd_name_stays_in_its_place() -> None:
    """No part of a model's name becomes a query or another path."""
    async with hub_over(model({})) as (hub, client, upstream):
        await hub.offers("org/m?x=1#y", client)
        for outside in ("../whoami-v2", "org//m", "./m", ""):
            with pytest.raises(ModelNotFoundError, match="cannot be an id"):
                await hub.offers(outside, client)
    assert upstream.requests[0].path == "/api/models/org/m%3Fx=1%23y"
    assert len(upstream.requests) == 1


async def test_everything_about_a_model() -> None:
    """As it is, kept for a time."""
    facts = {"id": "org/m", "pipeline_tag": "text-generation", "config": {"x": 1}}
    async with hub_over(Response.json(facts)) as (hub, client, upstream):
        assert await hub.model("org/m", client) == facts
        assert await hub.model("org/m", client) == facts
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "RepoNotFound", ModelNotFoundError),
        (404, "RepoNotFound", ModelNotFoundError),
        (403, "GatedRepo", PermissionDeniedError),
    ],
)
async def test_the_hubs_own_codes(status: int, code: str, kind: type[ProviderError]) -> None:
    """What does not exist is answered with 401 to somebody without a token."""
    answer = Response.json({"error": "Invalid username or password."}, status=status, headers={"X-Error-Code": code})
    async with hub_over(answer) as (hub, client, _):
        with pytest.raises(kind):
            await hub.model("org/m", client)


@pytest.mark.parametrize("answer", [[], "m", 5, None])
async def test_what_is_no_model_is_a_protocol_error(answer: Any) -> None:
    """For both questions, and for a list."""
    async with hub_over(*[Response.json(answer if answer != [] else [5])] * 2) as (hub, client, _):
        with pytest.raises(ProtocolError):
            await hub.model("org/m", client)
        with pytest.raises(ProtocolError):
            await hub.offers("org/m", client)


async def listed(hub: Hub, client: Client, **query: Any) -> list[ModelInfo]:
    """All models that are yielded."""
    async with aclosing(hub.models(client, **query)) as models:
        return [model async for model in models]


def pages(*contents: list[str]) -> Any:
    """A function of the request that answers with page after page, linking to the next."""

    def answer(request: Request) -> Response:
        number = int(request.query.get("cursor", 0))
        body = [{"id": name, "inferenceProviderMapping": [{"provider": "fal-ai", **FAL}]} for name in contents[number]]
        following = f'<{request.origin}/api/models?cursor={number + 1}>; rel="next"'
        return Response.json(body, headers={"Link": following} if number + 1 < len(contents) else {})

    return answer


async def test_lists_go_on_over_pages() -> None:
    """Until no next page is named; the query is sent once and then stands in the link."""
    async with hub_over(routes={"/api/models": pages(["a/1", "a/2"], ["a/3"], ["a/4"])}) as (hub, client, upstream):
        models = await listed(hub, client, task="text-to-image")
    assert [model.name for model in models] == ["a/1", "a/2", "a/3", "a/4"]
    assert models[0].backends == ("fal-ai",)
    assert models[0].tasks == frozenset({"text-to-image"})
    first = upstream.requests[0].query
    assert (first["inference_provider"], first["pipeline_tag"]) == ("all", "text-to-image")
    assert first["expand[]"] == "inferenceProviderMapping"
    assert [dict(request.query) for request in upstream.requests[1:]] == [{"cursor": "1"}, {"cursor": "2"}]


async def test_an_endless_list_ends() -> None:
    """After ten pages."""
    many = pages(*([f"a/{number}"] for number in range(100)))
    async with hub_over(routes={"/api/models": many}) as (hub, client, upstream):
        assert len(await listed(hub, client, task="text-to-image")) == 10
    assert len(upstream.requests) == 10


async def test_what_nobody_serves_for_the_task_is_left_out() -> None:
    """Other tasks, staging entries and entries without a mapping."""
    body = [
        {"id": "a/chats", "inferenceProviderMapping": [{"provider": "novita", **NOVITA}]},
        {"id": "a/staged", "inferenceProviderMapping": [{"provider": "fal-ai", **FAL, "status": "error"}]},
        {"id": "a/none"},
        {"id": 5},
        {"id": "a/paints", "inferenceProviderMapping": [{"provider": "fal-ai", **FAL}]},
    ]
    async with hub_over(Response.json(body)) as (hub, client, _):
        assert [model.name for model in await listed(hub, client, task="text-to-image")] == ["a/paints"]


async def test_a_search_is_the_hubs() -> None:
    """The words are sent, and the models say who searched."""
    async with hub_over(routes={"/api/models": pages(["a/1"])}) as (hub, client, upstream):
        (found,) = await listed(hub, client, task="text-to-image", search="flux dev")
    assert found.source == "search"
    assert upstream.requests[0].query["search"] == "flux dev"


async def test_a_page_that_fails_leaves_those_before_it() -> None:
    """What had been yielded stands."""
    first = pages(["a/1"], ["a/2"])
    broken = Response.json({"error": "later"}, status=503)
    script = (first, broken)
    async with hub_over(*script) as (hub, client, _), aclosing(hub.models(client, task="text-to-image")) as models:
        assert (await anext(models)).name == "a/1"
        with pytest.raises(ProviderError):
            await anext(models)


@pytest.mark.parametrize(
    ("hub", "base", "shared"),
    [
        (DEFAULT_HUB, f"{DEFAULT_ORIGIN}/v1", True),
        (DEFAULT_HUB, "http://127.0.0.1:1/v1", False),
        ("http://127.0.0.1:1", f"{DEFAULT_ORIGIN}/v1", False),
        ("http://127.0.0.1:1", "http://127.0.0.1:1/v1", True),
        ("http://127.0.0.1:1", "http://127.0.0.1:2/v1", False),
    ],
)
async def test_the_token_goes_where_it_belongs(hub: str, base: str, shared: bool) -> None:  # noqa: FBT001 - a table
    """To one's own origin, and to the vendor's Hub only beside the vendor's router."""
    async with open_session(None) as session:
        client = Hub(hub, base).client(session, ModelQuery(), token="hf_1")
    assert client.token == ("hf_1" if shared else None)


def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`HF_ENDPOINT`, as the ecosystem's tools have it; nonsense is refused by name."""
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert default_hub() == DEFAULT_HUB
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example/")
    assert Hub(default_hub()).url == "https://hub.example"
    with pytest.raises(InvalidRequestError, match="hub_url"):
        Hub("nowhere")
