"""What each inference provider is sent for a picture; the paths are those below the router's host (as of 2026-11)."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

from attrs import evolve, field, frozen

from core_huggingface._hub import Serving
from core_huggingface._wires import model_path

_AREA = 1024 * 1024
_STEP = 32
_HUB_FILES = "https://huggingface.co"
_SDXL = "stabilityai/stable-diffusion-xl-base-1.0"


@frozen(kw_only=True)
class Wish:
    """A picture as it was asked for; what is None was not asked for. `model` is its id on the Hub."""

    model: str
    prompt: str
    negative_prompt: str | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    extra: Mapping[str, Any] = field(factory=dict)

    def fields(self, *names: str) -> dict[str, Any]:
        """Return those of the named fields that were asked for."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@frozen
class Order:
    """One request: where to, with what, and which fields of the wish it has no word for."""

    path: str
    body: dict[str, Any]
    headers: Mapping[str, str] = field(factory=dict, kw_only=True)
    lost: tuple[str, ...] = field(default=(), kw_only=True)


Builder: TypeAlias = Callable[[Wish, Serving], Order]
_SIZE = ("width", "height")
_STEPS = ("num_inference_steps", "guidance_scale")
_TUNING = ("seed", "negative_prompt", *_STEPS)


def size_for(ratio: str, *, width: int | None, height: int | None) -> tuple[int, int]:
    """Return width and height for an aspect ratio: of about one megapixel, in steps of 32, where neither is given."""
    across, down = (int(side) for side in ratio.split(":"))
    if width is not None:
        return width, _step(width * down / across)
    if height is not None:
        return _step(height * across / down), height
    return _step(math.sqrt(_AREA * across / down)), _step(math.sqrt(_AREA * down / across))


def _step(pixels: float) -> int:
    return max(_STEP, round(pixels / _STEP) * _STEP)


def hf_inference(wish: Wish, serving: Serving) -> Order:
    """Return the request to a model's own path on hf-inference, or on any server of its kind."""
    parameters = {**wish.fields(*_SIZE, *_TUNING), **wish.extra}
    return Order(
        model_path(serving.provider_id),
        {"inputs": wish.prompt, "parameters": parameters},
        headers={"Accept": "image/png"},
    )


def endpoint(wish: Wish, serving: Serving) -> Order:
    """Return the request to an endpoint that serves one model, at its root."""
    return evolve(hf_inference(wish, serving), path="")


def openai(wish: Wish, serving: Serving) -> Order:
    """Return the request to an OpenAI-compatible server, which has no word for how a picture is made."""
    body = {"model": serving.provider_id, "prompt": wish.prompt, "response_format": "b64_json"}
    return _with_size_text(Order("images/generations", body), wish, lost=_TUNING)


def _with_size_text(order: Order, wish: Wish, *, lost: tuple[str, ...]) -> Order:
    """Add the size as "WxH", for which both sides are needed, and the extra fields."""
    whole = wish.width is not None and wish.height is not None
    size = {"size": f"{wish.width}x{wish.height}"} if whole else {}
    missing = wish.fields(*lost) | ({} if whole else wish.fields(*_SIZE))
    return evolve(order, body={**order.body, **size, **wish.extra}, lost=tuple(missing))


def _fal(wish: Wish, serving: Serving) -> Order:
    """Ask for a place in the queue, since a slow picture outlasts any wait for headers."""
    whole = wish.width is not None and wish.height is not None
    body = {"prompt": wish.prompt, **wish.fields(*_TUNING)}
    if whole:
        body["image_size"] = wish.fields(*_SIZE)
    if weights := _weights(wish, serving):
        body["loras"] = [{"path": weights, "scale": 1}]
        if serving.provider_id == "fal-ai/lora":
            body["model_name"] = _SDXL
    path = f"{quote(serving.provider_id, safe='/')}?_subdomain=queue"
    return Order(path, {**body, **wish.extra}, lost=() if whole else tuple(wish.fields(*_SIZE)))


def _weights(wish: Wish, serving: Serving) -> str | None:
    """Return where the weights of a LoRA adapter are."""
    if serving.adapter != "lora" or not serving.weights:
        return None
    return f"{_HUB_FILES}/{wish.model}/resolve/main/{serving.weights}"


def _nscale(wish: Wish, serving: Serving) -> Order:
    body = {"model": serving.provider_id, "prompt": wish.prompt, "response_format": "b64_json"}
    order = Order("v1/images/generations", {**body, **wish.fields("seed", "negative_prompt")})
    return _with_size_text(order, wish, lost=_STEPS)


def _together(wish: Wish, serving: Serving) -> Order:
    body = {"model": serving.provider_id, "prompt": wish.prompt, "response_format": "base64"}
    body |= wish.fields(*_SIZE, "seed", "negative_prompt", "guidance_scale")
    steps = {} if wish.num_inference_steps is None else {"steps": wish.num_inference_steps}
    return Order("v1/images/generations", {**body, **steps, **wish.extra})


def _replicate(wish: Wish, serving: Serving) -> Order:
    """Ask as for any prediction; the server waits for the picture for a while."""
    fields = {"prompt": wish.prompt, **wish.fields(*_SIZE, *_TUNING), **wish.extra}
    if serving.adapter == "lora":
        fields["lora_weights"] = f"{_HUB_FILES}/{wish.model}"
    headers = {"Prefer": "wait"}
    if ":" in serving.provider_id:
        version = serving.provider_id.partition(":")[2]
        return Order("v1/predictions", {"version": version, "input": fields}, headers=headers)
    return Order(f"v1/models/{quote(serving.provider_id, safe='/')}/predictions", {"input": fields}, headers=headers)


def _wavespeed(wish: Wish, serving: Serving) -> Order:
    body: dict[str, Any] = {"prompt": wish.prompt, **wish.fields(*_SIZE, *_TUNING)}
    if serving.adapter == "lora":
        body["loras"] = [{"path": wish.model, "scale": 1}]
    return Order(f"api/v3/{quote(serving.provider_id, safe='/')}", {**body, **wish.extra})


def _zai(wish: Wish, serving: Serving) -> Order:
    headers = {"Accept-Language": "en-US,en", "x-source-channel": "hugging_face"}
    body = {"model": serving.provider_id, "prompt": wish.prompt}
    return _with_size_text(Order("api/paas/v4/async/images/generations", body, headers=headers), wish, lost=_TUNING)


BUILDERS: dict[str, Builder] = {
    "fal-ai": _fal,
    "hf-inference": hf_inference,
    "nscale": _nscale,
    "replicate": _replicate,
    "together": _together,
    "wavespeed": _wavespeed,
    "zai-org": _zai,
}
"""The inference providers whose way of making pictures is known here."""
