"""What each family of models answers, and how far its limits reach."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from core_replicate.sandbox import Emulator

Run = Callable[..., Awaitable[Any]]
CHAT = "meta/meta-llama-3-8b-instruct"
GRANITE = "ibm-granite/granite-3.3-8b-instruct"
PROMPT = {"prompt": "Hello you"}
CANNED = "This is a canned answer from the sandbox; no model was asked. You wrote: Hello you"


@pytest.mark.parametrize(
    ("model", "given", "text"),
    [
        (CHAT, {"max_tokens": 3}, "This is a"),
        (CHAT, {"max_new_tokens": 3}, CANNED),
        ("meta/llama-2-70b-chat", {"max_new_tokens": 3}, "This is a"),
        ("google/gemini-2.5-flash", {"max_output_tokens": 1}, "This"),
        (CHAT, {"stop_sequences": "<end>,nned"}, "This is a ca"),
        ("meta/meta-llama-3-70b-instruct", {"stop_sequences": "nned"}, CANNED),
        (CHAT, {"anything": {"at": "all"}}, CANNED),
    ],
)
async def test_limits_hold_only_under_the_models_own_names(run: Run, model: str, given: Any, *, text: str) -> None:
    """A limit or a stop word is honoured when the schema has that key; an unknown key does nothing."""
    assert "".join((await run(model, PROMPT | given))["output"]) == text


async def test_messages_win_over_the_prompt(run: Run) -> None:
    """Where a model takes messages the last one is answered, in text or in parts, and a prompt beside them is not."""
    plain = {"prompt": "no", "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "Hello you"}]}
    parts = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello you"}]}]}
    for given in (plain, parts):
        assert "".join((await run("openai/gpt-4o-mini", given))["output"]) == CANNED
    assert "".join((await run(CHAT, plain | PROMPT))["output"]) == CANNED


async def test_each_family_answers_in_its_own_shape(run: Run) -> None:
    """One string, an object, a <think> block, or counts in the logs."""
    assert (await run("openai/gpt-4.1-mini"))["output"] == CANNED
    assert (await run("openai/gpt-5-structured"))["output"]["text"] == CANNED
    assert "".join((await run("deepseek-ai/deepseek-r1"))["output"]).startswith("<think>\nThe sandbox")
    gemini = await run("google/gemini-2.5-flash")
    assert gemini["logs"] == "Input token count: 2\nOutput token count: 16\n"
    assert "output_token_count" not in gemini["metrics"]


async def test_a_model_may_want_to_be_asked_to_stream(run: Run) -> None:
    """Where `stream` is an input the answer is one piece unless it is true."""
    assert (await run(GRANITE))["output"] == [CANNED]
    streamed = (await run(GRANITE, PROMPT | {"stream": True}))["output"]
    assert "".join(streamed) == CANNED
    assert len(streamed) > 10


async def test_models_without_a_usable_schema_answer(run: Run) -> None:
    """A model without a schema, and one whose schema knows no prompt, answer the prompt."""
    for model in ("sandbox/no-schema", "sandbox/no-prompt"):
        assert "".join((await run(model))["output"]) == CANNED


async def test_half_a_character_is_replaced(run: Run) -> None:
    """A lone surrogate, which JSON can escape, comes back as the replacement character."""
    assert "".join((await run(CHAT, {"prompt": "\ud83e!"}))["output"]).endswith("You wrote: \ufffd!")


async def test_pictures_are_served_without_a_token(emulator: Emulator, run: Run) -> None:
    """A picture has the asked shape, so many as were asked for are made, and another one is not found."""
    given = PROMPT | {"aspect_ratio": "16:9", "num_outputs": 2, "seed": 7}
    urls = (await run("black-forest-labs/flux-schnell", given))["output"]
    assert [url.rsplit("/", 1)[1] for url in urls] == ["out-0.png", "out-1.png"]
    async with aiohttp.ClientSession() as bare:
        async with bare.get(urls[1]) as response:
            picture = await response.read()
        async with bare.get(urls[0].replace("out-0", "out-9")) as missing:
            assert missing.status == 404
    assert response.content_type == "image/png"
    assert picture[16:24] == (16).to_bytes(4, "big") + (9).to_bytes(4, "big")
    assert len(emulator.files) == 2
