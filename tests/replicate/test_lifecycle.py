"""Creating and canceling predictions as whole steps, apart from any stream."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest
from attrs import evolve

from core_chat import RateLimitError
from core_chat.http import Client
from core_chat.testing import ManualClock, Response, Stall, Upstream, faults
from core_chat.testing.upstream import Script
from core_replicate._api import Api
from core_replicate._lifecycle import cancel, create_whole
from core_replicate._names import Target

CREATED = Response.json({"id": "abc", "status": "starting"}, status=201)
CANCELED = Response.json({"id": "abc", "status": "canceled"})
CREATE, CANCEL = "POST /v1/models/a/b/predictions", "POST /v1/predictions/abc/cancel"


@asynccontextmanager
async def api_over(
    clock: ManualClock, routes: dict[str, Script | Sequence[Script]]
) -> AsyncIterator[tuple[Api, Upstream]]:
    """Yield an API and its upstream."""
    async with Upstream(routes=routes) as upstream, aiohttp.ClientSession() as session:
        yield Api(Client(session=session, base_url=f"{upstream.url}/v1", token="r8_x", clock=clock)), upstream


async def create(api: Api) -> str:
    """Create a prediction and return its id."""
    return (await create_whole(api, Target("a/b"), inputs={"prompt": "Hi"}, cancel_after=60)).id


async def test_a_creation(clock: ManualClock) -> None:
    """The inputs and the time after which it is canceled are sent."""
    async with api_over(clock, {CREATE: CREATED}) as (api, upstream):
        assert await create(api) == "abc"
    assert upstream.requests[0].json() == {"input": {"prompt": "Hi"}}
    assert upstream.requests[0].headers["cancel-after"] == "60s"


async def test_a_creation_that_is_refused(clock: ManualClock) -> None:
    """An error of the creation is raised as it is."""
    async with api_over(clock, {CREATE: faults.rate_limited(3)}) as (api, _):
        with pytest.raises(RateLimitError) as caught:
            await create(api)
    assert (caught.value.retryable, caught.value.retry_after) == (True, 3)


@pytest.mark.parametrize("times", [1, 5])
async def test_a_creation_that_is_left_is_canceled(clock: ManualClock, times: int) -> None:
    """Whoever is cancelled gets their cancellation once the prediction that was made is canceled."""
    stall = Stall()
    routes: dict[str, Script | Sequence[Script]] = {CREATE: faults.slow_headers(CREATED, stall), CANCEL: CANCELED}
    async with api_over(clock, routes) as (api, upstream):
        creating = asyncio.create_task(create(api))
        await stall.reached.wait()
        for _ in range(times):
            creating.cancel()
            await asyncio.sleep(0)
        stall.release()
        with pytest.raises(asyncio.CancelledError):
            await creating
        assert [f"{request.method} {request.path}" for request in upstream.requests] == [CREATE, CANCEL]
        await upstream.requests[1].answered.wait()


async def test_a_creation_is_canceled_however_the_caller_insists(clock: ManualClock) -> None:
    """A caller who is cancelled at every turn of the loop, as some frameworks do, leaves no prediction either."""
    stall = Stall()
    routes: dict[str, Script | Sequence[Script]] = {CREATE: faults.slow_headers(CREATED, stall), CANCEL: CANCELED}
    async with api_over(clock, routes) as (api, upstream):
        creating = asyncio.create_task(create(api))
        await stall.reached.wait()
        stall.release()
        while not creating.done():
            creating.cancel()
            await asyncio.sleep(0)
        assert creating.cancelled()
        assert [f"{request.method} {request.path}" for request in upstream.requests] == [CREATE, CANCEL]


async def test_the_connection_of_a_cancel_is_used_again(clock: ManualClock) -> None:
    """The answer to a cancel is read to its end."""
    async with api_over(clock, {CANCEL: CANCELED}) as (api, upstream):
        for _ in range(3):
            await cancel(api, "abc")
        assert upstream.connections == 1


@pytest.mark.parametrize("answer", [Response.json({}, status=404), faults.html(502), faults.not_http()])
async def test_a_cancel_that_fails_is_only_logged(
    clock: ManualClock, answer: Response, caplog: pytest.LogCaptureFixture
) -> None:
    """What goes wrong with a cancel is told to the log, by its class."""
    caplog.set_level(logging.DEBUG, "core_chat")
    async with api_over(clock, {CANCEL: answer}) as (api, _):
        await cancel(api, "abc")
    (record,) = (record for record in caplog.records if record.name == "core_chat.replicate")
    assert record.getMessage().startswith("prediction abc could not be canceled: ")
    assert record.getMessage().endswith("Error")
    assert record.levelno == logging.DEBUG


async def test_a_cancel_without_a_network_is_no_error(clock: ManualClock) -> None:
    """A host that cannot be reached, or a session that the host app has closed, raises nothing here."""
    async with api_over(clock, {}) as (api, _):
        with faults.refused() as nobody:
            await cancel(Api(evolve(api.client, base_url=f"{nobody}/v1")), "abc")
        await api.client.session.close()
        await cancel(api, "abc")
