"""Creating, showing, listing, waiting for and cancelling predictions."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from core_chat.testing import ManualClock
from core_replicate.sandbox import Delays, Emulator
from core_replicate.sandbox import emulator as emulator_module
from core_replicate.sandbox.catalogue import FLAN_T5_XL
from core_replicate.sandbox.llamas import META_LLAMA_3_8B

Call = Callable[..., Awaitable[tuple[int, Any]]]
Run = Callable[..., Awaitable[Any]]
CHAT = META_LLAMA_3_8B.id
PROMPT = {"prompt": "Hello you"}
CANNED = "This is a canned answer from the sandbox; no model was asked. You wrote: Hello you"
VERSION = FLAN_T5_XL.version_ids[0]
OFFICIAL = META_LLAMA_3_8B.version_ids[0]
RECORDED = Path(__file__).parents[4] / "shared" / "recorded" / "replicate" / "http"


async def test_a_created_prediction_is_fresh(emulator: Emulator, session: aiohttp.ClientSession) -> None:
    """The reply to a creation is `starting`, without output and metrics, with its URLs and the rate limit's headers."""
    async with session.post(f"{emulator.base_url}/models/{CHAT}/predictions", json={"input": PROMPT}) as response:
        prediction = await response.json()
    assert response.status == 201
    assert response.headers["Location"] == prediction["urls"]["get"]
    assert (response.headers["ratelimit-remaining"], response.headers["ratelimit-reset"]) == ("599", "1")
    assert (prediction["status"], prediction["version"]) == ("starting", "hidden")
    assert not {"output", "metrics", "started_at"} & prediction.keys()
    assert prediction["urls"]["cancel"] == f"{emulator.base_url}/predictions/{prediction['id']}/cancel"
    assert prediction["urls"]["stream"].startswith(f"{emulator.base_url}/streams/")


async def test_a_finished_prediction_shows_everything(run: Run) -> None:
    """A finished prediction has its output in pieces, times and token counts."""
    prediction = await run(CHAT)
    assert prediction["status"] == "succeeded"
    assert "".join(prediction["output"]) == CANNED
    assert prediction["output"][0] == prediction["output"][-1] == ""
    assert prediction["metrics"]["input_token_count"] == 2
    assert prediction["metrics"]["output_token_count"] == len(prediction["output"]) - 2
    assert prediction["completed_at"] >= prediction["started_at"] >= prediction["created_at"]


@pytest.mark.parametrize("version", [VERSION, f"{FLAN_T5_XL.id}:{VERSION}", FLAN_T5_XL.version_ids[1], CHAT])
async def test_versions_that_run(call: Call, version: str) -> None:
    """A community version runs by its id, with or without the name; an official model by its name."""
    status, prediction = await call("POST", "/predictions", json={"version": version, "input": PROMPT})
    assert status == 201
    assert prediction["version"] == ("hidden" if version == CHAT else version.rpartition(":")[2])


@pytest.mark.parametrize(
    "version",
    [
        "0" * 64,
        FLAN_T5_XL.id,
        f"{FLAN_T5_XL.id}:latest",
        f"meta/other:{VERSION}",
        OFFICIAL,
        f"{CHAT}:{OFFICIAL}",
        "",
    ],
)
async def test_versions_that_do_not_run(call: Call, version: str) -> None:
    """Unknown versions, `latest`, community names and the hidden versions of official models are refused."""
    status, body = await call("POST", "/predictions", json={"version": version, "input": PROMPT})
    assert (status, body["title"]) == (422, "Invalid version or not permitted")


@pytest.mark.parametrize("path", [f"/models/{FLAN_T5_XL.id}", "/models/no/body", "/deployments/no/body"])
async def test_names_that_do_not_run(call: Call, path: str) -> None:
    """A community model, an unknown model and an unknown deployment cannot be run by name."""
    assert (await call("POST", f"{path}/predictions", json={"input": PROMPT}))[0] == 404


async def test_a_deployment_runs(call: Call) -> None:
    """A deployment runs its version, and the prediction names it."""
    status, shown = await call("POST", "/deployments/sandbox/deployment/predictions", json={"input": PROMPT})
    assert (status, shown["version"], shown["deployment"]) == (201, VERSION, "sandbox/deployment")


async def test_stream_true_needs_a_stream_of_text(call: Call) -> None:
    """`stream: true` is taken where text streams, and refused where the output is something else."""
    body = {"input": PROMPT, "stream": True}
    assert (await call("POST", f"/models/{CHAT}/predictions", json=body))[0] == 201
    for model in ("openai/gpt-4.1-mini", "openai/gpt-5-structured", "black-forest-labs/flux-schnell"):
        status, answer = await call("POST", f"/models/{model}/predictions", json=body)
        assert status == 422
        assert answer["detail"] == "Streaming not supported for the output type of the requested version."


async def test_a_create_can_wait_for_the_output(create: Call) -> None:
    """With `Prefer: wait` the reply holds the whole output, though it still says `processing`."""
    status, prediction = await create(CHAT, headers={"Prefer": "wait=5"})
    assert (status, prediction["status"], "".join(prediction["output"])) == (201, "processing", CANNED)
    status, prediction = await create("sandbox/failed", headers={"Prefer": "respond-async, wait"})
    assert (status, prediction["status"]) == (201, "failed")


@pytest.mark.parametrize("prefer", ["wait=0", "wait=61", "wait=soon", "return=minimal"])
async def test_a_preference_that_is_none_is_ignored(create: Call, prefer: str) -> None:
    """A wait that cannot be read, or is not from 1 to 60, is not waited for."""
    status, prediction = await create("sandbox/stuck", headers={"Prefer": prefer})
    assert (status, prediction["status"]) == (201, "starting")


async def test_a_wait_that_is_too_long_ends(emulator: Emulator, create: Call, clock: ManualClock) -> None:
    """When the wait ends before the prediction the reply is 202, `starting`, and without output."""
    asking = asyncio.ensure_future(create("sandbox/stuck", headers={"Prefer": "wait=7"}))
    prediction = await emulator.created()
    await prediction.changed.until(lambda: len(prediction.output) == 3)
    clock.advance(7)
    status, shown = await asking
    assert (status, shown["status"]) == (202, "starting")
    assert "output" not in shown


@pytest.mark.parametrize(
    ("value", "seconds"), [("30s", 30), ("5m", 300), ("1h30m45s", 5445), ("90", 90), ("5", 5), ("2m5", 125)]
)
async def test_cancel_after_sets_a_deadline(create: Call, emulator: Emulator, *, value: str, seconds: int) -> None:
    """A running prediction is canceled at the deadline of its `Cancel-After` header, and not before."""
    assert isinstance(emulator.clock, ManualClock)
    await create("sandbox/stuck", headers={"Cancel-After": value})
    prediction = await emulator.created()
    await prediction.changed.until(lambda: len(prediction.output) == 3)
    emulator.clock.advance(seconds - 1)
    assert prediction.status == "processing"
    emulator.clock.advance(1)
    assert (prediction.status, prediction.cancel_requested) == ("canceled", False)


async def test_a_deadline_before_the_start_aborts(emulator: Emulator, create: Call) -> None:
    """A prediction that has not started at its deadline is aborted."""
    emulator.clock = clock = ManualClock(auto=False)
    emulator.delays = Delays(start=60)
    await create(CHAT, headers={"Cancel-After": "10s"})
    clock.advance(10)
    assert (await emulator.created()).status == "aborted"


@pytest.mark.parametrize("value", ["4s", "0", "soon", "-5", "1.5m", "5d", ""])
async def test_a_bad_cancel_after_is_refused(emulator: Emulator, create: Call, value: str) -> None:
    """A duration that cannot be read, or is under five seconds, is refused, and no prediction is made."""
    assert (await create(CHAT, headers={"Cancel-After": value}))[0] == 422
    assert not emulator.predictions


async def test_a_cancel_is_seen(emulator: Emulator, create: Call, call: Call) -> None:
    """A cancel ends a running prediction, and whoever waits for it sees it."""
    waiting = asyncio.ensure_future(emulator.canceled())
    _, created = await create("sandbox/stuck")
    status, shown = await call("POST", f"/predictions/{created['id']}/cancel")
    assert (status, shown["status"], shown["error"]) == (200, "canceled", None)
    assert (await waiting).id == created["id"]
    assert (await call("GET", f"/predictions/{created['id']}"))[1]["status"] == "canceled"


async def test_a_late_cancel_changes_nothing(emulator: Emulator, run: Run, call: Call) -> None:
    """A prediction that has ended stays as it is, but the cancel is noted."""
    done = await run(CHAT)
    assert await call("POST", f"/predictions/{done['id']}/cancel") == (200, done)
    assert (await emulator.canceled(done["id"])).status == "succeeded"


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/cancel")])
async def test_unknown_predictions_are_not_found(call: Call, method: str, path: str) -> None:
    """An unknown prediction can be neither shown nor cancelled."""
    assert (await call(method, f"/predictions/nothing{path}"))[0] == 404


async def test_predictions_are_listed_between_two_times(create: Call, call: Call, clock: ManualClock) -> None:
    """`created_after` and `created_before` bound the list; a time that is none is a bad request."""
    moments = []
    for _ in range(3):
        moments.append((await create(CHAT))[1]["created_at"])
        clock.advance(60)
    _, page = await call("GET", "/predictions", params={"created_after": moments[1]})
    assert [it["created_at"] for it in page["results"]] == [moments[2], moments[1]]
    _, page = await call("GET", "/predictions", params={"created_before": moments[1]})
    assert [it["created_at"] for it in page["results"]] == [moments[0]]
    assert (await call("GET", "/predictions", params={"created_after": "noon"}))[0] == 400


async def test_old_predictions_are_forgotten(
    emulator: Emulator, run: Run, create: Call, *, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many predictions are kept; the oldest finished ones go, with their pictures, running ones stay."""
    monkeypatch.setattr(emulator_module, "_KEPT", 3)
    _, stuck = await create("sandbox/stuck")
    made = [(await run("black-forest-labs/flux-schnell"))["id"] for _ in range(5)]
    assert list(emulator.predictions) == [stuck["id"], *made[-2:]]
    assert [path.split("/")[0] for path in emulator.files] == made[-2:]


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded bodies are not on this machine")
async def test_predictions_have_the_recorded_keys(create: Call, call: Call, run: Run) -> None:
    """A created, a canceled and a succeeded prediction have the keys that were recorded, but for one long gone."""
    _, created = await create("sandbox/stuck")
    _, canceled = await call("POST", f"/predictions/{created['id']}/cancel")
    shown = [
        ("create_official_llama3_a.201.json", created),
        ("cancel_sdxl_a.200.json", canceled),
        ("prediction_get_succeeded_a.200.json", await run(CHAT)),
    ]
    for file, body in shown:
        assert json.loads((RECORDED / file).read_text()).keys() - body.keys() <= {"webhook_completed"}
