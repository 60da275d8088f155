"""The models of one endpoint: those the Hub says hf-inference serves, or what a server says of itself."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from attrs import evolve

from core_chat.errors import ProviderError
from core_chat.http import Client
from core_chat.models import ModelInfo
from core_chat.openai import list_models as list_openai
from core_chat.requests import ModelQuery
from core_huggingface._aliases import BUNDLED, DEFAULT_IMAGE, DEFAULT_TEXT
from core_huggingface._hub import CHAT, Hub
from core_huggingface._options import TASKS
from core_huggingface._wires import HF_INFERENCE

_OFFLINE = (DEFAULT_TEXT, DEFAULT_IMAGE)
_FILED = {"text-generation": CHAT, "text-to-image": "text-to-image"}
_NO_LIST = (404, 405, 501)


async def list_models(
    query: ModelQuery, client: Client, *, hub: tuple[Hub, Client] | None
) -> AsyncGenerator[ModelInfo, None]:
    """Yield the models of an endpoint; the bundled ones before an error is raised.

    Raises:
        ProviderError: Neither the Hub nor the server could be asked.
    """
    try:
        if hub is None:
            for model in await _of_server(client):
                yield model
            return
        for task in (task for task in TASKS if query.task in (None, task)):
            async with aclosing(_of_hub(task, query, asked=hub)) as models:
                async for model in models:
                    yield model
    except ProviderError:
        for name in _OFFLINE if hub is not None else ():
            yield evolve(BUNDLED[name], is_default=name == DEFAULT_TEXT)
        raise


async def _of_hub(task: str, query: ModelQuery, *, asked: tuple[Hub, Client]) -> AsyncGenerator[ModelInfo, None]:
    """Yield what hf-inference serves; its mapping files some text generation under chat."""
    hub, client = asked
    models = hub.models(client, task=task, search=query.search, provider=HF_INFERENCE, served_as={task, _FILED[task]})
    async with aclosing(models) as found:
        async for model in found:
            yield evolve(model, backends=(HF_INFERENCE,), is_default=model.name == DEFAULT_TEXT)


async def _of_server(client: Client) -> list[ModelInfo]:
    """Return the models of a server of one's own: from its list, or, of an older TGI, from what it tells of itself."""
    try:
        listed = await list_openai(client, path="models" if client.base_url.endswith("/v1") else "v1/models")
        return [evolve(model, tasks={"text-generation"}) for model in listed]
    except ProviderError as error:
        if error.status not in _NO_LIST:
            raise
        return _served(await client.json("GET", "info"))


def _served(info: Any) -> list[ModelInfo]:
    name = info.get("model_id") if isinstance(info, Mapping) else None
    if not isinstance(name, str) or not name:
        return []
    sizes = (info.get(key) for key in ("max_input_tokens", "max_input_length"))
    context = next((size for size in sizes if isinstance(size, int)), None)
    return [ModelInfo(name, context=context, tasks={"text-generation"}, source="live")]
