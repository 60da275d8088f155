"""The sandbox's hf-inference for text, through the provider: every wire, and every way to fail."""

import pytest

from core_chat import (
    AuthenticationError,
    Finish,
    IncompleteStreamError,
    InvalidRequestError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    Registry,
    RequestRejectedError,
    Retry,
    TextDelta,
    UnavailableError,
)
from core_chat.errors import ContextLengthError
from core_chat.sandbox import sandboxes
from core_huggingface import sandbox
from core_huggingface._image_requests import BUILDERS
from core_huggingface.sandbox import images, inference
from core_huggingface.sandbox.textgen_failing import FAILING as FAILING_MODELS

FAILING: list[tuple[str, type[ProviderError], str]] = [
    ("payment-required", PaymentRequiredError, "depleted"),
    ("rate-limited", RateLimitError, "overloaded"),
    ("unavailable", UnavailableError, "Unavailable"),
    ("loading", UnavailableError, "loading"),
    ("server-error", UnavailableError, "unknown error"),
    ("unauthorized", AuthenticationError, "Invalid username"),
    ("token-scope", PermissionDeniedError, "permission to call Inference Providers"),
    ("gated", PermissionDeniedError, "model owner"),
    ("invalid", RequestRejectedError, "canned"),
    ("too-long", ContextLengthError, "must be <="),
    ("bad-gateway", UnavailableError, "HTML page"),
    ("html", ProtocolError, "HTML page"),
    ("error-body", UnavailableError, "broke"),
    ("error-at-once", UnavailableError, "broke"),
    ("error-midway", UnavailableError, "broke"),
    ("overloaded-midway", RateLimitError, "overloaded"),
    ("cut-midway", IncompleteStreamError, "broke"),
    ("no-end", IncompleteStreamError, "end did not come"),
    ("empty", IncompleteStreamError, "broke off"),
]


@pytest.mark.parametrize(("name", "kind", "text"), FAILING)
async def test_the_sandboxes_failing_models_fail(name: str, kind: type[ProviderError], text: str) -> None:
    """Each in its own way, with what had come before."""
    async with sandboxes(["huggingface"]) as config, Registry(config=config, retry=Retry(attempts=1)) as registry:
        with pytest.raises(kind, match=text) as caught:
            await registry.chat(f"huggingface-inference:sandbox/{name}", "Hi")
    assert caught.value.provider == "huggingface-inference"
    broken = name.endswith("midway") or name == "no-end"
    assert caught.value.partial is not None
    assert caught.value.partial.text == ("This is a" if broken else "")


@pytest.mark.parametrize("name", ["", "gpt2", "sandbox/object", "sandbox/completions", "sandbox/whole"])
async def test_the_sandbox_answers_on_every_wire(name: str) -> None:
    """With no configuration, and it says that it is canned."""
    async with sandboxes(["huggingface"]) as config, Registry(config=config) as registry:
        reply = await registry.chat(f"huggingface-inference:{name}", "Hi")
    assert reply.text.startswith("This is a canned answer")
    assert "Hi" in reply.text


async def test_the_sandbox_honours_limits_and_stop_words() -> None:
    """And tells why it ended."""
    async with sandboxes(["huggingface"]) as config, Registry(config=config) as registry:
        short = await registry.chat("huggingface-inference:", "Hi", max_tokens=2)
        stopped = await registry.chat("huggingface-inference:", "Hi", stop="canned")
    assert (short.text, short.finish) == ("This is", Finish("length", raw="length"))
    assert (stopped.text, stopped.finish) == ("This is a canned", Finish("stop", raw="stop_sequence"))


async def test_leaving_early_closes_the_connection() -> None:
    """The stuck model would never end."""
    async with (
        sandboxes(["huggingface"]) as config,
        Registry(config=config) as registry,
        registry.stream("huggingface-inference:sandbox/stuck", "Hi") as stream,
    ):
        async for event in stream:
            if isinstance(event, TextDelta):
                break


async def test_a_slow_start_is_waited_for() -> None:
    """Keep-alives are no progress, and no end."""
    async with sandboxes(["huggingface"]) as config, Registry(config=config) as registry:
        reply = await registry.chat("huggingface-inference:sandbox/slow-start", "Hi")
    assert reply.text.startswith("This is a canned answer")


async def test_the_hostile_template_of_the_sandbox_is_stopped() -> None:
    """Nothing is sent to the endpoint."""
    async with sandboxes(["huggingface"]) as config, Registry(config=config) as registry:
        with pytest.raises(InvalidRequestError, match="chat template computes"):
            await registry.chat("huggingface-inference:sandbox/hostile-template", "Hi")


async def test_odd_characters_arrive_as_they_were_sent() -> None:
    """Line separators are text on this wire."""
    async with sandboxes(["huggingface"]) as config, Registry(config=config) as registry:
        reply = await registry.chat("huggingface-inference:sandbox/unicode", "Hi")
    assert reply.text.endswith("\u2028 \u2029 \x85 ü")


def test_every_failing_model_is_described() -> None:
    """Where a name is not one of the router's failing models, the module's docstring has it."""
    described = f"{sandbox.__doc__} {inference.__doc__}"
    assert [name for name in FAILING_MODELS if f"`{name}`" not in described] == []


def test_every_maker_of_pictures_is_described() -> None:
    """Those of one provider by the pattern of their names."""
    names = {model.name for model in images.IMAGE_MODELS}
    makers = {name for name in names if name.removeprefix("sandbox/picture-").partition("-version")[0] in BUILDERS}
    assert [name for name in names - makers if f"`{name}`" not in (images.__doc__ or "")] == []
