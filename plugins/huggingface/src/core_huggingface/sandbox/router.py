"""The sandbox's router: `/v1/models` and `/v1/chat/completions`, in the forms of 2026-11."""

import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from core_huggingface._aliases import VISION_MODELS, split_suffix
from core_huggingface._router import BACKEND_HEADER, POLICIES
from core_huggingface.sandbox.answers import answer_to
from core_huggingface.sandbox.catalogue import MODELS, Model, Serving, add_models
from core_huggingface.sandbox.failing import FAILING, RENAMED
from core_huggingface.sandbox.hub import unauthorized
from core_huggingface.sandbox.streams import Exchange, answered

_KNOWN = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_tokens",
        "messages",
        "model",
        "n",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tool_prompt",
        "tools",
        "top_logprobs",
        "top_p",
    }
)
_BAD_TOKENS = ("hf_invalid", "hf_expired")


def add_routes(application: web.Application) -> None:
    """Serve the router."""
    add_models(application, (*(failing.model for failing in FAILING.values()), *RENAMED))
    application.router.add_get("/v1/models", _list)
    application.router.add_get("/v1/models/{name:.+}", _model)
    application.router.add_post("/v1/chat/completions", _chat)
    application.router.add_post("/{provider}/{path:.*chat/completions}", _chat_with_provider)


def bad_credentials(request: web.Request) -> web.Response | None:
    """Return the refusal of a request without a token, or with one of those that stand for bad ones."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return unauthorized() if scheme != "Bearer" or not token or token in _BAD_TOKENS else None


async def _list(request: web.Request) -> web.Response:
    data = [_entry(model) for model in request.app[MODELS].values() if model.chats]
    return web.json_response({"object": "list", "data": data})


async def _model(request: web.Request) -> web.Response:
    model = request.app[MODELS].get(request.match_info["name"])
    if model is None or not model.chats:
        return _error(404, "The requested model does not exist", code="model_not_found")
    return web.json_response(_entry(model))


def _entry(model: Model) -> dict[str, Any]:
    modalities = ["text", "image"] if model.name in VISION_MODELS else ["text"]
    return {
        "id": model.name,
        "object": "model",
        "created": 1_767_225_600,
        "owned_by": model.name.partition("/")[0],
        "architecture": {"input_modalities": modalities, "output_modalities": ["text"]},
        "providers": [_offer(serving) for serving in _chatting(model, also=("error",))],
    }


def _offer(serving: Serving) -> dict[str, Any]:
    offer: dict[str, Any] = {"provider": serving.provider, "status": serving.status}
    if serving.context is not None:
        offer["context_length"] = serving.context
    if serving.price is not None:
        offer["pricing"] = {"input": serving.price[0], "output": serving.price[1]}
    return offer | {
        "supports_tools": serving.tools,
        "supports_structured_output": serving.structured,
        "throughput": serving.speed,
        "is_model_author": False,
    }


def _chatting(model: Model, *, also: tuple[str, ...] = ()) -> list[Serving]:
    return [
        serving for serving in model.servings if serving.task == "conversational" and serving.status in ("live", *also)
    ]


def _error(status: int, message: str, *, code: str, param: str | None = None) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return web.json_response({"error": error}, status=status)


async def _read(request: web.Request) -> dict[str, Any] | web.Response:
    """Return the body of a request that may be answered, or what is wrong with it."""
    if (refusal := bad_credentials(request)) is not None:
        return refusal
    try:
        body = await request.json()
    except ValueError:
        return web.Response(status=422, text="Failed to parse the request body as JSON")
    return _problem(body) or body


async def _chat_with_provider(request: web.Request) -> web.StreamResponse:
    """Answer at a provider's own path, where models go by the provider's ids."""
    body = await _read(request)
    if isinstance(body, web.Response):
        return body
    provider = request.match_info["provider"]
    for model in request.app[MODELS].values():
        for serving in _chatting(model):
            if (serving.provider, serving.provider_id) == (provider, body["model"]):
                return await _answer(request, body, name=model.name, serving=serving, pinned=True)
    return web.json_response({"error": f"Model not supported by provider {provider}"}, status=400)


async def _chat(request: web.Request) -> web.StreamResponse:
    body = await _read(request)
    if isinstance(body, web.Response):
        return body
    name, suffix = split_suffix(body["model"])
    model = request.app[MODELS].get(name)
    offers = _chatting(model) if model is not None else []
    if not offers:
        told = f"The requested model '{name}' is not supported by any provider you have enabled."
        return _error(400, told, code="model_not_supported", param="model")
    serving = _chosen(offers, suffix)
    if serving is None:
        return web.json_response({"error": f"Model not supported by provider {suffix}"}, status=400)
    return await _answer(request, body, name=name, serving=serving, pinned=suffix not in ("", *POLICIES))


def _problem(body: Any) -> web.Response | None:
    """Check a body as a strict server does: unknown fields are refused, as some providers do."""
    if not isinstance(body, dict) or not isinstance(body.get("model"), str) or not body["model"]:
        return _error(400, "you must provide a model parameter", code="missing_required_parameter")
    if unknown := sorted(set(body) - _KNOWN):
        return _error(400, f"property '{unknown[0]}' is unsupported", code="wrong_api_format", param=unknown[0])
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(turn, dict) for turn in messages):
        told = "Failed to deserialize the JSON body into the target type: messages: expected a sequence of messages"
        return web.Response(status=422, text=told)
    temperature = body.get("temperature")
    if temperature is not None and not (isinstance(temperature, int | float) and temperature >= 0):
        told = "Input validation error: `temperature` must be positive"
        return web.json_response({"error": told, "error_type": "validation"}, status=422)
    return None


def _chosen(offers: list[Serving], suffix: str) -> Serving | None:
    if suffix in ("", "fastest"):
        return max(offers, key=lambda offer: offer.speed)
    if suffix == "cheapest":
        return min(offers, key=lambda offer: offer.price[1] if offer.price else float("inf"))
    if suffix == "preferred":
        return offers[0]
    return next((offer for offer in offers if offer.provider == suffix), None)


async def _answer(
    request: web.Request, body: Mapping[str, Any], *, name: str, serving: Serving, pinned: bool
) -> web.StreamResponse:
    number = uuid.uuid4().hex
    failing = FAILING.get(name)
    routed = pinned or failing is None or failing.choice is None
    exchange = Exchange(
        request=request,
        answer=answer_to(body, id_=f"chatcmpl-{number}", model=serving.provider_id),
        provider=serving.provider,
        stream=bool(body.get("stream")),
        usage=bool((body.get("stream_options") or {}).get("include_usage")),
        headers={"X-Request-Id": f"sandbox-{number[:8]}"} | ({BACKEND_HEADER: serving.provider} if routed else {}),
    )
    behave = answered if failing is None else failing.of(serving.provider, pinned=pinned)
    return await behave(exchange)
