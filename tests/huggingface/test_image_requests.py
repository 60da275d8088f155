"""What each inference provider is sent for a picture."""

from typing import Any

import pytest

from core_huggingface._hub import Serving
from core_huggingface._image_requests import BUILDERS, Wish, endpoint, hf_inference, openai, size_for

FULL = {
    "negative_prompt": "rain",
    "width": 640,
    "height": 480,
    "seed": 7,
    "num_inference_steps": 4,
    "guidance_scale": 2.5,
}
TUNING = {key: value for key, value in FULL.items() if key not in ("width", "height")}
WEIGHTS = "https://huggingface.co/org/m/resolve/main/lora.safetensors"


def _wish(**more: Any) -> Wish:
    return Wish(model="org/m", prompt="A cat", **more)


def _serving(provider: str, provider_id: str = "vendor/m", **more: Any) -> Serving:
    return Serving(provider=provider, provider_id=provider_id, task="text-to-image", **more)


FULL_BODIES: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "hf-inference": ("models/vendor/m", {"inputs": "A cat", "parameters": FULL}, set()),
    "fal-ai": (
        "vendor/m?_subdomain=queue",
        {"prompt": "A cat", **TUNING, "image_size": {"width": 640, "height": 480}},
        set(),
    ),
    "nscale": (
        "v1/images/generations",
        {
            "model": "vendor/m",
            "prompt": "A cat",
            "response_format": "b64_json",
            "seed": 7,
            "negative_prompt": "rain",
            "size": "640x480",
        },
        {"num_inference_steps", "guidance_scale"},
    ),
    "replicate": ("v1/models/vendor/m/predictions", {"input": {"prompt": "A cat", **FULL}}, set()),
    "together": (
        "v1/images/generations",
        {
            "model": "vendor/m",
            "prompt": "A cat",
            "response_format": "base64",
            "width": 640,
            "height": 480,
            "seed": 7,
            "negative_prompt": "rain",
            "guidance_scale": 2.5,
            "steps": 4,
        },
        set(),
    ),
    "wavespeed": ("api/v3/vendor/m", {"prompt": "A cat", **FULL}, set()),
    "zai-org": (
        "api/paas/v4/async/images/generations",
        {"model": "vendor/m", "prompt": "A cat", "size": "640x480"},
        set(TUNING),
    ),
}


@pytest.mark.parametrize("provider", sorted(BUILDERS))
def test_each_provider_is_sent_its_own_words(provider: str) -> None:
    """Path, body, and what it has no word for."""
    path, body, lost = FULL_BODIES[provider]
    order = BUILDERS[provider](_wish(**FULL), _serving(provider))
    assert (order.path, order.body, set(order.lost)) == (path, body, lost)


@pytest.mark.parametrize("provider", sorted(BUILDERS))
def test_nothing_is_sent_that_was_not_asked_for(provider: str) -> None:
    """Unset is the provider's own default; nothing is lost then."""
    order = BUILDERS[provider](_wish(), _serving(provider))
    sent = order.body.get("input", order.body.get("parameters", order.body))
    assert not {"seed", "size", "width", "image_size", "steps"} & set(sent)
    assert order.lost == ()


@pytest.mark.parametrize("provider", sorted(BUILDERS))
def test_extra_comes_last(provider: str) -> None:
    """Among the fields that make the picture, in the place of ours where it has the same name."""
    order = BUILDERS[provider](_wish(extra={"prompt": "A dog", "odd": 1}), _serving(provider))
    sent = order.body.get("input", order.body.get("parameters", order.body))
    assert sent["odd"] == 1
    assert sent["prompt"] == "A dog"


@pytest.mark.parametrize("provider", ["fal-ai", "nscale", "zai-org"])
def test_one_side_alone_is_lost_where_a_size_needs_both(provider: str) -> None:
    """The other side is never guessed."""
    assert set(BUILDERS[provider](_wish(width=640), _serving(provider)).lost) == {"width"}


def test_special_headers_are_sent() -> None:
    """The wait at replicate, the source at zai."""
    assert BUILDERS["replicate"](_wish(), _serving("replicate")).headers == {"Prefer": "wait"}
    assert BUILDERS["zai-org"](_wish(), _serving("zai-org")).headers == {
        "Accept-Language": "en-US,en",
        "x-source-channel": "hugging_face",
    }


def test_a_version_of_replicate_has_a_path_of_its_own() -> None:
    """A providerId with a colon names one."""
    order = BUILDERS["replicate"](_wish(), _serving("replicate", "vendor/m:0123abcd"))
    assert (order.path, order.body) == ("v1/predictions", {"version": "0123abcd", "input": {"prompt": "A cat"}})


def test_adapters_are_sent_as_each_provider_wants_them() -> None:
    """A LoRA adapter runs on another model, and its weights are named."""
    lora = {"adapter": "lora", "weights": "lora.safetensors"}
    fal = BUILDERS["fal-ai"](_wish(), _serving("fal-ai", "fal-ai/lora", **lora)).body
    assert fal["loras"] == [{"path": WEIGHTS, "scale": 1}]
    assert fal["model_name"] == "stabilityai/stable-diffusion-xl-base-1.0"
    assert "model_name" not in BUILDERS["fal-ai"](_wish(), _serving("fal-ai", "fal-ai/flux-lora", **lora)).body
    replicate = BUILDERS["replicate"](_wish(), _serving("replicate", **lora)).body
    assert replicate["input"]["lora_weights"] == "https://huggingface.co/org/m"
    wavespeed = BUILDERS["wavespeed"](_wish(), _serving("wavespeed", **lora)).body
    assert wavespeed["loras"] == [{"path": "org/m", "scale": 1}]


def test_servers_of_ones_own_are_asked_at_their_root_or_as_openai_is() -> None:
    """The same body as hf-inference's; or the words of the OpenAI API."""
    assert endpoint(_wish(), _serving("")).path == ""
    assert endpoint(_wish(seed=1), _serving("")).body == hf_inference(_wish(seed=1), _serving("")).body
    order = openai(_wish(width=8, height=9, seed=1), _serving("", "m"))
    assert order.path == "images/generations"
    assert order.body == {"model": "m", "prompt": "A cat", "response_format": "b64_json", "size": "8x9"}
    assert order.lost == ("seed",)


@pytest.mark.parametrize(
    ("ratio", "sides", "expected"),
    [
        ("1:1", (None, None), (1024, 1024)),
        ("16:9", (None, None), (1376, 768)),
        ("9:16", (None, None), (768, 1376)),
        ("16:9", (1600, None), (1600, 896)),
        ("3:4", (None, 800), (608, 800)),
        ("1:1000", (None, None), (32, 32384)),
    ],
)
def test_a_ratio_becomes_a_size(ratio: str, sides: tuple[int | None, int | None], expected: tuple[int, int]) -> None:
    """Of a megapixel or so, in steps that all models take; a side that was given stays."""
    assert size_for(ratio, width=sides[0], height=sides[1]) == expected
