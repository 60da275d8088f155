"""The models Replicate lists, from its collections or its search."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from core_chat import ModelInfo, ModelQuery
from core_replicate._api import Api
from core_replicate._names import BUNDLED, DEFAULT_MODEL
from core_replicate._schema import IMAGES, MAX_TOKENS, SYSTEM, Schema, read_schema

_COLLECTIONS = {"chat": "language-models", "text-to-image": "text-to-image"}


async def list_models(query: ModelQuery, connect: Callable[[], Api]) -> AsyncGenerator[ModelInfo, None]:
    """Yield models; where the service cannot be asked, the bundled ones, before the error is raised.

    `connect` returns the API, or raises where there is no key for it.
    """
    listed = False
    try:
        async with aclosing(_ask(query, connect())) as models:
            async for model in models:
                listed = True
                yield model
    except Exception:
        if not listed:
            for model in bundled():
                yield model
        raise


def bundled() -> list[ModelInfo]:
    """Return the well-known models."""
    return [
        ModelInfo(name, tasks={task}, is_default=name == DEFAULT_MODEL, source="bundled")
        for name, task in BUNDLED.items()
    ]


async def _ask(query: ModelQuery, api: Api) -> AsyncGenerator[ModelInfo, None]:
    if query.search is not None:
        async with aclosing(api.search(query.search)) as found:
            async for item in found:
                if (model := read_model(item, "search")) is not None:
                    yield model
        return
    for task, slug in _COLLECTIONS.items():
        if query.task in (None, task):
            for item in await api.collection(slug):
                if (model := read_model(item, "live")) is not None:
                    yield model


def read_model(item: object, source: str) -> ModelInfo | None:
    """Return what a model object says, or None where it names no model."""
    if not isinstance(item, Mapping) or not item.get("owner") or not item.get("name"):
        return None
    name = f"{item['owner']}/{item['name']}"
    schema = read_schema(item.get("latest_version"))
    return ModelInfo(
        name,
        title=item.get("description") if isinstance(item.get("description"), str) else None,
        max_output=_max_output(schema),
        features=None if schema is None else _features(schema),
        tasks=_tasks(schema),
        is_default=name == DEFAULT_MODEL,
        source=source,
    )


def _tasks(schema: Schema | None) -> set[str] | None:
    if schema is None or schema.output == "unknown":
        return None
    return {"text-to-image" if schema.output == "files" else "chat"}


def _max_output(schema: Schema | None) -> int | None:
    key = schema.first(MAX_TOKENS) if schema is not None else None
    most = schema.inputs[key].maximum if schema is not None and key is not None else None
    return None if most is None else int(most)


def _features(schema: Schema) -> set[str]:
    keys: dict[str, tuple[str, ...]] = {
        "images": IMAGES,
        "system": (*SYSTEM, "messages"),
        "tools": ("tools",),
        "reasoning": ("reasoning_effort", "thinking", "extended_thinking"),
    }
    return {feature for feature, names in keys.items() if schema.first(names) is not None}
