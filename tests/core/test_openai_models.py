"""The list of models of an OpenAI-compatible upstream."""

from typing import Any

import pytest

from core_chat import ModelInfo, ModelQuery, ProtocolError
from core_chat.http import client_for
from core_chat.http.session import open_session
from core_chat.openai import list_models, model_info
from core_chat.testing import Response, Upstream


async def listed(answer: Any, **settings: Any) -> list[ModelInfo]:
    """What is read from an upstream's answer."""
    async with Upstream(routes={"GET /v1/models": Response.json(answer)}) as upstream, open_session(None) as session:
        client = client_for(session, ModelQuery(), base_url=f"{upstream.url}/v1")
        return await list_models(client, **settings)


async def test_models_are_listed() -> None:
    """Ids, and the context where a server tells it under one of the usual names."""
    entries = [
        {"id": "a", "object": "model"},
        {"id": "b", "max_model_len": 4096},
        {"id": ""},
        {"object": "model"},
        None,
    ]
    a, b = await listed({"object": "list", "data": entries})
    assert (a.name, a.context, a.tasks, a.source) == ("a", None, frozenset({"chat"}), "live")
    assert (b.name, b.context) == ("b", 4096)


async def test_a_bare_list_is_read_too() -> None:
    """Some servers leave the envelope out."""
    assert [model.name for model in await listed([{"id": "a"}])] == ["a"]


async def test_a_plugin_may_read_the_entries_itself() -> None:
    """`read` makes a model of each."""

    def read(entry: Any) -> ModelInfo:
        return ModelInfo(model_info(entry).name, title=entry["name"])

    assert await listed({"data": [{"id": "a", "name": "A"}]}, read=read) == [ModelInfo("a", title="A")]


@pytest.mark.parametrize("answer", [{}, {"data": {}}, "a", 5])
async def test_another_answer_is_a_protocol_error(answer: Any) -> None:
    """No list is not an empty list."""
    with pytest.raises(ProtocolError, match="list of models"):
        await listed(answer)
