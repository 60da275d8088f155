"""Tokens, rate limits, unknown paths, and serving."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from core_chat.testing import ManualClock
from core_replicate.sandbox import Emulator, app, emulate, sandbox

Call = Callable[..., Awaitable[tuple[int, Any]]]
CHAT = "meta/meta-llama-3-8b-instruct"


async def test_the_entry_point_yields_the_providers_arguments() -> None:
    """`sandbox()` serves what its yielded settings say."""
    async with sandbox() as config, aiohttp.ClientSession() as session:
        settings = config["replicate"]
        headers = {"Authorization": f"Bearer {settings['token']}"}
        async with session.get(f"{settings['base_url']}/account", headers=headers) as response:
            assert (await response.json())["username"] == "sandbox"


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer r8_x", 200),
        ("Token r8_x", 200),
        ("Bearer r8_invalid", 401),
        ("Bearer ", 401),
        ("Basic r8_x", 401),
        ("", 401),
    ],
)
async def test_every_route_wants_a_token(emulator: Emulator, authorization: str, status: int) -> None:
    """Any token but the invalid one is taken, under both names; else the answer is a 401 problem."""
    headers = {"Authorization": authorization} if authorization else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(emulator.base_url + "/models") as response,
    ):
        assert response.status == status
        if status == 401:
            assert response.headers["Content-Type"] == "application/problem+json"


async def test_rate_limits_are_counted_and_can_be_enforced(
    emulator: Emulator, create: Call, clock: ManualClock
) -> None:
    """The headers count down; only when told does the sandbox refuse what is too much, until time has passed."""
    emulator.creates.capacity, emulator.creates._left = 60, 2
    assert [(await create("sandbox/no-id"))[0] for _ in range(4)] == [201] * 4
    emulator.enforces_limits = True
    status, body = await create("sandbox/no-id")
    assert (status, body["retry_after"]) == (429, 60)
    clock.advance(1)
    assert [(await create("sandbox/no-id"))[0] for _ in range(2)] == [201, 429]


@pytest.mark.parametrize("path", ["/nothing", "/collections/none", "/models/no/body", "/deployments/no/body"])
async def test_what_is_not_there(call: Call, path: str) -> None:
    """Unknown paths, collections, models and deployments are 404 problems."""
    assert await call("GET", path) == (404, {"detail": "The requested resource could not be found.", "status": 404})


async def test_a_method_that_is_not_allowed(emulator: Emulator, session: aiohttp.ClientSession) -> None:
    """A wrong method is a 405 problem that names the right ones."""
    async with session.put(emulator.base_url + "/predictions") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET,HEAD,POST"
        assert (await response.json(content_type=None))["status"] == 405


async def test_a_body_that_is_too_large(monkeypatch: pytest.MonkeyPatch, session: aiohttp.ClientSession) -> None:
    """A body beyond the limit is a 413 problem."""
    monkeypatch.setattr(app, "_LARGEST_BODY", 100)
    async with emulate(Emulator()) as emulator:
        body = {"input": {"prompt": "word " * 100}}
        async with session.post(f"{emulator.base_url}/models/{CHAT}/predictions", json=body) as response:
            assert response.status == 413
            assert (await response.json(content_type=None))["detail"] == "The request is too large."


async def test_requests_are_remembered_without_showing_tokens(emulator: Emulator, create: Call) -> None:
    """A test can see what was sent, headers included; a repr shows no header."""
    await create(CHAT, headers={"Cancel-After": "9m"})
    received = emulator.requests[-1]
    assert (received.method, received.path) == ("POST", f"/v1/models/{CHAT}/predictions")
    assert received.headers["Cancel-After"] == "9m"
    assert "r8_any" not in repr(received) + repr(await emulator.created()) + repr(emulator)
