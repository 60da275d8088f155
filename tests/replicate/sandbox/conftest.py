"""A served sandbox in virtual time, and short ways to call it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from core_chat.testing import ManualClock
from core_replicate.sandbox import Emulator, emulate

Call = Callable[..., Awaitable[tuple[int, Any]]]
PROMPT = {"prompt": "Hello you"}


@pytest.fixture
def clock() -> ManualClock:
    """Return virtual time, so that no delay takes any."""
    return ManualClock()


@pytest.fixture
async def emulator(clock: ManualClock) -> AsyncIterator[Emulator]:
    """Serve a sandbox."""
    async with emulate(Emulator(clock=clock)) as served:
        yield served


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a session that sends a token."""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer r8_any"}) as opened:
        yield opened


@pytest.fixture
def call(emulator: Emulator, session: aiohttp.ClientSession) -> Call:
    """Return a function that sends a request to a path or URL and returns the status and the JSON."""

    async def send(method: str, path: str, **arguments: Any) -> tuple[int, Any]:
        url = path if path.startswith("http") else emulator.base_url + path
        async with session.request(method, url, **arguments) as response:
            return response.status, await response.json(content_type=None)

    return send


@pytest.fixture
def create(call: Call) -> Call:
    """Return a function that creates a prediction of an official model."""

    async def post(model: str, given: Any = None, **arguments: Any) -> tuple[int, Any]:
        body = {"input": PROMPT if given is None else given}
        return await call("POST", f"/models/{model}/predictions", json=body, **arguments)

    return post


@pytest.fixture
def run(emulator: Emulator, call: Call, create: Call) -> Callable[..., Awaitable[Any]]:
    """Return a function that creates a prediction, waits for its end and returns it."""

    async def to_the_end(model: str, given: Any = None) -> Any:
        status, created = await create(model, given)
        assert status == 201, created
        await emulator.finished(created["id"])
        return (await call("GET", f"/predictions/{created['id']}"))[1]

    return to_the_end
