"""Lists of models: collections, both kinds of search, and what is listed when the service cannot be asked."""

from typing import Any

import pytest

from core_chat import (
    AuthenticationError,
    MissingCredentialError,
    ModelInfo,
    ProtocolError,
    RateLimitError,
    Registry,
    UnavailableError,
)
from core_chat.testing import ManualClock, Response, Upstream, faults
from core_chat.testing.upstream import Routes
from core_replicate._listing import bundled, read_model
from core_replicate._names import DEFAULT_MODEL
from core_replicate.sandbox import Emulator


def names(models: tuple[ModelInfo, ...]) -> list[str]:
    """Return the names of models."""
    return [model.name for model in models]


async def test_the_collections_are_the_list(registry: Registry, emulator: Emulator) -> None:
    """Language models and models of pictures are listed with what their schemas tell."""
    catalog = await registry.models("replicate")
    assert not catalog.failures
    models = {model.name: model for model in catalog.models}
    assert set(models) == {model.id for model in emulator.models.values() if model.collections}
    claude = models["anthropic/claude-4-sonnet"]
    assert (claude.tasks, claude.max_output, claude.source, claude.provider) == (
        frozenset({"chat"}),
        64000,
        "live",
        "replicate",
    )
    assert claude.features == frozenset({"images", "system", "reasoning"})
    assert models["ibm-granite/granite-3.3-8b-instruct"].features == frozenset({"system", "tools", "reasoning"})
    assert models["openai/gpt-5-structured"].tasks is None
    assert models["black-forest-labs/flux-schnell"].tasks == frozenset({"text-to-image"})
    assert [model.name for model in catalog.models if model.is_default] == [DEFAULT_MODEL]
    assert all("(sandbox)" in (model.title or "") for model in catalog.models)


async def test_a_task_asks_for_one_collection(registry: Registry, emulator: Emulator) -> None:
    """Models of pictures are asked for alone, and what is asked for with the token."""
    catalog = await registry.models("replicate", task="text-to-image")
    assert names(catalog.models) == ["black-forest-labs/flux-schnell"]
    assert [request.path for request in emulator.requests] == ["/v1/collections/text-to-image"]
    assert emulator.requests[0].headers["Authorization"] == "Bearer r8_sandbox"


async def test_a_search_is_the_services_own(registry: Registry, emulator: Emulator) -> None:
    """The service is asked for the words, and finds models that are in no collection, too."""
    catalog = await registry.models("replicate", search="test card")
    assert "sandbox/cut-midway" in names(catalog.models)
    assert {model.source for model in catalog.models} == {"search"}
    assert emulator.requests[-1].path == "/v1/search?query=test+card&limit=50"


async def listed(routes: Routes, clock: ManualClock, **query: Any) -> tuple[list[str], Any, Upstream]:
    """Return the names, the failure and the upstream of a list."""
    async with Upstream(routes=routes) as upstream:
        config = {"replicate": {"base_url": f"{upstream.url}/v1", "token": "r8_x"}}
        async with Registry(only=["replicate"], config=config, clock=clock) as registry:
            catalog = await registry.models("replicate", **query)
    return names(catalog.models), catalog.failures.get("replicate"), upstream


def model(name: str) -> dict[str, Any]:
    """Return a model object."""
    owner, _, short = name.partition("/")
    return {"owner": owner, "name": short, "description": None, "latest_version": None}


@pytest.mark.parametrize("status", [404, 405])
async def test_an_older_service_is_searched_the_older_way(clock: ManualClock, status: int) -> None:
    """Where there is no `/search` the words are the body of a QUERY, and the pages of its answer are followed."""

    def second(request: Any) -> Response:
        return Response.json({"results": [model("a/1"), None], "next": f"{request.origin}/v1/models?cursor=x"})

    routes: Routes = {
        "GET /v1/search": Response.json({"detail": "no"}, status=status),
        "QUERY /v1/models": second,
        "GET /v1/models": Response.json({"results": [model("a/2"), {"owner": "a"}], "next": None}),
    }
    found, failure, upstream = await listed(routes, clock, search="llama 3")
    assert (found, failure) == (["a/1", "a/2"], None)
    query = upstream.requests[1]
    assert (query.body, query.headers["content-type"]) == (b"llama 3", "text/plain")
    assert upstream.requests[2].query == {"cursor": "x"}


async def test_a_page_of_another_host_is_not_followed(clock: ManualClock) -> None:
    """The token goes nowhere else, so a link to somewhere else ends the list."""
    async with Upstream() as other:

        def first(_request: Any) -> Response:
            return Response.json({"results": [model("a/1")], "next": f"{other.url}/v1/models"})

        routes: Routes = {"GET /v1/search": Response(status=404), "QUERY /v1/models": first}
        found, failure, _ = await listed(routes, clock, search="x")
        assert (found, failure) == (["a/1"], None)
        assert not other.requests


async def test_pages_without_end_are_left_after_five(clock: ManualClock) -> None:
    """A search whose pages link on and on is not followed for ever."""

    def page(request: Any) -> Response:
        link = f"{request.origin}/v1/models?cursor={request.number}"
        return Response.json({"results": [model(f"a/{request.number}")], "next": link})

    routes: Routes = {"GET /v1/search": Response(status=404), "QUERY /v1/models": page, "GET /v1/models": page}
    found, _, upstream = await listed(routes, clock, search="x")
    assert len(found) == 5
    assert len(upstream.requests) == 7


BUNDLED = [model.name for model in bundled()]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Response.json({"title": "Unauthenticated"}, status=401), AuthenticationError),
        (faults.rate_limited(5), RateLimitError),
        (Response.json({}, status=500), UnavailableError),
        (faults.html(), ProtocolError),
        (Response.json([]), ProtocolError),
        (Response.json({"models": None}), ProtocolError),
    ],
)
async def test_the_bundled_models_are_listed_beside_a_failure(
    clock: ManualClock, answer: Response, kind: type[Exception]
) -> None:
    """What the service does not tell is made up for by the bundled list; that it failed is told."""
    found, failure, _ = await listed({"*": answer}, clock)
    assert found == BUNDLED
    assert isinstance(failure, kind)
    found, failure, upstream = await listed({"*": answer}, clock, search="llama scout")
    assert found == ["meta/llama-4-scout-instruct"]
    assert isinstance(failure, kind)
    assert len(upstream.requests) == 1


async def test_a_list_that_breaks_off_keeps_what_came(clock: ManualClock) -> None:
    """The models before the failure stay, without bundled ones among them."""
    routes: Routes = {
        "GET /v1/collections/language-models": Response.json({"models": [model("a/1"), 7]}),
        "GET /v1/collections/text-to-image": Response.json({}, status=500),
    }
    found, failure, _ = await listed(routes, clock)
    assert found == ["a/1"]
    assert isinstance(failure, UnavailableError)


async def test_without_a_key_the_bundled_models_are_listed(clock: ManualClock) -> None:
    """Nothing is sent without a key; the list says where to get one."""
    async with Registry(only=["replicate"], clock=clock) as registry:
        catalog = await registry.models("replicate")
    assert names(catalog.models) == BUNDLED
    failure = catalog.failures["replicate"]
    assert isinstance(failure, MissingCredentialError)
    assert "REPLICATE_API_TOKEN" in str(failure)
    assert "https://replicate.com/account/api-tokens" in str(failure)


async def test_a_key_for_one_list(registry: Registry, emulator: Emulator) -> None:
    """A key that is given with the question is used for it alone, and refused in its own name."""
    catalog = await registry.models("replicate", api_key="r8_invalid")
    assert names(catalog.models) == BUNDLED
    assert isinstance(catalog.failures["replicate"], AuthenticationError)
    assert not (await registry.models("replicate")).failures


@pytest.mark.parametrize(
    "item",
    [None, 7, "a/b", [], {}, {"owner": "a"}, {"name": "b"}, {"owner": "a", "name": None}, {"owner": "", "name": "b"}],
)
def test_what_names_no_model(item: object) -> None:
    """An item without an owner and a name is no model."""
    assert read_model(item, "live") is None


def test_what_is_not_told_of_a_model_is_unknown() -> None:
    """Without a schema the tasks and features are unknown, not none."""
    found = read_model({"owner": "a", "name": "b", "description": 7}, "live")
    assert found == ModelInfo("a/b", source="live")


def test_the_bundled_list_has_one_default() -> None:
    """The bundled models have tasks, and the default model is one of them."""
    assert [model.name for model in bundled() if model.is_default] == [DEFAULT_MODEL]
    assert {task for model in bundled() for task in model.tasks or ()} == {"chat", "text-to-image"}
