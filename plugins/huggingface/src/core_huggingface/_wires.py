"""The two wires that generate text from a prompt: where each may be found, what it is sent, what it cannot take."""

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

from attrs import frozen

from core_chat.errors import InvalidRequestError, ProviderError
from core_chat.events import Notice
from core_chat.notices import UNSUPPORTED, asked
from core_chat.requests import ChatRequest

Wire: TypeAlias = Literal["tgi", "completions"]
WIRES: tuple[Wire, ...] = ("tgi", "completions")
HF_INFERENCE = "hf-inference"

_TGI_NAMES = {
    "max_tokens": "max_new_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop": "stop",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "response_format": "grammar",
}
_COMPLETIONS_NAMES = (
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
)
_TGI_TOP_LEVEL = ("inputs", "parameters", "stream", "options", "model")
_TOLD_WITH_THE_PROMPT = ("tools", "tool_choice")
_NO_WORD = "has no place in what this endpoint takes"
_FOR_PICTURES = "is for pictures, which options={'task': 'text-to-image'} asks for where the model is not known"
_WHY = dict.fromkeys(("width", "height", "aspect_ratio"), _FOR_PICTURES)
_UNUSED = re.compile(r"model_kwargs.{0,60}not used by the model: \[([^\]]*)\]")
_OTHER_WIRE = re.compile(
    r"(prompt|messages|model)\W.*(required|missing)|missing field .(prompt|messages|model)", re.IGNORECASE
)
_NO_MODEL = re.compile(r"\bmodel\b", re.IGNORECASE)
_NO_SUCH_PATH = (404, 405, 501)
_REFUSED = (400, 422)


@frozen
class Shape:
    """How an endpoint generates text: the path below the base URL, its wire, and parameters it does not know."""

    path: str
    wire: Wire
    without: frozenset[str] = frozenset()


def model_path(model: str) -> str:
    """Return the path of a model.

    Raises:
        InvalidRequestError: Its id would lead to another path.
    """
    if any(part in ("", ".", "..") for part in model.split("/")):
        raise InvalidRequestError(f"{model!r} cannot be a model's id", parameter="model")
    return f"models/{quote(model, safe='/')}"


def shapes(base_url: str, model: str) -> list[Shape]:
    """Return where text generation may be found below a base URL, the likeliest first.

    hf-inference has a path for each model; a TGI or an Inference Endpoint answers at its root; all of the newer
    servers have `/v1/completions`.
    """
    name = model_path(model)
    own = [Shape(name, "tgi"), Shape(f"{name}/v1/completions", "completions")]
    root = [Shape("", "tgi"), Shape("v1/completions", "completions")]
    if base_url.endswith("/v1"):
        return [Shape("completions", "completions")]
    if base_url.endswith(f"/{HF_INFERENCE}"):
        return own
    return root if "/models/" in base_url else [own[0], *root, own[1]]


def leads_on(error: ProviderError) -> bool:
    """Whether a failure says that this path or wire is not there, so that another may be; nothing was generated."""
    if error.status in _NO_SUCH_PATH:
        return not _NO_MODEL.search(error.text)
    return error.status in _REFUSED and bool(_OTHER_WIRE.search(error.text))


def unknown_parameters(error: ProviderError) -> frozenset[str]:
    """Return the parameters that a pipeline refused because its model does not know them."""
    found = _UNUSED.search(error.text) if error.status in _REFUSED else None
    return frozenset(re.findall(r"'([^']+)'", found[1])) if found else frozenset()


def body_for(shape: Shape, request: ChatRequest, *, prompt: str) -> dict[str, Any]:
    """Return the body that asks a shape for text; `extra` comes last."""
    if shape.wire == "completions":
        return _completions_body(request, prompt)
    parameters: dict[str, Any] = {"return_full_text": False, "details": True}
    parameters |= {sent: _tgi_value(name, request) for name, sent in _TGI_NAMES.items() if _takes(name, request)}
    body = {"inputs": prompt, "parameters": parameters, "stream": True}
    for name, value in request.extra.items():
        if name == "parameters" and isinstance(value, Mapping):
            parameters |= value
        elif name in _TGI_TOP_LEVEL:
            body[name] = value
        else:
            parameters[name] = value
    for name in shape.without:
        parameters.pop(name, None)
    return body


def _tgi_value(name: str, request: ChatRequest) -> Any:
    value = getattr(request, name)
    if name == "response_format":
        return {"type": "json", "value": _schema(value)}
    return list(value) if name == "stop" else value


def _takes(name: str, request: ChatRequest) -> bool:
    """Whether something was asked for that TGI takes under that name."""
    value = getattr(request, name)
    return _schema(value) is not None if name == "response_format" else not _is_unset(value)


def _is_unset(value: Any) -> bool:
    return value is None or value == ()


def _schema(response_format: Any) -> Mapping[str, Any] | None:
    """Return the JSON Schema in a response format; TGI has no word for JSON of any shape."""
    wrapped = response_format.get("json_schema") if isinstance(response_format, Mapping) else None
    schema = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


def _completions_body(request: ChatRequest, prompt: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": request.model.name,
        "prompt": prompt,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    for name in _COMPLETIONS_NAMES:
        value = getattr(request, name)
        if not _is_unset(value):
            body[name] = list(value) if name == "stop" else value
    return {**body, **request.extra}


def lost_parameters(shape: Shape, request: ChatRequest) -> list[str]:
    """Return the parameters that were asked for and cannot be sent to a shape; what `extra` names is sent."""
    known = {name for name in _COMPLETIONS_NAMES if shape.wire == "completions"}
    if shape.wire == "tgi":
        known = {name for name, sent in _TGI_NAMES.items() if _takes(name, request) and sent not in shape.without}
    return [name for name in asked(request) if name not in known and name not in _TOLD_WITH_THE_PROMPT]


def lost_notices(shape: Shape, request: ChatRequest) -> list[Notice]:
    """Return what a caller is told before a shape is asked."""
    provider = request.model.provider
    notices = [
        Notice(UNSUPPORTED, f"{provider}: {name} {_WHY.get(name, _NO_WORD)}; it was left out", parameter=name)
        for name in lost_parameters(shape, request)
    ]
    notices += [
        Notice(UNSUPPORTED, f"the model does not know {name!r}; it was left out", parameter="extra")
        for name in request.extra
        if name in shape.without
    ]
    return notices
