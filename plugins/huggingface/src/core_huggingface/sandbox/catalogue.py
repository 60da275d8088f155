"""The sandbox's models: what its Hub tells of them, and who serves them."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web
from attrs import field, frozen

from core_huggingface._aliases import DEFAULT_CHAT, DEFAULT_IMAGE, DEFAULT_TEXT, DEFAULT_VISION

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML_CONFIG: Mapping[str, Any] = {
    "model_type": "sandbox",
    "tokenizer_config": {"bos_token": None, "eos_token": "<|im_end|>", "chat_template": CHATML},
}


@frozen(kw_only=True)
class Serving:
    """One inference provider's offer, as the mapping has it."""

    provider: str
    provider_id: str
    task: str = "conversational"
    status: str = "live"
    context: int | None = None
    price: tuple[float, float] | None = None
    tools: bool = False
    structured: bool = False
    speed: float = 50.0
    adapter: Mapping[str, str] = field(factory=dict)

    def mapped(self) -> dict[str, Any]:
        """Return the entry of the mapping, without the provider's name."""
        return {"status": self.status, "providerId": self.provider_id, "task": self.task, **self.adapter}


@frozen(kw_only=True)
class Model:
    """One model of the sandbox.

    Attributes:
        name: Its id on the Hub.
        servings: Who serves it, in the order of the account's preference; of the live ones the fastest is picked.
        pipeline: Its pipeline tag.
        config: What the Hub tells under `config`.
        gated: False, "auto" or "manual".
        moved_to: The id it was renamed to; the Hub redirects there.
        mapping_seconds: How long the Hub takes to tell who serves it.
    """

    name: str
    servings: tuple[Serving, ...] = ()
    pipeline: str = "text-generation"
    config: Mapping[str, Any] = CHATML_CONFIG
    gated: bool | str = False
    moved_to: str | None = None
    mapping_seconds: float = 0.0

    @property
    def chats(self) -> bool:
        """Whether it is on the router's list."""
        return any(serving.task == "conversational" for serving in self.servings)

    @property
    def tags(self) -> list[str]:
        """Return its tags on the Hub."""
        return [self.pipeline, "sandbox", *(["conversational"] if self.chats else [])]


MODELS: web.AppKey[dict[str, Model]] = web.AppKey("models", dict)
"""The models of a running sandbox, by id; its parts add theirs with `add_models`."""


def add_models(application: web.Application, models: Iterable[Model]) -> None:
    """Make models known to the sandbox's Hub (and, those that chat, to its router)."""
    application.setdefault(MODELS, {}).update({model.name: model for model in models})


def _chat(*names: str) -> tuple[Serving, ...]:
    """Return three providers that chat, the fastest in the middle, and before them entries that must be skipped."""
    owner, model = names
    return (
        Serving(provider="sambanova", provider_id=f"{model}-staging", status="staging"),
        Serving(provider="nscale", provider_id=f"{owner}/{model}", status="error"),
        Serving(provider="featherless-ai", provider_id=f"{owner}/{model}", task="text-generation"),
        Serving(
            provider="novita",
            provider_id=f"{owner}/{model}".lower(),
            context=131_072,
            price=(0.13, 0.39),
            tools=True,
            structured=True,
            speed=40.0,
        ),
        Serving(
            provider="cerebras", provider_id=model.lower(), context=65_536, price=(0.85, 1.2), tools=True, speed=2000.0
        ),
        Serving(provider="together", provider_id=f"{owner}/{model}-Turbo", context=131_072, price=(0.88, 0.88)),
    )


def chat_model(name: str, *, pipeline: str = "text-generation", **more: Any) -> Model:
    """Return a model that three providers serve for chat."""
    return Model(name=name, servings=_chat(*name.split("/")), pipeline=pipeline, **more)


BASE_MODELS = (
    chat_model(DEFAULT_CHAT),
    chat_model(DEFAULT_TEXT),
    chat_model("deepseek-ai/DeepSeek-R1"),
    chat_model(DEFAULT_VISION, pipeline="image-text-to-text"),
    Model(
        name=DEFAULT_IMAGE,
        servings=(
            Serving(
                provider="nebius", provider_id="black-forest-labs/flux-dev", task="text-to-image", status="staging"
            ),
            Serving(provider="hf-inference", provider_id=DEFAULT_IMAGE, task="text-to-image"),
        ),
        pipeline="text-to-image",
        config={"diffusers": {"_class_name": "FluxPipeline"}},
    ),
    Model(name="openai-community/gpt2", config={"model_type": "gpt2", "tokenizer_config": {}}),
    Model(name="gpt2", moved_to="openai-community/gpt2"),
)
