"""The sandbox's makers of pictures: each inference provider's way, wire-compatible as of 2026-11.

`black-forest-labs/FLUX.1-dev` is on hf-inference, which answers with bytes; `sandbox/picture-json` and
`sandbox/picture-base64` are there too and answer with a link and with base64. `sandbox/picture-<provider>` is at that
provider alone. Of the failing ones, `sandbox/picture-failed` and `sandbox/picture-unsafe` end badly,
`sandbox/picture-elsewhere` is only made by its second provider, `sandbox/picture-gone` and `sandbox/picture-endless`
are links to no file and to one without end, `sandbox/picture-html` is a page.
"""

import base64
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from core_huggingface.sandbox import pictures
from core_huggingface.sandbox.catalogue import Model, Serving, add_models
from core_huggingface.sandbox.image_jobs import JOBS, Asked, Job, Jobs, asked_for, check_token, read_body
from core_huggingface.sandbox.pictures import keep_file

_PIPELINE = "text-to-image"
_CONFIG: Mapping[str, Any] = {"diffusers": {"_class_name": "FluxPipeline"}}
_PAGE = "<!doctype html><html><head><title>Sandbox: no picture</title></head><body>canned</body></html>"


def _model(name: str, *servings: tuple[str, str]) -> Model:
    offers = tuple(Serving(provider=provider, provider_id=id_, task=_PIPELINE) for provider, id_ in servings)
    return Model(name=name, servings=offers, pipeline=_PIPELINE, config=_CONFIG)


IMAGE_MODELS = (
    _model("sandbox/picture-json", ("hf-inference", "sandbox/picture-json")),
    _model("sandbox/picture-base64", ("hf-inference", "sandbox/picture-base64")),
    _model("sandbox/picture-html", ("hf-inference", "sandbox/picture-html")),
    _model("sandbox/picture-fal-ai", ("fal-ai", "fal-ai/flux/dev")),
    _model("sandbox/picture-nscale", ("nscale", "sandbox/flux")),
    _model("sandbox/picture-replicate", ("replicate", "black-forest-labs/flux-dev")),
    _model("sandbox/picture-replicate-version", ("replicate", "sandbox/flux:0123abcd")),
    _model("sandbox/picture-together", ("together", "black-forest-labs/FLUX.1-dev")),
    _model("sandbox/picture-wavespeed", ("wavespeed", "wavespeed-ai/flux-dev")),
    _model("sandbox/picture-zai-org", ("zai-org", "cogview-4")),
    _model("sandbox/picture-failed", ("wavespeed", "sandbox/failed")),
    _model("sandbox/picture-unsafe", ("replicate", "sandbox/unsafe")),
    _model("sandbox/picture-elsewhere", ("together", "sandbox/unavailable"), ("nscale", "sandbox/flux")),
    _model("sandbox/picture-gone", ("fal-ai", "sandbox/gone")),
    _model("sandbox/picture-endless", ("fal-ai", "sandbox/endless")),
)


def add_routes(application: web.Application) -> None:
    """Serve pictures; hf-inference's own path is served with its text."""
    add_models(application, IMAGE_MODELS)
    application[JOBS] = Jobs()
    pictures.add_routes(application)
    router = application.router
    router.add_get("/fal-ai/{model:.+}/requests/{job}/status", _fal_status)
    router.add_get("/fal-ai/{model:.+}/requests/{job}", _fal_result)
    router.add_post("/fal-ai/{model:.+}", _fal)
    router.add_post("/nscale/v1/images/generations", _openai)
    router.add_post("/together/v1/images/generations", _openai)
    router.add_get("/replicate/v1/predictions/{job}", _replicate_status)
    router.add_post("/replicate/v1/predictions", _replicate)
    router.add_post("/replicate/v1/models/{model:.+}/predictions", _replicate)
    for prefix in ("", "/wavespeed"):  # without it where a client takes this for the vendor's own host
        router.add_get(f"{prefix}/api/v3/predictions/{{job}}/result", _wavespeed_status)
    router.add_post("/wavespeed/api/v3/{model:.+}", _wavespeed)
    router.add_get("/zai-org/api/paas/v4/async-result/{job}", _zai_status)
    router.add_post("/zai-org/api/paas/v4/async/images/generations", _zai)


async def hf_inference(request: web.Request, name: str) -> web.StreamResponse:
    """Answer as hf-inference does: with the bytes, or with what its newer servers wrap them in."""
    body = await read_body(request)
    asked = asked_for(body.get("parameters") or {}, model=name, prompt=body.get("inputs") or "")
    if name == "sandbox/picture-html":
        return web.Response(text=_PAGE, content_type="text/html")
    if name == "sandbox/picture-json":
        return web.json_response({"output": [keep_file(request, asked.picture())]})
    if name == "sandbox/picture-base64":
        return web.json_response({"data": [{"b64_json": _base64(asked)}]})
    headers = {"x-compute-type": "sandbox", "x-compute-time": "0.01", "X-Request-Id": "sandbox-picture"}
    return web.Response(body=asked.picture(), content_type="image/jpeg", headers=headers)


def _base64(asked: Asked) -> str:
    return base64.b64encode(asked.picture()).decode("ascii")


async def _fal(request: web.Request) -> web.Response:
    """Queue the job where that is asked for, else answer at once."""
    model = request.match_info["model"]
    job = request.app[JOBS].add(asked_for(await read_body(request), model=model))
    if request.query.get("_subdomain") != "queue":
        return web.json_response(_fal_pictures(request, job))
    link = f"https://queue.fal.run/{model}/requests/{job.id}"
    links = {"response_url": link, "status_url": f"{link}/status", "cancel_url": f"{link}/cancel"}
    return web.json_response({"request_id": job.id, "status": "IN_QUEUE", "queue_position": 0, **links})


async def _fal_status(request: web.Request) -> web.Response:
    check_token(request)
    job = request.app[JOBS].find(request)
    link = f"https://queue.fal.run/{request.match_info['model']}/requests/{job.id}"
    status = "COMPLETED" if job.done() else "IN_PROGRESS"
    return web.json_response({"request_id": job.id, "status": status, "response_url": link})


async def _fal_result(request: web.Request) -> web.Response:
    check_token(request)
    return web.json_response(_fal_pictures(request, request.app[JOBS].find(request)))


def _fal_pictures(request: web.Request, job: Job) -> dict[str, Any]:
    picture = {"url": job.link(request), "content_type": "image/jpeg"}
    sides = {"width": job.asked.width, "height": job.asked.height}
    return {"images": [{**picture, **sides}], "seed": 1, "has_nsfw_concepts": [False], "prompt": job.asked.prompt}


async def _openai(request: web.Request) -> web.Response:
    body = await read_body(request)
    asked = asked_for(body, model=str(body.get("model")))
    if asked.model == "sandbox/unavailable":
        return web.json_response({"error": {"message": "Service Unavailable", "code": None}}, status=503)
    if body.get("response_format") not in ("b64_json", "base64"):
        return web.json_response({"data": [{"index": 0, "url": keep_file(request, asked.picture())}]})
    return web.json_response({"created": 1, "data": [{"index": 0, "b64_json": _base64(asked)}]})


async def _replicate(request: web.Request) -> web.Response:
    """Answer at once for a model, and as if the wait had been too short for a version."""
    body = await read_body(request)
    model = request.match_info.get("model") or str(body.get("version"))
    job = request.app[JOBS].add(asked_for(body.get("input") or {}, model=model))
    ready = "version" not in body
    return web.json_response(_prediction(request, job, ready=ready, status="processing"), status=201)


async def _replicate_status(request: web.Request) -> web.Response:
    check_token(request)
    job = request.app[JOBS].find(request)
    ready = job.done()
    return web.json_response(_prediction(request, job, ready=ready, status="succeeded" if ready else "processing"))


def _prediction(request: web.Request, job: Job, *, ready: bool, status: str) -> dict[str, Any]:
    link = f"https://api.replicate.com/v1/predictions/{job.id}"
    body = {"id": job.id, "model": job.asked.model, "urls": {"get": link, "cancel": f"{link}/cancel"}}
    if job.asked.model == "sandbox/unsafe":
        return {**body, "output": None, "error": "NSFW content detected.", "status": "failed"}
    return {**body, "output": [job.link(request)] if ready else None, "error": None, "status": status}


async def _wavespeed(request: web.Request) -> web.Response:
    job = request.app[JOBS].add(asked_for(await read_body(request), model=request.match_info["model"]))
    return web.json_response(_wavespeed_body(job, status="created"))


async def _wavespeed_status(request: web.Request) -> web.Response:
    check_token(request)
    job = request.app[JOBS].find(request)
    if not job.done():
        return web.json_response(_wavespeed_body(job, status="processing"))
    if job.asked.model == "sandbox/failed":
        return web.json_response(_wavespeed_body(job, status="failed", error="the sandbox's model broke"))
    return web.json_response(_wavespeed_body(job, status="completed", outputs=[job.link(request)]))


def _wavespeed_body(job: Job, *, status: str, **more: Any) -> dict[str, Any]:
    links = {"get": f"https://api.wavespeed.ai/api/v3/predictions/{job.id}/result"}
    data = {"id": job.id, "model": job.asked.model, "outputs": [], "urls": links, "status": status, "error": ""}
    return {"code": 200, "message": "success", "data": {**data, **more}}


async def _zai(request: web.Request) -> web.Response:
    body = await read_body(request)
    job = request.app[JOBS].add(asked_for(body, model=str(body.get("model"))))
    return web.json_response({"id": job.id, "model": job.asked.model, "task_status": "PROCESSING"})


async def _zai_status(request: web.Request) -> web.Response:
    check_token(request)
    job = request.app[JOBS].find(request)
    if not job.done():
        return web.json_response({"id": job.id, "task_status": "PROCESSING"})
    return web.json_response({"task_status": "SUCCESS", "image_result": [{"url": job.link(request)}]})
