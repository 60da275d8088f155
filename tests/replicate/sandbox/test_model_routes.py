"""Models, versions, collections and searches."""

from collections.abc import Awaitable, Callable
from typing import Any

from core_replicate.sandbox import Emulator
from core_replicate.sandbox.catalogue import FLAN_T5_XL
from core_replicate.sandbox.llamas import META_LLAMA_3_8B

Call = Callable[..., Awaitable[tuple[int, Any]]]
CHAT = META_LLAMA_3_8B.id


async def test_every_model_says_what_it_takes(emulator: Emulator, call: Call) -> None:
    """Every model is shown with a schema whose choices resolve, in the order of its inputs."""
    for name, model in emulator.models.items():
        status, shown = await call("GET", f"/models/{name}")
        assert (status, shown["is_official"], f"{shown['owner']}/{shown['name']}") == (200, model.official, name)
        if shown["latest_version"] is None:
            assert name == "sandbox/no-schema"
            continue
        schemas = shown["latest_version"]["openapi_schema"]["components"]["schemas"]
        properties = schemas["Input"]["properties"]
        assert sorted(it["x-order"] for it in properties.values()) == list(range(len(properties)))
        choices = [it["allOf"][0]["$ref"].rsplit("/", 1)[1] for it in properties.values() if "allOf" in it]
        assert all(schemas[choice]["enum"] for choice in choices)


async def test_pages_link_both_ways(emulator: Emulator, call: Call) -> None:
    """A page's links are absolute, keep the query, and lead back; a made-up cursor is not found."""
    emulator.page_size = 10
    _, first = await call("GET", "/models", params={"sort_direction": "asc"})
    _, second = await call("GET", first["next"])
    assert first["previous"] is None
    assert second["results"][0] not in first["results"]
    assert (await call("GET", second["previous"]))[1] == first
    assert (await call("GET", "/models", params={"cursor": "made-up"}))[0] == 404


async def test_the_newer_search(call: Call) -> None:
    """`/search` finds models with metadata and collections, as many as asked."""
    status, found = await call("GET", "/search", params={"query": "image", "limit": "1"})
    assert (status, found["query"]) == (200, "image")
    assert [it["model"]["name"] for it in found["models"]] == ["claude-4-sonnet"]
    assert [it["slug"] for it in found["collections"]] == ["text-to-image"]
    assert (await call("GET", "/search", params={"limit": "51"}))[0] == 400


async def test_queries_are_plain_text(call: Call) -> None:
    """`QUERY /models` finds models by the words in its body."""
    status, found = await call("QUERY", "/models", data="flux pictures", headers={"Content-Type": "text/plain"})
    assert (status, [it["name"] for it in found["results"]]) == (200, ["flux-schnell"])


async def test_versions_are_shown_of_community_models_only(call: Call) -> None:
    """Official models say that they show no versions; an unknown version is not found."""
    hidden = META_LLAMA_3_8B.version_ids[0]
    for path in (f"/models/{CHAT}/versions", f"/models/{CHAT}/versions/{hidden}"):
        status, body = await call("GET", path)
        assert status == 404
        assert body["detail"] == "This model is an official model and does not expose a list of versions."
    assert (await call("GET", f"/models/{FLAN_T5_XL.id}/versions/{hidden}"))[0] == 404
    wanted = FLAN_T5_XL.version_ids[1]
    assert (await call("GET", f"/models/{FLAN_T5_XL.id}/versions/{wanted}"))[1]["id"] == wanted


async def test_a_deployment_is_shown(call: Call) -> None:
    """A deployment shows which version it runs."""
    status, shown = await call("GET", "/deployments/sandbox/deployment")
    assert (status, shown["current_release"]["version"]) == (200, FLAN_T5_XL.version_ids[0])
