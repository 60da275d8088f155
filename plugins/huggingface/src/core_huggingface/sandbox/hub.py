"""The sandbox's Hub: `/api/models`, one model and lists of them, in the forms of 2026-11."""

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from core_huggingface.sandbox.catalogue import BASE_MODELS, MODELS, Model, Serving, add_models

_MAPPING = "inferenceProviderMapping"
PAGE = 20
"""Models on a page of a list, unless the request says how many."""


def add_routes(application: web.Application) -> None:
    """Serve the Hub."""
    add_models(application, BASE_MODELS)
    application.router.add_get("/api/whoami-v2", _whoami)
    application.router.add_get("/api/models", _list)
    application.router.add_get("/api/models/{name:.+}", _model)


async def _whoami(request: web.Request) -> web.Response:
    if "Authorization" not in request.headers:
        return unauthorized()
    return web.json_response({"type": "user", "name": "sandbox", "orgs": [], "isPro": False})


def unauthorized(code: str | None = None) -> web.Response:
    """Return what the Hub and the router say to somebody they do not know."""
    text = "Invalid username or password."
    headers = {"X-Error-Message": text, "WWW-Authenticate": 'Bearer realm="Authentication required"'}
    return web.json_response({"error": text}, status=401, headers=headers | ({"X-Error-Code": code} if code else {}))


async def _model(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    model = request.app[MODELS].get(name)
    if model is None:
        if "Authorization" not in request.headers:
            return unauthorized("RepoNotFound")
        headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
        return web.json_response({"error": "Repository not found"}, status=404, headers=headers)
    if model.moved_to is not None:
        query = f"?{request.query_string}" if request.query_string else ""
        target = f"/api/models/{model.moved_to}{query}"
        return web.Response(
            status=307, headers={"Location": target}, text=f"Temporary Redirect. Redirecting to {target}"
        )
    await asyncio.sleep(model.mapping_seconds)
    if _MAPPING in _expanded(request):
        mapping = {serving.provider: serving.mapped() for serving in model.servings}
        return web.json_response({"_id": _identifier(name), "id": name, _MAPPING: mapping})
    return web.json_response(_facts(model))


def _expanded(request: web.Request) -> set[str]:
    return {*request.query.getall("expand[]", []), *request.query.getall("expand", [])}


def _identifier(name: str) -> str:
    return name.encode().hex()[:24].ljust(24, "0")


def _facts(model: Model) -> dict[str, Any]:
    owner = model.name.partition("/")[0]
    return {
        "_id": _identifier(model.name),
        "id": model.name,
        "modelId": model.name,
        "author": owner,
        "private": False,
        "disabled": False,
        "gated": model.gated,
        "pipeline_tag": model.pipeline,
        "library_name": "diffusers" if "diffusers" in model.config else "transformers",
        "tags": model.tags,
        "downloads": 1000 - len(model.name),
        "likes": 0,
        "config": dict(model.config),
        "siblings": [{"rfilename": "config.json"}],
        "cardData": {"about": "a model of the sandbox; its answers are canned"},
    }


async def _list(request: web.Request) -> web.Response:
    found = [model for model in request.app[MODELS].values() if model.moved_to is None and _wanted(model, request)]
    found.sort(key=lambda model: len(model.name))
    start = int(request.query.get("cursor", 0))
    size = min(int(request.query.get("limit", PAGE)), 1000)
    page = found[start : start + size]
    with_mapping = _MAPPING in _expanded(request)
    body = [_facts(model) | ({_MAPPING: _as_list(model.servings)} if with_mapping else {}) for model in page]
    headers = {}
    if start + size < len(found):
        following = [
            *((key, value) for key, value in request.query.items() if key != "cursor"),
            ("cursor", start + size),
        ]
        headers["Link"] = f'<{request.url.origin()}/api/models?{urlencode(following)}>; rel="next"'
    return web.json_response(body, headers=headers)


def _wanted(model: Model, request: web.Request) -> bool:
    query = request.query
    providers = query.get("inference_provider")
    serving = {serving.provider for serving in model.servings if serving.status == "live"}
    if providers is not None and not (serving if providers == "all" else serving & set(providers.split(","))):
        return False
    if query.get("pipeline_tag", model.pipeline) != model.pipeline:
        return False
    if not set(query.getall("filter", [])) <= set(model.tags):
        return False
    return query.get("search", "").lower() in model.name.lower()


def _as_list(servings: Iterable[Serving]) -> list[dict[str, Any]]:
    return [_listed(serving) for serving in servings]


def _listed(serving: Serving) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if serving.context is not None:
        details["context_length"] = serving.context
    if serving.price is not None:
        details["pricing"] = {"input": serving.price[0], "output": serving.price[1]}
    return {
        "provider": serving.provider,
        **serving.mapped(),
        "features": {"toolCalling": serving.tools, "structuredOutput": serving.structured},
        "performance": {"tokensPerSecond": serving.speed, "firstTokenLatencyMs": 500},
        "providerDetails": details,
        "type": "single-model",
    }
