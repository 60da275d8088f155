"""The official `huggingface_hub` client against the sandbox's hf-inference and its makers of pictures."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from huggingface_hub import InferenceClient, constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.inference import _client as official

from core_huggingface.sandbox import sandbox
from core_huggingface.sandbox.pictures import canned_picture

GPT2 = "openai-community/gpt2"
TGI = "Qwen/Qwen2.5-72B-Instruct"


@pytest.fixture
async def origin(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Serve a sandbox that the client takes for the vendor; pictures stay bytes, so that Pillow is not needed."""
    async with sandbox() as config:
        found = config["huggingface"]["hub_url"]
        monkeypatch.setattr(constants, "ENDPOINT", found)
        monkeypatch.setattr(constants, "INFERENCE_PROXY_TEMPLATE", found + "/{provider}")
        monkeypatch.setattr(official, "_bytes_to_image", lambda content: content)
        yield found


async def _call(method: str, *arguments: Any, model: str | None = None, provider: Any = None, **more: Any) -> Any:
    """Call the blocking client in a thread, so that the sandbox can answer."""
    client = InferenceClient(model=model, provider=provider, api_key="hf_sandbox")

    def work() -> Any:
        found = getattr(client, method)(*arguments, **more)
        return list(found) if more.get("stream") else found

    return await asyncio.to_thread(work)


async def test_it_generates_text(origin: str) -> None:
    """Whole from a TGI, in pieces, and in pieces with details."""
    model = f"{origin}/hf-inference/models/{TGI}"
    asked: dict[str, Any] = {"model": model, "max_new_tokens": 3}
    assert await _call("text_generation", "Hi", **asked) == "This is a"
    assert await _call("text_generation", "Hi", stream=True, **asked) == ["This", " is", " a"]
    *_, last = await _call("text_generation", "Hi", stream=True, details=True, **asked)
    assert (last.generated_text, last.details.finish_reason) == ("This is a", "length")


@pytest.mark.filterwarnings("ignore:API endpoint/model for text-generation is not served via TGI")
async def test_it_finds_out_what_a_pipeline_does_not_know(origin: str) -> None:
    """By the words of its refusal, as the provider does."""
    model = f"{origin}/hf-inference/models/{GPT2}"
    found = await _call("text_generation", "Once upon", model=model, max_new_tokens=3, watermark=True, details=True)
    assert found == "Once uponThis is a"


async def test_it_understands_the_failing_models(origin: str) -> None:
    """With the status and the words of the vendor."""
    with pytest.raises(HfHubHTTPError, match="depleted your monthly included credits") as caught:
        await _call("text_generation", "Hi", model=f"{origin}/hf-inference/models/sandbox/payment-required")
    assert caught.value.response.status_code == 402


async def test_it_gets_a_picture_from_hf_inference(origin: str) -> None:
    """As bytes."""
    model = f"{origin}/hf-inference/models/black-forest-labs/FLUX.1-dev"
    assert await _call("text_to_image", "A cat", model=model, width=16, height=8) == canned_picture(
        "A cat", width=16, height=8
    )


@pytest.mark.parametrize("provider", ["fal-ai", "nscale", "replicate", "together", "wavespeed", "zai-org"])
@pytest.mark.usefixtures("origin")
async def test_it_gets_a_picture_from_every_maker(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by its own path, found in the Hub's mapping, its polling included."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    model = f"sandbox/picture-{provider}"
    picture = await _call("text_to_image", "A cat", model=model, provider=provider, width=16, height=8)
    assert picture == canned_picture("A cat", width=16, height=8)
