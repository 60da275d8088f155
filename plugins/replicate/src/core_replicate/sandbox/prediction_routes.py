"""The routes that create, show, list, cancel and stream predictions."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from core_replicate.sandbox import views
from core_replicate.sandbox.emulator import Emulator
from core_replicate.sandbox.limits import wait_seconds
from core_replicate.sandbox.models import Model
from core_replicate.sandbox.pages import page
from core_replicate.sandbox.prediction import Prediction
from core_replicate.sandbox.problems import invalid, invalid_version, not_found, streaming_unsupported
from core_replicate.sandbox.reading import read_body, read_cancel_after, read_moment
from core_replicate.sandbox.state import EMULATOR
from core_replicate.sandbox.stream import Reader, position_after
from core_replicate.sandbox.validation import check_input

_PER_PAGE = 100


async def create_by_model(request: web.Request) -> web.Response:
    """Run an official model by its name."""
    emulator = request.app[EMULATOR]
    model = emulator.models.get(_name(request))
    if model is None or not model.official:
        raise not_found()
    body = await read_body(request, required=("input",))
    return await _create(request, body, model=model, version="hidden")


async def create_by_version(request: web.Request) -> web.Response:
    """Run a version: its id, `owner/name:id`, or `owner/name` for an official model."""
    emulator = request.app[EMULATOR]
    body = await read_body(request, required=("version", "input"))
    model, version = _find_version(emulator, str(body["version"]))
    return await _create(request, body, model=model, version=version)


async def create_by_deployment(request: web.Request) -> web.Response:
    """Run a deployment."""
    emulator = request.app[EMULATOR]
    name = _name(request)
    if name not in emulator.deployments:
        raise not_found()
    body = await read_body(request, required=("input",))
    model = emulator.deployments[name]
    return await _create(request, body, model=model, version=model.version_ids[0], deployment=name)


async def list_predictions(request: web.Request) -> web.Response:
    """List predictions, the newest first."""
    after, before = read_moment(request, "created_after"), read_moment(request, "created_before")
    wanted = [
        views.full(prediction)
        for prediction in reversed(request.app[EMULATOR].predictions.values())
        if (after is None or prediction.created >= after) and (before is None or prediction.created < before)
    ]
    return web.json_response(page(wanted, request=request, size=_PER_PAGE))


async def get_prediction(request: web.Request) -> web.Response:
    """Show a prediction."""
    return web.json_response(views.full(_find(request)))


async def cancel_prediction(request: web.Request) -> web.Response:
    """Cancel a prediction; one that has ended stays as it is."""
    prediction = _find(request)
    request.app[EMULATOR].cancel(prediction)
    return web.json_response(views.full(prediction))


async def stream_prediction(request: web.Request) -> web.StreamResponse:
    """Stream a prediction; its opaque path is the credential."""
    prediction = request.app[EMULATOR].find_stream(request.match_info["path"])
    if prediction is None:
        raise not_found()
    try:
        position = position_after(prediction, request.headers.get("Last-Event-ID", ""))
    except ValueError:
        return web.Response(status=400, text="Message ID invalid")
    return await Reader(prediction, request, position).serve()


async def get_file(request: web.Request) -> web.Response:
    """Serve a picture; like the upstream's files it needs no token."""
    files = request.app[EMULATOR].files
    path = request.match_info["path"]
    if path not in files:
        raise not_found()
    return web.Response(body=files[path], content_type="image/png")


async def _create(
    request: web.Request, body: Mapping[str, Any], *, model: Model, version: str, deployment: str | None = None
) -> web.Response:
    emulator = request.app[EMULATOR]
    if emulator.refuses(model) and model.behaviour.refusal is not None:
        raise model.behaviour.refusal(emulator.delays)
    if body.get("stream") and not model.streams_text:
        raise streaming_unsupported()
    if faults := check_input(body["input"], model.schema):
        raise invalid(faults)
    prediction = Prediction(
        model=model,
        version=version,
        headers=request.headers.copy(),
        body=body,
        origin=str(request.url.origin()),
        deployment=deployment,
        delays=emulator.delays,
        clock=emulator.clock,
    )
    emulator.start(prediction, cancel_after=read_cancel_after(request))
    return await _reply(request, prediction)


async def _reply(request: web.Request, prediction: Prediction) -> web.Response:
    emulator, behaviour = request.app[EMULATOR], prediction.model.behaviour
    headers = {"Location": f"{prediction.origin}/v1/predictions/{prediction.id}"}
    if behaviour.slow_create:
        await emulator.clock.sleep(emulator.delays.slow_create)
    if behaviour.finishes_first:
        await emulator.finished(prediction.id)
        return web.json_response(views.full(prediction), status=201, headers=headers)
    seconds = wait_seconds(request.headers.get("Prefer", ""))
    if seconds is None:
        return web.json_response(views.fresh(prediction), status=201, headers=headers)
    await prediction.finished_within(seconds)
    headers["Preference-Applied"] = f"wait={seconds}"
    return web.json_response(views.waited(prediction), status=201 if prediction.finished else 202, headers=headers)


def _find_version(emulator: Emulator, wanted: str) -> tuple[Model, str]:
    name, _, version = wanted.rpartition(":")
    official = emulator.models.get(wanted)
    if official is not None and official.official:
        return official, "hidden"
    for model in emulator.models.values():
        if not model.official and version in model.version_ids and name in {"", model.id}:
            return model, version
    raise invalid_version()


def _find(request: web.Request) -> Prediction:
    prediction = request.app[EMULATOR].predictions.get(request.match_info["id"])
    if prediction is None:
        raise not_found()
    return prediction


def _name(request: web.Request) -> str:
    return f"{request.match_info['owner']}/{request.match_info['name']}"


ROUTES = (
    web.post("/v1/models/{owner}/{name}/predictions", create_by_model),
    web.post("/v1/deployments/{owner}/{name}/predictions", create_by_deployment),
    web.post("/v1/predictions", create_by_version),
    web.get("/v1/predictions", list_predictions),
    web.get("/v1/predictions/{id}", get_prediction),
    web.post("/v1/predictions/{id}/cancel", cancel_prediction),
    web.get("/v1/streams/{path}", stream_prediction),
    web.get("/v1/files/{path}", stream_prediction),
    web.get("/files/{path:.+}", get_file),
)
