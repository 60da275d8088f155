"""The sandbox's router and Hub, through the provider: every failing model does what it says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from core_chat import (
    AuthenticationError,
    ContextLengthError,
    Finish,
    IncompleteStreamError,
    Message,
    Notice,
    PaymentRequiredError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    Registry,
    RequestRejectedError,
    Retry,
    TextDelta,
    Tool,
    ToolCall,
    ToolResult,
    UnavailableError,
)
from core_huggingface._aliases import DEFAULT_CHAT, DEFAULT_IMAGE, DEFAULT_VISION
from core_huggingface.sandbox import sandbox
from core_huggingface.sandbox.failing import FAILING, FIRST, SECOND, THIRD


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    """A registry over a running sandbox; what fails is not tried again."""
    async with (
        sandbox() as config,
        Registry(config=config, only=["huggingface"], retry=Retry(attempts=1)) as registry,
    ):
        yield registry


async def failure(registry: Registry, model: str) -> ProviderError:
    """The error that a call of a failing model ends with."""
    with pytest.raises(ProviderError) as caught:
        await registry.chat(f"huggingface:sandbox/{model}", "Hi")
    return caught.value


def attempts(error: ProviderError) -> list[tuple[str, int | None]]:
    """Whom was asked, and what they answered."""
    return [(attempt.target, attempt.status) for attempt in error.attempts]


@pytest.mark.parametrize("suffix", ["", *(f":{name}" for name in (FIRST, SECOND, THIRD, "cheapest", "preferred"))])
async def test_the_default_model_answers_in_every_dialect(registry: Registry, suffix: str) -> None:
    """The text says that it is canned; usage, reason and route are there."""
    reply = await registry.chat(f"huggingface:{DEFAULT_CHAT}{suffix}", "Why is the sky blue?")
    assert "canned" in reply.text
    assert reply.text.endswith("Why is the sky blue?")
    assert reply.finish == Finish("stop", raw="stop")
    assert reply.usage is not None
    assert (reply.usage.input, reply.usage.output) == (5, len(reply.text.split(" ")))
    expected = {"": FIRST, ":cheapest": SECOND, ":preferred": SECOND}.get(suffix, suffix.removeprefix(":"))
    assert reply.route is not None
    assert reply.route.backend == expected


@pytest.mark.parametrize("provider", [FIRST, SECOND, THIRD])
async def test_reasoning_comes_apart_from_the_answer(registry: Registry, provider: str) -> None:
    """Under three names: two fields, and tags inside the text."""
    reply = await registry.chat(f"huggingface:deepseek-ai/DeepSeek-R1:{provider}", "Hi")
    assert reply.reasoning == "The sandbox does not think; this is canned too."
    assert reply.text.startswith("This is a canned answer")


@pytest.mark.parametrize("provider", [FIRST, SECOND, THIRD])
async def test_tools_are_called_and_their_results_answered(registry: Registry, provider: str) -> None:
    """A whole round, over the conversation."""
    model, tools = f"huggingface:{DEFAULT_CHAT}:{provider}", [Tool("sky")]
    reply = await registry.chat(model, "Which colour?", tools=tools)
    assert reply.finish == Finish("tool_calls", raw="tool_calls")
    (call,) = reply.tool_calls
    assert call == ToolCall(call.id, "sky", "{}")
    result = Message("tool", [ToolResult(call.id, "blue")])
    after = await registry.chat(model, [result], conversation=reply.conversation, tools=tools)
    assert after.text.endswith("blue")


async def test_limits_and_formats_are_kept(registry: Registry) -> None:
    """The sandbox counts words as tokens, and writes JSON where that is asked for."""
    short = await registry.chat("huggingface:", "Hi", max_tokens=3)
    assert (short.text, short.finish) == ("This is a", Finish("length", raw="length"))
    assert (await registry.chat("huggingface:", "Hi", response_format="json")).text.startswith('{"canned": true')


async def test_the_account_is_empty(registry: Registry) -> None:
    """One more attempt at most: a provider to which the account has its own key might answer."""
    error = await failure(registry, "payment-required")
    assert isinstance(error, PaymentRequiredError)
    assert "depleted" in error.text
    assert attempts(error) == [
        (f"sandbox/payment-required ({FIRST})", 402),
        (f"sandbox/payment-required:{SECOND}", 402),
    ]
    reply = await registry.chat("huggingface:sandbox/own-key-elsewhere", "Hi")
    assert reply.route is not None
    assert reply.route.backend == SECOND


@pytest.mark.parametrize("model", ["provider-depleted", "forbidden-by-provider", "error-at-once", "not-enabled"])
async def test_the_next_provider_answers(registry: Registry, model: str) -> None:
    """Whatever the first one's trouble is, and the answer says what it was."""
    reply = await registry.chat(f"huggingface:sandbox/{model}", "Hi")
    assert reply.text.endswith("Hi")
    assert reply.route is not None
    assert reply.route.backend == SECOND
    assert [notice.code for notice in reply.notices] == ["fallback"]


async def test_all_fail(registry: Registry) -> None:
    """Every reason is told, and the first one is raised."""
    error = await failure(registry, "all-fail")
    assert isinstance(error, PaymentRequiredError)
    targets = [f"sandbox/all-fail ({FIRST})", f"sandbox/all-fail:{SECOND}", f"sandbox/all-fail:{THIRD}"]
    assert attempts(error) == list(zip(targets, (402, 503, 500), strict=True))
    assert error.retryable is False
    assert (await failure(registry, "all-busy")).retryable is True


async def test_a_renamed_model_answers(registry: Registry) -> None:
    """Under its new name."""
    reply = await registry.chat("huggingface:sandbox/old-name", "Hi")
    assert reply.route is not None
    assert reply.route.model == "sandbox/new-name"


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("rate-limited", RateLimitError),
        ("unavailable", UnavailableError),
        ("server-error", UnavailableError),
        ("bad-gateway", UnavailableError),
        ("token-scope", PermissionDeniedError),
        ("gated", PermissionDeniedError),
        ("unauthorized", AuthenticationError),
        ("invalid", RequestRejectedError),
        ("too-long", ContextLengthError),
        ("html", ProtocolError),
        ("empty", IncompleteStreamError),
        ("no-end", IncompleteStreamError),
        ("cut-midway", IncompleteStreamError),
        ("error-midway", UnavailableError),
    ],
)
async def test_failures_have_their_names(registry: Registry, model: str, kind: type[ProviderError]) -> None:
    """Each failing model is an error of one class; none of the answers that broke off was tried elsewhere."""
    error = await failure(registry, model)
    assert type(error) is kind
    begun = model.endswith("midway")
    assert bool(error.partial and error.partial.text) is begun or model == "no-end"
    if begun:
        assert len(error.attempts) <= 1


async def test_oddities_are_no_failures(registry: Registry) -> None:
    """An answer that is no stream, and text that naive line splitting tears apart."""
    assert (await registry.chat("huggingface:sandbox/whole", "Hi")).text.endswith("Hi")
    assert "\u2028 \u2029 \x85" in (await registry.chat("huggingface:sandbox/unicode", "Hi")).text


async def test_a_stream_that_is_stuck_can_be_left(registry: Registry) -> None:
    """Leaving the block ends it."""
    async with asyncio.timeout(10), registry.stream("huggingface:sandbox/stuck", "Hi") as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                break


async def test_a_slow_mapping_is_waited_for(registry: Registry) -> None:
    """The Hub takes 2 s to tell who else serves the model; other answers come meanwhile, and this one in the end."""
    slow = asyncio.ensure_future(registry.chat("huggingface:sandbox/slow-mapping", "Hi"))
    for _ in range(5):
        assert (await registry.chat("huggingface:", "Hi")).text.endswith("Hi")
    assert (await slow).text.endswith("Hi")


async def test_every_model_of_the_sandbox_is_listed(registry: Registry) -> None:
    """With what the router tells of it."""
    catalog = await registry.models("huggingface")
    assert catalog.failures == {}
    models = {model.name: model for model in catalog.models}
    assert set(FAILING) < set(models)
    default = models[DEFAULT_CHAT]
    assert default.is_default
    assert default.backends == (SECOND, FIRST, THIRD)
    assert default.context == 65_536
    assert default.price is not None
    assert (default.price.input, default.price.output) == (0.13, 0.39)
    assert "images" in (models[DEFAULT_VISION].features or ())
    assert models[DEFAULT_IMAGE].tasks == frozenset({"text-to-image"})


async def test_what_is_refused_is_refused_as_the_vendor_does() -> None:
    """No key, a bad one, no body, unknown fields."""
    async with sandbox() as config, aiohttp.ClientSession() as session:
        url = f"{config['huggingface']['base_url']}/chat/completions"
        good: Any = {"model": DEFAULT_CHAT, "messages": [{"role": "user", "content": "Hi"}]}
        key = {"Authorization": "Bearer hf_x"}
        cases: list[tuple[dict[str, str], Any, int]] = [
            ({}, good, 401),
            ({"Authorization": "Bearer hf_invalid"}, good, 401),
            (key, {**good, "model": ""}, 400),
            (key, {**good, "store": True}, 400),
            (key, {**good, "messages": []}, 422),
            (key, {**good, "messages": "Hi"}, 422),
            (key, {**good, "temperature": -1}, 422),
            (key, {**good, "model": f"{DEFAULT_CHAT}:nobody"}, 400),
            (key, {**good, "model": "nobody/knows"}, 400),
            (key, good, 200),
        ]
        for headers, body, status in cases:
            async with session.post(url, json=body, headers=headers) as response:
                assert response.status == status, body
        async with session.post(url, data=b"{", headers=key) as response:
            assert response.status == 422


async def test_a_fallback_is_no_fatal_notice(registry: Registry) -> None:
    """`strict` is about what was asked for, and nothing of that was left out."""
    async with registry.stream("huggingface:sandbox/provider-depleted", "Hi", strict=True) as stream:
        events = [event async for event in stream]
    assert [event.parameter for event in events if isinstance(event, Notice)] == [None]
