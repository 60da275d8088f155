"""The web application: every route, behind the token, the rate limit and the error answers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from core_chat.sandbox import serve
from core_replicate.sandbox import model_routes, prediction_routes
from core_replicate.sandbox.emulator import INVALID_TOKEN, Emulator, Received
from core_replicate.sandbox.problems import ProblemError, not_found, problem, throttled, unauthenticated
from core_replicate.sandbox.state import EMULATOR

_LARGEST_BODY = 64 * 1024 * 1024
_OPEN = ("/v1/streams/", "/v1/files/", "/files/")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(emulator: Emulator) -> web.Application:
    """Return the application that serves an emulator."""
    app = web.Application(middlewares=[_answer_problems, _check_token, _limit], client_max_size=_LARGEST_BODY)
    app[EMULATOR] = emulator
    app.add_routes([*prediction_routes.ROUTES, *model_routes.ROUTES])
    return app


@asynccontextmanager
async def emulate(emulator: Emulator, *, port: int = 0) -> AsyncIterator[Emulator]:
    """Serve an emulator on loopback until the block is left, and fill in its `base_url`."""
    async with serve(application(emulator), port=port) as origin:
        emulator.base_url = f"{origin}/v1"
        try:
            yield emulator
        finally:
            await emulator.aclose()


@web.middleware
async def _answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    request.app[EMULATOR].requests.append(Received(request.method, request.path_qs, request.headers.copy()))
    try:
        return await handler(request)
    except ProblemError as error:
        return error.response
    except web.HTTPNotFound:
        return not_found().response
    except web.HTTPMethodNotAllowed as error:
        return problem(
            405, headers={"Allow": error.headers["Allow"]}, detail=f'Method "{error.method}" not allowed.'
        ).response
    except web.HTTPRequestEntityTooLarge:
        return problem(413, detail="The request is too large.").response


@web.middleware
async def _check_token(request: web.Request, handler: Handler) -> web.StreamResponse:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    known = scheme.lower() in {"bearer", "token"} and token.strip() not in {"", INVALID_TOKEN}
    if not known and not request.path.startswith(_OPEN):
        raise unauthenticated()
    return await handler(request)


@web.middleware
async def _limit(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.path.startswith(_OPEN):
        return await handler(request)
    emulator = request.app[EMULATOR]
    creates = request.method == "POST" and request.path.endswith("/predictions")
    bucket = emulator.creates if creates else emulator.others
    if not bucket.take() and emulator.enforces_limits:
        raise throttled(bucket.reset)
    try:
        response = await handler(request)
    except ProblemError as error:
        response = error.response
    response.headers.update(bucket.headers)
    return response
