"""A key is shown nowhere: in no event, error, cause, traceback, repr, log record or output."""

import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from core_chat import CoreError, Registry
from core_chat.testing import ManualClock, Response, Upstream, faults
from core_chat.testing.upstream import Routes
from core_replicate import Replicate
from core_replicate.sandbox import Emulator

CANARY = "r8_canary0f6e2d9c5b7a4813"
MODELS = [
    *("meta/meta-llama-3-8b-instruct", "black-forest-labs/flux-schnell", "replicate/flan-t5-xl"),
    *(
        f"sandbox/{name}"
        for name in (
            *("rate-limited", "payment-required", "unauthenticated", "invalid", "not-found", "server-error"),
            *("unavailable", "bad-gateway", "html", "no-id", "stream-error", "failed", "moderated", "aborted"),
            *("never-done", "foreign-stream", "no-schema", "canceled-by-upstream", "no-stream"),
        )
    ),
]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and everything it came from."""
    seen: set[int] = set()
    pending = [error]
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            pending += [one.__cause__, one.__context__]


def shown(error: BaseException) -> str:
    """Return everything that is commonly shown of an error."""
    parts = ["".join(traceback.format_exception(error))]
    for one in chain(error):
        parts += [str(one), repr(one), repr(one.args), repr(getattr(one, "__notes__", ""))]
        parts += [repr(one.__dict__)] if isinstance(one, CoreError) else []
    return "\n".join(parts)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Record everything that is logged, by anybody."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    for record in caplog.records:
        assert CANARY not in f"{record.getMessage()} {record.args!r} {record.exc_text or ''}"


@pytest.mark.parametrize("model", MODELS)
async def test_no_outcome_shows_the_key(
    *,
    emulator: Emulator,
    clock: ManualClock,
    log: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    model: str,
) -> None:
    """However a call ends, and whether the key is configured or given with the call, it is not shown."""
    config = {"replicate": {"base_url": emulator.base_url, "token": CANARY}}
    async with Registry(only=["replicate"], config=config, clock=clock) as registry:
        for key in (None, CANARY):
            stream = registry.stream(f"replicate:{model}", "Hi", api_key=key)
            told = [repr(registry), repr(registry.plugins), repr(stream), repr(stream.request)]
            try:
                async with stream:
                    told += [repr(event) async for event in stream]
            except CoreError as error:
                told.append(shown(error))
            assert CANARY not in "\n".join(told)
        catalog = await registry.models("replicate")
        assert CANARY not in repr(catalog)
    assert {request.headers.get("Authorization") for request in emulator.requests} <= {f"Bearer {CANARY}", None}
    assert any("Authorization" in request.headers for request in emulator.requests)
    assert CANARY not in "".join(capfd.readouterr())
    assert log.records or emulator.predictions


@asynccontextmanager
async def over(clock: ManualClock, routes: Routes) -> AsyncIterator[Registry]:
    """Yield a registry whose Replicate is a scripted upstream."""
    async with Upstream(routes=routes, strict=False) as upstream:
        config = {"replicate": {"base_url": f"{upstream.url}/v1", "token": CANARY}}
        async with Registry(only=["replicate"], config=config, clock=clock) as registry:
            yield registry


TOLD = f"the token {CANARY} is not good"
FRESH = {"id": "abc", "status": "starting"}
REPEATING: dict[str, Routes] = {
    "a refusal": {"*": Response.json({"title": "Unauthenticated", "detail": TOLD}, status=401)},
    "a refusal in HTML": {"*": Response(f"<title>{TOLD}</title>", status=403, headers={"Content-Type": "text/html"})},
    "a header": {"*": faults.with_headers(Response.json({}, status=500), **{"X-Error-Message": TOLD})},
    "no JSON": {"*": Response(TOLD, status=201)},
    "no HTTP": {"*": faults.not_http()},
    "no answer": {"*": faults.no_answer()},
    "a failed prediction": {
        "POST *": Response.json({**FRESH, "status": "failed", "error": TOLD, "logs": TOLD}, status=201),
        "*": Response(status=404),
    },
    "a prediction whose looks are refused": {
        "POST */cancel": Response.json({"detail": TOLD}, status=500),
        "POST *": Response.json(FRESH, status=201),
        "*": Response.json({"detail": TOLD}, status=403),
    },
}


@pytest.mark.parametrize("routes", REPEATING.values(), ids=REPEATING)
async def test_an_upstream_that_repeats_the_key_does_not_get_it_shown(
    clock: ManualClock, log: pytest.LogCaptureFixture, routes: Routes
) -> None:
    """A key that comes back in an answer is cut out of the error."""
    async with over(clock, routes) as registry:
        with pytest.raises(CoreError) as caught:
            await registry.chat("replicate:a/b", "Hi")
        assert CANARY not in shown(caught.value)
        failed = (await registry.models("replicate")).failures["replicate"]
        assert CANARY not in shown(failed)
    assert log.records


async def test_a_key_that_cannot_be_sent_is_not_shown_either(clock: ManualClock) -> None:
    """The error about a malformed key does not hold it."""
    async with Registry(only=["replicate"], config={"replicate": {"token": f"{CANARY}\n"}}, clock=clock) as registry:
        with pytest.raises(CoreError) as caught:
            await registry.chat("replicate:a/b", "Hi")
        assert CANARY not in shown(caught.value)
        with pytest.raises(CoreError) as caught:
            await registry.chat("replicate:a/b", "Hi", api_key=f"{CANARY} ")
        assert CANARY not in shown(caught.value)


def test_reprs_hide_the_key() -> None:
    """The provider's own repr leaves it out."""
    provider = Replicate(token=CANARY)
    assert provider.token == CANARY
    assert CANARY not in f"{provider!r} {provider}"
