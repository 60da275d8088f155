"""Short names for models, the same for both providers, and the defaults."""

from core_chat import ModelInfo

DEFAULT_CHAT = "meta-llama/Llama-3.3-70B-Instruct"
DEFAULT_VISION = "meta-llama/Llama-3.2-11B-Vision-Instruct"
DEFAULT_TEXT = "Qwen/Qwen2.5-72B-Instruct"
DEFAULT_IMAGE = "black-forest-labs/FLUX.1-dev"

ALIASES: dict[str, str] = {
    "command-r-plus": "CohereForAI/c4ai-command-r-plus-08-2024",
    "deepseek-r1": "deepseek-ai/DeepSeek-R1",
    "flux": DEFAULT_IMAGE,
    "flux-dev": DEFAULT_IMAGE,
    "flux-schnell": "black-forest-labs/FLUX.1-schnell",
    "gemma-2-27b": "google/gemma-2-27b-it",
    "llama-3": DEFAULT_CHAT,
    "llama-3.2-11b": DEFAULT_VISION,
    "llama-3.3-70b": DEFAULT_CHAT,
    "mistral-nemo": "mistralai/Mistral-Nemo-Instruct-2407",
    "nemotron-70b": "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF",
    "phi-3.5-mini": "microsoft/Phi-3.5-mini-instruct",
    "qvq-72b": "Qwen/QVQ-72B-Preview",
    "qwen-2-72b": "Qwen/Qwen2-72B-Instruct",
    "qwen-2-vl-7b": "Qwen/Qwen2-VL-7B-Instruct",
    "qwen-2.5-72b": "Qwen/Qwen2.5-72B-Instruct",
    "qwen-2.5-coder-32b": "Qwen/Qwen2.5-Coder-32B-Instruct",
    "qwq-32b": "Qwen/QwQ-32B",
    "sd-3.5": "stabilityai/stable-diffusion-3.5-large",
}
"""No alias has a slash, and every id on the Hub that a provider serves has one: an alias never hides an id."""

IMAGE_MODELS = frozenset({DEFAULT_IMAGE, "black-forest-labs/FLUX.1-schnell", "stabilityai/stable-diffusion-3.5-large"})
VISION_MODELS = frozenset({DEFAULT_VISION, "Qwen/Qwen2-VL-7B-Instruct", "Qwen/QVQ-72B-Preview"})
BUNDLED: dict[str, ModelInfo] = {
    name: ModelInfo(
        name,
        features={"images"} if name in VISION_MODELS else None,
        tasks={"text-to-image"} if name in IMAGE_MODELS else {"chat", "text-generation"},
        source="bundled",
    )
    for name in sorted({*ALIASES.values(), DEFAULT_TEXT})
}
"""The models behind the aliases, as of 2026-11; the live lists are asked first."""


def split_suffix(name: str) -> tuple[str, str]:
    """Return a model id and its routing suffix: `org/model:novita` gives `org/model` and `novita`."""
    head, colon, suffix = name.rpartition(":")
    return (head, suffix) if colon and suffix and "/" not in suffix else (name, "")


def expand(name: str) -> str:
    """Return the id behind an alias, its suffix kept, or the name itself."""
    model, suffix = split_suffix(name)
    known = ALIASES.get(model.lower(), model)
    return f"{known}:{suffix}" if suffix else known
