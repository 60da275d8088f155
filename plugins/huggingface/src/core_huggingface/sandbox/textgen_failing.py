"""The failing models of the sandbox's hf-inference: the names of the router's, in the dialect of a TGI."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from aiohttp import web

from core_huggingface.sandbox.failing import DEPLETED
from core_huggingface.sandbox.generation import Generated

Behaviour: TypeAlias = Callable[[web.Request, Generated], Awaitable[web.StreamResponse]]
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "x-compute-type": "sandbox"}
_PAGE = "<!doctype html><html><head><title>Sandbox: not JSON</title></head><body>canned</body></html>"
_BEFORE_THE_FAULT = 3
_WARM_UP_SECONDS = 2.0


async def open_stream(request: web.Request) -> web.StreamResponse:
    """Begin a stream."""
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)
    return response


async def send_events(response: web.StreamResponse, events: Iterable[Mapping[str, Any]]) -> None:
    """Send events as TGI does, without a space after the colon."""
    for event in events:
        await response.write(f"data:{json.dumps(event, ensure_ascii=False)}\n\n".encode())


async def stream(request: web.Request, answer: Generated) -> web.StreamResponse:
    """Answer with a whole stream."""
    response = await open_stream(request)
    await send_events(response, answer.tgi_events())
    return response


def _refused(status: int, body: Any, **headers: str) -> Behaviour:
    async def behave(_request: web.Request, _answer: Generated) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return behave


def _page(status: int) -> Behaviour:
    async def behave(_request: web.Request, _answer: Generated) -> web.StreamResponse:
        return web.Response(status=status, text=_PAGE, content_type="text/html")

    return behave


def _broken(
    *then: Mapping[str, Any], after: int = _BEFORE_THE_FAULT, cut: bool = False, stay: bool = False
) -> Behaviour:
    """Send some events, then others; then end, cut the connection, or stay silent until the client leaves."""

    async def behave(request: web.Request, answer: Generated) -> web.StreamResponse:
        response = await open_stream(request)
        await send_events(response, [*itertools.islice(answer.tgi_events(), after), *then])
        if stay:
            await asyncio.Event().wait()
        if cut and request.transport is not None:
            await response.write(b'data:{"token":{"te')
            request.transport.close()
        return response

    return behave


async def _slow(request: web.Request, answer: Generated) -> web.StreamResponse:
    """Keep the connection alive for a while, which is no progress, then answer."""
    response = await open_stream(request)
    for _ in range(10):
        await response.write(b":\n\n")
        await asyncio.sleep(_WARM_UP_SECONDS / 10)
    await send_events(response, answer.tgi_events())
    return response


async def _whole(_request: web.Request, answer: Generated) -> web.StreamResponse:
    """Answer with one body whatever was asked for."""
    return web.json_response([answer.pipeline_body()])


_ODD = {"token": {"text": "\u2028 \u2029 \x85 ü"}, "generated_text": "odd", "details": {"finish_reason": "eos_token"}}
_OVERLOADED = {"error": "Model is overloaded", "error_type": "overloaded"}
_TOO_LONG = "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 10. Given: 11 `inputs` tokens"
_SCOPE = (
    "This authentication method does not have sufficient permissions to call Inference Providers on behalf of user "
    "sandbox"
)

FAILING: dict[str, Behaviour] = {
    f"sandbox/{name}": behaviour
    for name, behaviour in {
        "payment-required": _refused(402, {"error": DEPLETED}),
        "rate-limited": _refused(429, _OVERLOADED, **{"Retry-After": "1"}),
        "unavailable": _refused(503, {"error": "Service Unavailable"}, **{"Retry-After": "1"}),
        "loading": _refused(503, {"error": "Model sandbox/loading is currently loading", "estimated_time": 1.0}),
        "server-error": _refused(500, {"error": "unknown error", "warnings": ["canned"]}),
        "unauthorized": _refused(401, {"error": "Invalid username or password."}),
        "token-scope": _refused(403, {"error": _SCOPE}),
        "gated": _refused(403, {"error": "You cannot access this model unless the model owner gives you access."}),
        "invalid": _refused(422, {"error": "Input validation error: canned", "error_type": "validation"}),
        "too-long": _refused(422, {"error": _TOO_LONG, "error_type": "validation"}),
        "bad-gateway": _page(502),
        "html": _page(200),
        "error-body": _refused(200, {"error": "the sandbox's model broke", "error_type": "generation"}),
        "error-at-once": _broken({"error": "the sandbox's model broke", "error_type": "generation"}, after=0),
        "error-midway": _broken({"error": "the sandbox's model broke", "error_type": "incomplete_generation"}),
        "overloaded-midway": _broken(_OVERLOADED),
        "cut-midway": _broken(cut=True),
        "no-end": _broken(),
        "empty": _broken(after=0),
        "stuck": _broken(stay=True),
        "slow-start": _slow,
        "whole": _whole,
        "unicode": _broken(_ODD),
    }.items()
}
"""What the models do whose names are those of the router's failing ones, and some of their own."""
