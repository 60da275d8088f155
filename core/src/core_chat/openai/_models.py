"""`GET models`: the list of an OpenAI-compatible upstream."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from core_chat.errors import ProtocolError
from core_chat.http import Client
from core_chat.models import ModelInfo

_CONTEXT_KEYS = ("context_length", "context_window", "max_model_len", "max_context_length")


def model_info(entry: Mapping[str, Any]) -> ModelInfo:
    """Return one entry of the list; what the upstream does not tell is unknown."""
    sizes = (entry.get(key) for key in _CONTEXT_KEYS)
    context = next((size for size in sizes if isinstance(size, int) and size > 0), None)
    return ModelInfo(entry["id"], context=context, tasks={"chat"}, source="live")


async def list_models(
    client: Client, *, path: str = "models", read: Callable[[Mapping[str, Any]], ModelInfo | None] = model_info
) -> list[ModelInfo]:
    """Return the models of an upstream; `read` makes one of each entry, or None where it is of no use.

    Raises:
        ProviderError: The upstream or the way to it failed, or it answered something else.
    """
    answer = await client.json("GET", path)
    return [model for entry in _entries(answer) if (model := read(entry)) is not None]


def _entries(answer: Any) -> Iterator[Mapping[str, Any]]:
    listed = answer.get("data") if isinstance(answer, Mapping) else answer
    if not isinstance(listed, list):
        raise ProtocolError("the upstream answered something else than a list of models", got=type(answer).__name__)
    for entry in listed:
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str) and entry["id"]:
            yield entry
