"""The routes that show and find models, versions, collections, deployments and the account."""

from typing import Any

from aiohttp import web

from core_replicate.sandbox.models import Model
from core_replicate.sandbox.pages import page
from core_replicate.sandbox.problems import no_versions, not_found, problem
from core_replicate.sandbox.state import EMULATOR

_COLLECTIONS = {
    "language-models": "Language models",
    "streaming-language-models": "Streaming language models",
    "text-to-image": "Text to image",
}
_MOST_FOUND = 50


async def list_models(request: web.Request) -> web.Response:
    """List all models."""
    emulator = request.app[EMULATOR]
    models = sorted(emulator.models.values(), key=lambda model: model.id)
    if request.query.get("sort_direction", "desc") == "desc":
        models.reverse()
    return web.json_response(page([model.as_json() for model in models], request=request, size=emulator.page_size))


async def query_models(request: web.Request) -> web.Response:
    """Find models by the words in a plain-text body."""
    found = _found(request, (await request.text()).strip())
    return web.json_response({"previous": None, "next": None, "results": [model.as_json() for model in found]})


async def search(request: web.Request) -> web.Response:
    """Find models and collections, with the newer kind of answer."""
    words = request.query.get("query", "")
    limit = request.query.get("limit", "20")
    if not limit.isdecimal() or not 1 <= int(limit) <= _MOST_FOUND:
        raise problem(400, title="Bad request", detail=f"limit must be a number from 1 to {_MOST_FOUND}")
    models = [
        {"model": model.as_json(), "metadata": {"score": 1.0, "tags": [], "generated_description": model.description}}
        for model in _found(request, words)[: int(limit)]
    ]
    collections = [_collection(slug) for slug in _COLLECTIONS if words.lower() in slug]
    return web.json_response({"query": words, "models": models, "collections": collections, "pages": []})


async def get_model(request: web.Request) -> web.Response:
    """Show a model."""
    return web.json_response(_model(request).as_json())


async def list_versions(request: web.Request) -> web.Response:
    """List the versions of a community model."""
    model = _model(request)
    if model.official:
        raise no_versions()
    versions = [model.version_json(version) for version in model.version_ids]
    return web.json_response({"previous": None, "next": None, "results": versions})


async def get_version(request: web.Request) -> web.Response:
    """Show a version of a community model."""
    model = _model(request)
    if model.official:
        raise no_versions()
    if request.match_info["id"] not in model.version_ids:
        raise not_found()
    return web.json_response(model.version_json(request.match_info["id"]))


async def list_collections(request: web.Request) -> web.Response:
    """List the collections."""
    items = [_collection(slug) for slug in _COLLECTIONS]
    return web.json_response(page(items, request=request, size=request.app[EMULATOR].page_size))


async def get_collection(request: web.Request) -> web.Response:
    """Show a collection and its models."""
    slug = request.match_info["slug"]
    if slug not in _COLLECTIONS:
        raise not_found()
    models = [model.as_json() for model in request.app[EMULATOR].models.values() if slug in model.collections]
    return web.json_response({**_collection(slug), "full_description": None, "models": models})


async def get_account(_request: web.Request) -> web.Response:
    """Show whose token it is."""
    account = {"type": "organization", "username": "sandbox", "name": "Sandbox", "github_url": None}
    return web.json_response(account)


async def list_deployments(request: web.Request) -> web.Response:
    """List the account's deployments."""
    emulator = request.app[EMULATOR]
    items = [_deployment(name, model) for name, model in emulator.deployments.items()]
    return web.json_response(page(items, request=request, size=emulator.page_size))


async def get_deployment(request: web.Request) -> web.Response:
    """Show a deployment."""
    name = f"{request.match_info['owner']}/{request.match_info['name']}"
    deployments = request.app[EMULATOR].deployments
    if name not in deployments:
        raise not_found()
    return web.json_response(_deployment(name, deployments[name]))


def _model(request: web.Request) -> Model:
    name = f"{request.match_info['owner']}/{request.match_info['name']}"
    model = request.app[EMULATOR].models.get(name)
    if model is None:
        raise not_found()
    return model


def _found(request: web.Request, words: str) -> list[Model]:
    wanted = words.lower().split()
    models = request.app[EMULATOR].models.values()
    return [model for model in models if all(word in f"{model.id} {model.description}".lower() for word in wanted)]


def _collection(slug: str) -> dict[str, Any]:
    name = _COLLECTIONS[slug]
    return {"name": name, "slug": slug, "description": f"{name} of the sandbox"}


def _deployment(name: str, model: Model) -> dict[str, Any]:
    owner, _, short = name.partition("/")
    release = {
        "number": 1,
        "model": model.id,
        "version": model.version_ids[0],
        "created_at": model.version_json(model.version_ids[0])["created_at"],
        "created_by": {"type": "organization", "username": owner, "name": "Sandbox", "github_url": None},
        "configuration": {"hardware": "cpu", "min_instances": 0, "max_instances": 1},
    }
    return {"owner": owner, "name": short, "current_release": release}


ROUTES = (
    web.get("/v1/models", list_models),
    web.route("QUERY", "/v1/models", query_models),
    web.get("/v1/search", search),
    web.get("/v1/models/{owner}/{name}", get_model),
    web.get("/v1/models/{owner}/{name}/versions", list_versions),
    web.get("/v1/models/{owner}/{name}/versions/{id}", get_version),
    web.get("/v1/collections", list_collections),
    web.get("/v1/collections/{slug}", get_collection),
    web.get("/v1/account", get_account),
    web.get("/v1/deployments", list_deployments),
    web.get("/v1/deployments/{owner}/{name}", get_deployment),
)
