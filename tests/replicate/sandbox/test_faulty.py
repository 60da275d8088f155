"""The test cards: models that are refused, slow, or end badly."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from core_chat.testing import ManualClock
from core_replicate import sandbox
from core_replicate.sandbox import Delays, Emulator
from core_replicate.sandbox.faulty import FAULTY

Call = Callable[..., Awaitable[tuple[int, Any]]]
Run = Callable[..., Awaitable[Any]]
CANNED = "This is a canned answer from the sandbox; no model was asked. You wrote: Hello you"
BODY = {"input": {"prompt": "Hello you"}}


@pytest.mark.parametrize(
    ("model", "status", "kind"),
    [
        ("rate-limited", 429, "application/problem+json"),
        ("payment-required", 402, "application/problem+json"),
        ("unauthenticated", 401, "application/problem+json"),
        ("not-found", 404, "application/problem+json"),
        ("invalid", 422, "application/problem+json"),
        ("server-error", 500, "application/problem+json"),
        ("unavailable", 503, "application/problem+json"),
        ("bad-gateway", 502, "text/html"),
        ("html", 200, "text/html"),
        ("no-id", 201, "application/json"),
    ],
)
async def test_models_that_are_refused(emulator: Emulator, model: str, status: int, *, kind: str) -> None:
    """Each of these models answers its creation with its own status and kind of body, every time."""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer r8_any"}) as session:
        for _ in range(2):
            async with session.post(f"{emulator.base_url}/models/sandbox/{model}/predictions", json=BODY) as response:
                assert (response.status, response.content_type) == (status, kind)
                assert b'"id"' not in await response.read()
    assert not emulator.predictions


async def test_where_a_wait_is_told(emulator: Emulator, create: Call, session: aiohttp.ClientSession) -> None:
    """429 tells the wait in its body and text, 503 in a header."""
    emulator.delays = Delays(retry_after=9)
    _, limited = await create("sandbox/rate-limited")
    assert limited["retry_after"] == 9
    assert limited["detail"].endswith("Your rate limit resets in ~9s.")
    async with session.post(f"{emulator.base_url}/models/sandbox/unavailable/predictions", json=BODY) as response:
        assert response.headers["Retry-After"] == "9"


async def test_rate_limited_once_serves_the_second_try(create: Call) -> None:
    """Every first try is refused and the next one served."""
    assert [(await create("sandbox/rate-limited-once"))[0] for _ in range(4)] == [429, 201, 429, 201]


@pytest.mark.parametrize(
    ("model", "status", "told"),
    [
        ("failed", "failed", ("The model ran out of memory (E1001)", None)),
        ("stream-error", "failed", ("Something went wrong (E1000)", ["", "This", " is"])),
        ("canceled-by-upstream", "canceled", (None, ["", "This", " is"])),
        ("aborted", "aborted", (None, None)),
        ("empty", "succeeded", (None, [])),
    ],
)
async def test_models_that_end_badly(run: Run, model: str, status: str, *, told: tuple[Any, Any]) -> None:
    """Each of these models ends with its own status, error and output."""
    shown = await run(f"sandbox/{model}")
    assert (shown["status"], shown["error"], shown["output"]) == (status, *told)


async def test_moderation_has_its_code(run: Run) -> None:
    """The moderated model fails with the upstream's code, in its error and its logs."""
    shown = await run("sandbox/moderated")
    assert "(E005)" in shown["error"]
    assert "(E005)" in shown["logs"]


async def test_slow_start_stays_starting(emulator: Emulator, create: Call, call: Call) -> None:
    """The slow model is `starting` until its delay has passed, then it goes on."""
    emulator.clock = clock = ManualClock(auto=False)
    _, created = await create("sandbox/slow-start")
    assert (await call("GET", f"/predictions/{created['id']}"))[1]["status"] == "starting"
    prediction = emulator.predictions[created["id"]]
    clock.advance(emulator.delays.slow_start)
    await prediction.changed.until(lambda: prediction.status == "processing")


async def test_slow_create_makes_the_prediction_first(emulator: Emulator, create: Call, clock: ManualClock) -> None:
    """The reply of the slow creation comes after its delay; the prediction is there before, and never ends."""
    emulator.delays = Delays(slow_create=4)
    assert (await create("sandbox/slow-create"))[0] == 201
    assert 4 in clock.sleeps
    assert not (await emulator.created()).finished


async def test_instant_is_final_at_once(create: Call) -> None:
    """The instant model's create reply has the output and a final status, and no stream."""
    status, shown = await create("sandbox/instant")
    assert (status, shown["status"], "".join(shown["output"])) == (201, "succeeded", CANNED)
    assert "stream" not in shown["urls"]


def test_every_test_card_is_documented() -> None:
    """The package's docstring names every one of these models."""
    assert sandbox.__doc__
    assert [model.id for model in FAULTY if f"`{model.id}`" not in sandbox.__doc__] == []
