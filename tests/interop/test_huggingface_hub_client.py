"""The official `huggingface_hub` clients against the sandbox's Hub and router."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from huggingface_hub import AsyncInferenceClient, HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from core_huggingface.sandbox import sandbox
from core_huggingface.sandbox.hub import PAGE

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]


@pytest.fixture
def origin() -> Iterator[str]:
    """Serve a sandbox from another thread: these clients ask the Hub without letting the event loop run."""
    started = threading.Event()
    found: list[str] = []
    stop: list[Any] = []

    async def serve() -> None:
        ended = asyncio.Event()
        stop.append((asyncio.get_running_loop(), ended))
        async with sandbox() as config:
            found.append(config["huggingface"]["hub_url"])
            started.set()
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    started.wait()
    yield found[0]
    loop, ended = stop[0]
    loop.call_soon_threadsafe(ended.set)
    thread.join()


@pytest.fixture
async def client(origin: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncInferenceClient]:
    """Return a client that takes the sandbox for the vendor."""
    monkeypatch.setattr(constants, "ENDPOINT", origin)
    monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", origin + "/{provider}")
    async with AsyncInferenceClient(base_url=f"{origin}/v1", api_key="hf_sandbox") as client:
        yield client


@pytest.fixture
def api(origin: str) -> HfApi:
    """Return a client of the sandbox's Hub."""
    return HfApi(endpoint=origin, token="hf_sandbox")


@pytest.mark.parametrize("provider", ["", ":cerebras", ":novita", ":together"])
async def test_it_streams_through_the_router(client: AsyncInferenceClient, provider: str) -> None:
    """Every dialect comes as chunks, the finish reason at the end."""
    stream = await client.chat_completion(QUESTION, model=CHAT + provider, stream=True)
    chunks = [chunk async for chunk in stream]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert "canned" in text
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"


async def test_it_gets_a_whole_answer_from_the_router(client: AsyncInferenceClient) -> None:
    """Reasoning and usage are read."""
    answer = await client.chat_completion(QUESTION, model="deepseek-ai/DeepSeek-R1")
    assert "canned" in (answer.choices[0].message.content or "")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_it_asks_a_provider_by_its_own_path(
    client: AsyncInferenceClient, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A named provider is looked up in the mapping and asked by its own id for the model."""
    for provider in ("novita", "cerebras", "together"):
        async with AsyncInferenceClient(provider=provider, api_key="hf_sandbox") as named:
            answer = await named.chat_completion(QUESTION, model=CHAT)
            assert "canned" in (answer.choices[0].message.content or "")


async def test_it_understands_the_failing_models(client: AsyncInferenceClient) -> None:
    """The status is the one that the client reports."""
    for model, status in (("sandbox/payment-required", 402), ("sandbox/rate-limited", 429), ("nobody/knows", 400)):
        with pytest.raises(HfHubHTTPError) as caught:
            await client.chat_completion(QUESTION, model=model)
        assert caught.value.response.status_code == status


def test_it_reads_a_models_mapping(api: HfApi) -> None:
    """The form by provider, its staging and broken entries included."""
    mapping = api.model_info(CHAT, expand=["inferenceProviderMapping"]).inference_provider_mapping
    assert mapping is not None
    assert [(entry.provider, entry.status) for entry in mapping][:3] == [
        ("sambanova", "staging"),
        ("nscale", "error"),
        ("featherless-ai", "live"),
    ]


def test_it_reads_a_model(api: HfApi) -> None:
    """Everything about one model, with its configuration."""
    info = api.model_info(CHAT)
    assert (info.id, info.pipeline_tag) == (CHAT, "text-generation")
    assert info.config is not None
    assert "chat_template" in info.config["tokenizer_config"]


def test_it_follows_a_renamed_model(api: HfApi) -> None:
    """The Hub redirects to the new id."""
    assert api.model_info("sandbox/old-name", expand=["inferenceProviderMapping"]).id == "sandbox/new-name"


def test_it_lists_models_over_several_pages(api: HfApi) -> None:
    """The form of a list, page after page."""
    listed = list(
        api.list_models(inference_provider="all", pipeline_tag="text-generation", expand=["inferenceProviderMapping"])
    )
    assert len({model.id for model in listed}) == len(listed) > PAGE
    assert all(model.inference_provider_mapping for model in listed)
    found = [model.id for model in api.list_models(search="rate-limited")]
    assert found == ["sandbox/rate-limited"]


def test_it_is_told_what_does_not_exist(api: HfApi, origin: str) -> None:
    """With a token and without one."""
    for client in (api, HfApi(endpoint=origin, token=False)):
        with pytest.raises(RepositoryNotFoundError):
            client.model_info("nobody/knows")
    assert api.whoami()["name"] == "sandbox"
