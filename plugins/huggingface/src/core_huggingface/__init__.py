"""Hugging Face for core-chat: the providers `huggingface` and `huggingface-inference`.

Each is imported when it is asked for, so that using one does not load the other.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core_huggingface.inference import HuggingFaceInference
    from core_huggingface.provider import HuggingFace

__all__ = ["HuggingFace", "HuggingFaceInference"]

_HOMES = {"HuggingFace": "core_huggingface.provider", "HuggingFaceInference": "core_huggingface.inference"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
