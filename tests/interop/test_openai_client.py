"""The official `openai` client against the sandbox's router."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from core_huggingface.sandbox import sandbox

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
QUESTION: Any = [{"role": "user", "content": "Why is the sky blue?"}]
TOOLS: Any = [{"type": "function", "function": {"name": "sky", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture
async def client() -> AsyncIterator[AsyncOpenAI]:
    """Return a client of a running sandbox."""
    async with sandbox() as config:
        settings = config["huggingface"]
        async with AsyncOpenAI(base_url=settings["base_url"], api_key=settings["token"], max_retries=0) as client:
            yield client


@pytest.mark.parametrize("provider", ["", ":cerebras", ":novita", ":together", ":cheapest"])
async def test_it_streams(client: AsyncOpenAI, provider: str) -> None:
    """Every dialect is a stream of chunks, with the finish reason and usage at the end."""
    stream = await client.chat.completions.create(
        model=CHAT + provider, messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert "canned" in text
    assert "Why is the sky blue?" in text
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_it_asks_for_a_whole_answer(client: AsyncOpenAI) -> None:
    """The header tells who answered."""
    raw = await client.chat.completions.with_raw_response.create(model=f"{CHAT}:novita", messages=QUESTION)
    assert raw.headers["x-inference-provider"] == "novita"
    answer = raw.parse()
    assert "canned" in (answer.choices[0].message.content or "")
    assert answer.usage is not None


async def test_it_gets_tool_calls(client: AsyncOpenAI) -> None:
    """A tool is called, and its result answered."""
    answer = await client.chat.completions.create(model=CHAT, messages=QUESTION, tools=TOOLS)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    call: Any = message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("sky", "{}")
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "blue"}
    turns: Any = [*QUESTION, message.model_dump(exclude_none=True), result]
    after = await client.chat.completions.create(model=CHAT, messages=turns, tools=TOOLS)
    assert "blue" in (after.choices[0].message.content or "")


async def test_it_streams_tool_calls(client: AsyncOpenAI) -> None:
    """The pieces of the arguments join to JSON."""
    async with client.chat.completions.stream(model=CHAT, messages=QUESTION, tools=TOOLS) as stream:
        final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert [call.function.arguments for call in calls] == ["{}"]


async def test_it_lists_models(client: AsyncOpenAI) -> None:
    """The list and a single model."""
    names = {model.id async for model in client.models.list()}
    assert CHAT in names
    assert (await client.models.retrieve(CHAT)).owned_by == "meta-llama"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("nobody/knows")


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("sandbox/payment-required", openai.APIStatusError),
        ("sandbox/rate-limited", openai.RateLimitError),
        ("sandbox/unauthorized", openai.AuthenticationError),
        ("sandbox/gated", openai.PermissionDeniedError),
        ("sandbox/invalid", openai.UnprocessableEntityError),
        ("sandbox/server-error", openai.InternalServerError),
        ("nobody/knows", openai.BadRequestError),
    ],
)
async def test_it_understands_the_failing_models(
    client: AsyncOpenAI, model: str, kind: type[openai.APIStatusError]
) -> None:
    """Each failure is the error that the client makes of the real one."""
    with pytest.raises(kind):
        await client.chat.completions.create(model=model, messages=QUESTION)


async def test_it_sees_an_error_in_a_stream(client: AsyncOpenAI) -> None:
    """An error event is raised by the client while it iterates."""
    stream = await client.chat.completions.create(model="sandbox/error-midway", messages=QUESTION, stream=True)
    with pytest.raises(openai.APIError, match="broke"):
        _ = [chunk async for chunk in stream]


async def test_it_may_leave_a_stream_that_is_stuck(client: AsyncOpenAI) -> None:
    """The sandbox says something and then nothing; closing the stream ends it."""
    stream = await client.chat.completions.create(model="sandbox/stuck", messages=QUESTION, stream=True)
    async with asyncio.timeout(10), stream:
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
