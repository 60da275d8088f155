"""The sandbox's hf-inference for text: TGIs, pipelines that cannot stream, a server that only has completions.

`Qwen/Qwen2.5-72B-Instruct` is on a TGI; `openai-community/gpt2` and `sandbox/object` are pipelines, which answer with
a list of one and an object, and know few parameters; `sandbox/completions` has only the newer wire. The template of
`sandbox/hostile-template` never ends.

The failing models have the router's names, in TGI's dialect; besides, `sandbox/loading` is a cold model,
`sandbox/error-body` an error inside HTTP 200, `sandbox/overloaded-midway` an overload after some text.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from attrs import evolve

from core_chat.sandbox import canned_answer
from core_huggingface._aliases import DEFAULT_TEXT
from core_huggingface.sandbox import images
from core_huggingface.sandbox.catalogue import MODELS, Model, Serving, add_models, chat_model
from core_huggingface.sandbox.generation import Generated
from core_huggingface.sandbox.router import bad_credentials
from core_huggingface.sandbox.textgen_failing import FAILING, open_stream, stream

GPT2 = "openai-community/gpt2"
OBJECT = "sandbox/object"
COMPLETIONS = "sandbox/completions"
_ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{{ '' }}{% endfor %}{% endfor %}"
_MOST_STOPS = 4
_PIPELINE_NAMES = frozenset({"max_new_tokens", "temperature", "top_p", "top_k", "return_full_text", "do_sample"})


def served(name: str, **more: Any) -> Model:
    """Return a model that hf-inference serves for text."""
    serving = Serving(provider="hf-inference", provider_id=name, task="text-generation")
    return Model(name=name, servings=(serving,), **more)


def _default() -> Model:
    chatting = chat_model(DEFAULT_TEXT)
    return evolve(chatting, servings=(*chatting.servings, *served(DEFAULT_TEXT).servings))


_BASE: Mapping[str, Any] = {"model_type": "gpt2", "tokenizer_config": {}}
_HOSTILE: Mapping[str, Any] = {"model_type": "sandbox", "tokenizer_config": {"chat_template": _ENDLESS}}
TEXT_MODELS = (
    _default(),
    served(GPT2, config=_BASE),
    served(OBJECT, config=_BASE),
    served(COMPLETIONS),
    served("sandbox/hostile-template", config=_HOSTILE),
)


def add_routes(application: web.Application) -> None:
    """Serve hf-inference for text; the router's models come first."""
    known = application[MODELS]
    add_models(application, (*TEXT_MODELS, *(served(name) for name in FAILING if name not in known)))
    application.router.add_post("/hf-inference/models/{name:.+}/v1/completions", _completions)
    application.router.add_post("/hf-inference/models/{name:.+}", _generate)


async def _generate(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    if (refused := bad_credentials(request) or _not_served(request, name)) is not None:
        return refused
    model = request.app[MODELS].get(name)
    if model is not None and model.pipeline == "text-to-image":
        return await images.hf_inference(request, name)
    if name == COMPLETIONS:
        return web.json_response({"detail": "Not Found"}, status=404)
    body = await _read(request)
    if not isinstance(body.get("inputs"), str):
        told = "Failed to deserialize the JSON body into the target type: missing field `inputs`"
        return web.Response(status=422, text=told)
    parameters = body.get("parameters") or {}
    if name in (GPT2, OBJECT):
        return _pipeline(body["inputs"], parameters, wrapped=name == GPT2)
    return await _tgi(request, name, body=body, parameters=parameters)


async def _tgi(
    request: web.Request, name: str, *, body: Mapping[str, Any], parameters: Mapping[str, Any]
) -> web.StreamResponse:
    if (problem := _problem(parameters)) is not None:
        return web.json_response({"error": problem, "error_type": "validation"}, status=422)
    answer = _answer(body["inputs"], parameters)
    if name in FAILING:
        return await FAILING[name](request, answer)
    return await stream(request, answer) if body.get("stream") else web.json_response([answer.pipeline_body()])


def _not_served(request: web.Request, name: str) -> web.Response | None:
    model = request.app[MODELS].get(name)
    if name in FAILING or (model and any(serving.provider == "hf-inference" for serving in model.servings)):
        return None
    if model is None:
        return web.json_response({"error": f"Model {name} does not exist"}, status=404)
    return web.json_response({"error": "Model not supported by provider hf-inference"}, status=400)


async def _read(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _pipeline(prompt: str, parameters: Mapping[str, Any], *, wrapped: bool) -> web.Response:
    """Answer as a pipeline: what its model's `generate` does not take is refused, and the prompt is repeated."""
    if unknown := [name for name in parameters if name not in _PIPELINE_NAMES]:
        told = (
            f"The following `model_kwargs` are not used by the model: {unknown} (note: typos in the generate arguments "
            "will also show up in this list)"
        )
        return web.json_response({"error": told, "warnings": [f"There was an inference error: {told}"]}, status=400)
    answer = evolve(_answer(prompt, parameters), full=parameters.get("return_full_text", True))
    return web.json_response([answer.pipeline_body()] if wrapped else answer.pipeline_body())


def _problem(parameters: Mapping[str, Any]) -> str | None:
    """Return what a TGI finds wrong with its parameters, or None."""
    temperature = parameters.get("temperature", 1.0)
    if not isinstance(temperature, int | float) or temperature <= 0:
        return "Input validation error: `temperature` must be strictly positive"
    seed = parameters.get("seed", 1)
    if not isinstance(seed, int) or seed < 0:
        return "Input validation error: `seed` must be a positive whole number"
    if len(parameters.get("stop") or ()) > _MOST_STOPS:
        return f"Input validation error: `stop` supports up to {_MOST_STOPS} stop sequences"
    return None


def _answer(prompt: str, parameters: Mapping[str, Any]) -> Generated:
    """Return the canned text for a prompt, cut where the parameters say."""
    pieces = tuple(canned_answer(prompt))
    limit = parameters.get("max_new_tokens") or len(pieces)
    reason = "length" if limit < len(pieces) else "eos_token"
    for word in parameters.get("stop") or ():
        ended = next((at for at, piece in enumerate(pieces[:limit], start=1) if word in piece), None)
        if ended is not None:
            limit, reason = ended, "stop_sequence"
    return Generated(
        prompt=prompt,
        pieces=pieces[:limit],
        reason=reason,
        details=bool(parameters.get("details")),
        full=bool(parameters.get("return_full_text")),
        seed=parameters.get("seed"),
    )


async def _completions(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    if (refused := bad_credentials(request) or _not_served(request, name)) is not None:
        return refused
    body = await _read(request)
    if name != COMPLETIONS:
        return web.json_response({"error": "Not Found"}, status=404)
    if not isinstance(body.get("prompt"), str):
        told = {"detail": [{"loc": ["body", "prompt"], "msg": "Field required", "type": "missing"}]}
        return web.json_response(told, status=422)
    answer = _answer(body["prompt"], {**body, "max_new_tokens": body.get("max_tokens")})
    if not body.get("stream"):
        whole = answer.completion(text=answer.text, reason=answer.completion_reason, usage=True)
        return web.json_response(whole)
    response = await open_stream(request)
    for data in answer.completion_events(usage=bool((body.get("stream_options") or {}).get("include_usage"))):
        await response.write(f"data: {data}\n\n".encode())
    return response
