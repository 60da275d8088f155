"""A canary key, in every place a key can stand, appears in no text, repr, log, cause, traceback or pickle."""

import asyncio
import logging
import pickle
import traceback
from collections.abc import AsyncGenerator, Callable
from typing import ClassVar

import aiohttp
import pytest
from attrs import define, field

from core_chat import (
    About,
    ChatRequest,
    CoreError,
    Event,
    Finish,
    InvalidRequestError,
    ModelInfo,
    ModelQuery,
    Registry,
    TextDelta,
    Timeouts,
    hookimpl,
)
from core_chat.http import client_for, credential
from core_chat.testing import Request, Response, Stall, Upstream, faults

CANARY = "sk-canary-0123456789"
CALL = "sk-canary-of-the-call"


@define(eq=False)
class Vendor:
    """A provider that sends its key with every request."""

    about: ClassVar = About(label="Vendor", key_variable="VENDOR_KEY", needs_key=True)
    base_url: str
    token: str | None = field(default=None, repr=False)

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo:
        return ModelInfo(name or "m")

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: aiohttp.ClientSession) -> AsyncGenerator[Event, None]:
        token = credential(request, self.token, about=self.about)
        client = client_for(session, request, base_url=self.base_url, token=token)
        answer = await client.json("POST", "/chat", json={"prompt": "hi"}, headers=request.headers)
        yield TextDelta(answer["text"])
        yield Finish("stop")

    @hookimpl
    async def list_models(self, query: ModelQuery, session: aiohttp.ClientSession) -> AsyncGenerator[ModelInfo, None]:
        client = client_for(
            session, query, base_url=self.base_url, token=credential(query, self.token, about=self.about)
        )
        for name in await client.json("GET", "/models"):
            yield ModelInfo(name)


def everything(error: BaseException) -> str:
    """All that can be seen of an error and of what it was raised from."""
    shown = ["".join(traceback.format_exception(error))]
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        shown += [
            str(found),
            repr(found),
            repr(found.args),
            repr(vars(found)),
            "\n".join(getattr(found, "__notes__", [])),
        ]
        waiting += [found.__cause__, found.__context__]
    if isinstance(error, CoreError):
        shown.append(repr(pickle.loads(pickle.dumps(error)).__dict__))  # noqa: S301 - its own
        shown.append(pickle.dumps(error).decode("latin-1"))
    return "\n".join(shown)


def echo(status: int) -> Callable[[Request], Response]:
    """An upstream that shows the caller its own key."""

    def answer(request: Request) -> Response:
        told = f"the key {request.headers.get('authorization')} is not good"
        return faults.with_headers(Response.json({"error": told}, status=status), **{"X-Error-Message": told})

    return answer


FAULTS: dict[str, Response | Callable[[Request], Response]] = {
    "echo-401": echo(401),
    "echo-500": echo(500),
    "echo-200": echo(200),
    "echo-text": lambda request: Response(f"oops {request.headers.get('authorization')}"),
    "echo-html": lambda request: Response(f"<title>{request.headers.get('authorization')}</title>", status=502),
    "rate-limited": faults.rate_limited(1000),
    "not-http": faults.not_http(),
    "no-answer": faults.no_answer(),
    "cut": faults.cut(Response.json({"text": "hi"}), at=3),
    "reset": faults.reset(Response.json({"text": "hi"}), at=3),
    "redirect": Response(status=308, headers={"Location": "http://[bad"}),
    "redirects": Response(status=302, headers={"Location": "/chat"}),
    "html": faults.html(),
    "wrong-shape": Response.json(["text"]),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_error_of_a_call_shows_a_key(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the configured key nor the call's own, nor one in a header, whatever the upstream answers."""
    asyncio.get_running_loop().set_debug(True)
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    async with Upstream(routes={"*": FAULTS[fault]}, strict=False) as upstream:
        config = {"base_url": upstream.url, "token": CANARY}
        async with Registry(only=[], config={"v": config}) as registry:
            registry.register(Vendor, "v")
            for key in (None, CALL):
                stream = registry.stream("v:", "hi", api_key=key, headers={"X-Key": CALL})
                shown += [repr(stream), repr(stream.request)]
                with pytest.raises(CoreError) as caught:
                    async with stream:
                        await stream.reply()
                shown.append(everything(caught.value))
                catalog = await registry.models("v", api_key=key)
                shown += [repr(catalog), *(everything(error) for error in catalog.failures.values())]
            shown += [repr(registry), repr(registry.plugins)]
    shown.append(caplog.text)
    for text in shown:
        assert CANARY not in text
        assert CALL not in text
    assert any(request.headers["authorization"] == f"Bearer {CANARY}" for request in upstream.requests)
    assert any(request.headers["authorization"] == f"Bearer {CALL}" for request in upstream.requests)


@pytest.mark.parametrize("slow", ["headers", "body"])
async def test_no_timeout_shows_a_key(slow: str) -> None:
    """Time that runs out in the helper or around the stream."""
    answer = Response.json({"text": "hi"})
    hung = faults.slow_headers(answer, Stall()) if slow == "headers" else faults.stall(answer, Stall(), at=3)
    async with Upstream(hung) as upstream, Registry(only=[]) as registry:
        registry.register(Vendor(upstream.url, CANARY), "v")
        with pytest.raises(CoreError) as caught:
            await registry.chat("v:", "hi", timeouts=Timeouts(headers=0.05, idle=0.05, first_event=1))
    assert CANARY not in everything(caught.value)


async def test_nobody_listening_shows_no_key() -> None:
    """A refused connection is an error of aiohttp's own making."""
    with faults.refused() as url:
        async with Registry(only=[]) as registry:
            registry.register(Vendor(url, CANARY), "v")
            with pytest.raises(CoreError) as caught:
                await registry.chat("v:", "hi", timeouts=Timeouts(total=0.01))
    assert CANARY not in everything(caught.value)


@pytest.mark.parametrize("bad", [f"{CANARY} ", f"{CANARY}\n", f"{CANARY}é", f"a {CANARY}"])
async def test_a_key_that_cannot_be_sent_is_not_shown(bad: str) -> None:
    """Configured or of the call, a key with a space or line break is refused unseen, and nothing is sent."""
    async with Upstream() as upstream, Registry(only=[]) as registry:
        registry.register(Vendor(upstream.url, bad), "v")
        with pytest.raises(InvalidRequestError) as configured:
            await registry.chat("v:", "hi")
        with pytest.raises(InvalidRequestError) as given:
            registry.stream("v:", "hi", api_key=bad)
        with pytest.raises(InvalidRequestError) as header:
            registry.stream("v:", "hi", headers={"Authorization": f"Bearer {bad}\n"})
        for error in (configured.value, given.value, header.value):
            assert CANARY not in everything(error)
        assert upstream.requests == []


async def test_a_misconfigured_key_is_not_shown() -> None:
    """A constructor that refuses its settings, and one that fails on them, show none of them."""

    class Picky(Vendor):
        def __init__(self, base_url: str, token: str) -> None:
            raise InvalidRequestError("token has the wrong length", parameter="token")

    registry = Registry(only=[], config={"v": {"base_url": "http://x", "token": CANARY}})
    with pytest.raises(InvalidRequestError) as caught:
        registry.register(Picky, "v")
    assert CANARY not in everything(caught.value)
    registry = Registry(only=[], config={"v": {"base_url": "http://x", "tokn": CANARY}})
    with pytest.raises(InvalidRequestError, match="did you mean token") as misspelt:
        registry.register(Vendor, "v")
    assert CANARY not in everything(misspelt.value)
