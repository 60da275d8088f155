"""What is looked up of a model, how long it is kept, and that none of it is needed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from core_chat.http import Client
from core_chat.testing import ManualClock, Response, Stall, Upstream, faults
from core_chat.testing.upstream import Script
from core_replicate._api import Api
from core_replicate._metadata import Known, Metadata
from core_replicate._names import Target

OLD, NEW = "0" * 64, "1" * 64
NOT_FOUND = Response.json({"detail": "Not found."}, status=404)
Connect = Callable[..., Api]


def version(name: str, key: str) -> dict[str, Any]:
    """Return a version object whose model takes a prompt and one other input."""
    given = {"properties": {"prompt": {"type": "string"}, key: {"type": "string"}}}
    return {"id": name, "openapi_schema": {"components": {"schemas": {"Input": given}}}}


def model(key: str = "new", **fields: Any) -> Response:
    """Return the answer with a model object."""
    return Response.json({"is_official": False, "latest_version": version(NEW, key), **fields})


@asynccontextmanager
async def api_over(
    clock: ManualClock, routes: dict[str, Script | Sequence[Script]]
) -> AsyncIterator[tuple[Connect, Upstream]]:
    """Yield a function that returns an API for a token, and its upstream."""
    async with Upstream(routes=routes) as upstream, aiohttp.ClientSession() as session:

        def connect(token: str = "r8_a") -> Api:
            return Api(Client(session=session, base_url=f"{upstream.url}/v1", token=token, clock=clock))

        yield connect, upstream


def keys(known: Known) -> list[str]:
    """Return the names of the inputs."""
    return [] if known.schema is None else list(known.schema.inputs)


async def test_a_model_is_asked_for_once(clock: ManualClock) -> None:
    """One request serves many calls, for an hour; then the model is asked for again."""
    async with api_over(clock, {"GET /v1/models/a/b": [model("new"), model("newer")]}) as (connect, upstream):
        metadata, target = Metadata(), Target("a/b")
        for _ in range(5):
            known = await metadata.known(connect(), target)
            assert keys(known) == ["prompt", "new"]
            assert (known.latest, known.is_official) == (NEW, False)
        assert len(upstream.requests) == 1
        clock.advance(3601)
        assert keys(await metadata.known(connect(), target)) == ["prompt", "newer"]


async def test_what_one_token_may_see_is_not_shown_to_another(clock: ManualClock) -> None:
    """Models are kept for each token apart, since some are private."""
    async with api_over(clock, {"GET /v1/models/a/b": [model("new"), NOT_FOUND]}) as (connect, _):
        metadata = Metadata()
        assert keys(await metadata.known(connect("r8_a"), Target("a/b"))) == ["prompt", "new"]
        assert await metadata.known(connect("r8_b"), Target("a/b")) == Known()
        assert "r8_a" not in repr(metadata)


@pytest.mark.parametrize(
    "answer",
    [
        NOT_FOUND,
        Response.json({"detail": "Oops"}, status=500),
        Response.json({"title": "Unauthenticated"}, status=401),
        faults.rate_limited(5),
        faults.html(),
        faults.garbage(),
        faults.not_http(),
        Response.json([]),
        Response.json(None),
    ],
)
async def test_a_model_that_cannot_be_had_is_no_error(clock: ManualClock, answer: Response) -> None:
    """Whatever the service answers, nothing is raised, nothing is waited for, and nothing is known."""
    async with api_over(clock, {"GET /v1/models/a/b": answer}) as (connect, upstream):
        assert await Metadata().known(connect(), Target("a/b")) == Known()
        assert len(upstream.requests) == 1
    assert clock.sleeps == []


@pytest.mark.parametrize(
    "fields", [{}, {"latest_version": None}, {"latest_version": []}, {"latest_version": {"id": 7}}]
)
async def test_a_model_without_a_version(clock: ManualClock, fields: dict[str, Any]) -> None:
    """A model may have no version, or hide it."""
    async with api_over(clock, {"GET /v1/models/a/b": Response.json({"is_official": True, **fields})}) as (connect, _):
        assert await Metadata().known(connect(), Target("a/b")) == Known(is_official=True)


async def test_a_model_that_does_not_say_whether_it_is_official(clock: ManualClock) -> None:
    """What older answers do not tell stays unknown."""
    async with api_over(clock, {"GET /v1/models/a/b": model(is_official=None)}) as (connect, _):
        assert (await Metadata().known(connect(), Target("a/b"))).is_official is None


async def test_a_service_that_hangs_is_not_waited_for_long(clock: ManualClock) -> None:
    """After ten seconds without an answer the chat goes on without one."""
    stall = Stall()
    async with api_over(clock, {"GET /v1/models/a/b": faults.slow_headers(model(), stall)}) as (connect, _):
        asking = asyncio.create_task(Metadata().known(connect(), Target("a/b")))
        await stall.reached.wait()
        clock.advance(10)
        assert await asking == Known()


async def test_the_last_good_answer_serves_where_a_new_one_cannot_be_had(clock: ManualClock) -> None:
    """A model that was seen before is known while the service is down."""
    broken = Response.json({}, status=500)
    async with api_over(clock, {"GET /v1/models/a/b": [model("new"), broken]}) as (connect, _):
        metadata = Metadata()
        before = await metadata.known(connect(), Target("a/b"))
        clock.advance(3601)
        assert await metadata.known(connect(), Target("a/b")) == before


async def test_an_older_version_has_its_own_schema(clock: ManualClock) -> None:
    """A version other than the latest is looked up; the latest one is there already."""
    routes: dict[str, Script | Sequence[Script]] = {
        "GET /v1/models/a/b": model("new"),
        f"GET /v1/models/a/b/versions/{OLD}": [Response.json(version(OLD, "old"))],
    }
    async with api_over(clock, routes) as (connect, _):
        assert keys(await Metadata().known(connect(), Target("a/b", OLD))) == ["prompt", "old"]
        assert keys(await Metadata().known(connect(), Target("a/b", NEW))) == ["prompt", "new"]


async def test_a_version_that_is_hidden_is_taken_for_the_latest(clock: ManualClock) -> None:
    """Where a version cannot be seen the latest schema is the best guess."""
    routes: dict[str, Script | Sequence[Script]] = {
        "GET /v1/models/a/b": model("new"),
        f"GET /v1/models/a/b/versions/{OLD}": NOT_FOUND,
    }
    async with api_over(clock, routes) as (connect, _):
        assert keys(await Metadata().known(connect(), Target("a/b", OLD))) == ["prompt", "new"]


async def test_a_version_without_a_model_cannot_be_looked_up(clock: ManualClock) -> None:
    """A bare version is known to no route of the API."""
    async with api_over(clock, {}) as (connect, upstream):
        assert await Metadata().known(connect(), Target(None, OLD)) == Known()
        assert not upstream.requests


async def test_a_deployment_runs_a_model_in_a_version(clock: ManualClock) -> None:
    """The schema is that of what the deployment runs, not of the model that was named."""
    release = {"current_release": {"model": "a/b", "version": OLD}}
    routes: dict[str, Script | Sequence[Script]] = {
        "GET /v1/deployments/acme/chat": Response.json(release),
        "GET /v1/models/a/b": model("new"),
        f"GET /v1/models/a/b/versions/{OLD}": Response.json(version(OLD, "old")),
    }
    async with api_over(clock, routes) as (connect, _):
        target = Target("other/model", deployment="acme/chat")
        assert keys(await Metadata().known(connect(), target)) == ["prompt", "old"]


@pytest.mark.parametrize(
    "answer",
    [
        NOT_FOUND,
        Response.json({}),
        Response.json({"current_release": None}),
        Response.json({"current_release": {"model": "../x"}}),
    ],
)
async def test_a_deployment_that_tells_nothing(clock: ManualClock, answer: Response) -> None:
    """A deployment whose model is not told leaves everything unknown."""
    async with api_over(clock, {"GET /v1/deployments/acme/chat": answer}) as (connect, upstream):
        assert await Metadata().known(connect(), Target("a/b", deployment="acme/chat")) == Known()
        assert len(upstream.requests) == 1
