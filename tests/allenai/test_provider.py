"""The provider as a host application uses it: lists, generations found or fixed, and every failure by its name."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.allenai.wires import answer

from core_allenai import AllenAI
from core_allenai._bundled import BUNDLED
from core_allenai.sandbox import CHOSEN_BEHAVIOUR, DIALECTS, MODELS, TOKEN, Dialect, Emulator
from core_chat import (
    ContentFilteredError,
    ContextLengthError,
    CoreError,
    Finish,
    IncompleteStreamError,
    InvalidRequestError,
    ModelNotFoundError,
    Notice,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    Registry,
    Retry,
    TimedOutError,
    Timeouts,
    UnavailableError,
)
from core_chat.testing import Response, Upstream, faults

PATHS = {"v5": "/v5/threads/chat", "v4": "/v4/threads/", "v4-message": "/v4/message/stream"}
PUBLIC = [
    model.id for model in MODELS if model.prompt_type != "files_only" and not (model.internal or model.deprecated)
]


async def failure(registry: Registry, model: str, **more: Any) -> ProviderError:
    """The error that a call ends with."""
    with pytest.raises(ProviderError) as caught:
        await registry.chat(f"allenai:{model}", "Hello", **more)
    return caught.value


def registry_at(url: str, **config: Any) -> Registry:
    """A registry over some server."""
    return Registry(config={"allenai": {"base_url": url, **config}}, only=["allenai"], retry=Retry(attempts=1))


@pytest.mark.parametrize("dialects", [("v5",), ("v4",), ("v4-message",), DIALECTS])
async def test_live_models_are_those_a_person_can_use(dialects: Sequence[Dialect]) -> None:
    """In both spellings: no hidden, retired, internal or speech models; with limits, files, tools and thinking."""
    emulator = Emulator(dialects=dialects)
    async with emulator.running() as origin, registry_at(origin) as registry:
        catalog = await registry.models("allenai")
        assert not catalog.failures
        models = {model.name: model for model in catalog.models}
        assert list(models) == PUBLIC
        assert {model.source for model in catalog.models} == {"live"}
        default = models["Olmo-3.1-32B-Instruct"]
        assert default.is_default
        assert (default.max_output, default.backends) == (2048, ("ai2_model_hub",))
        assert default.features == frozenset({"tools"})
        assert models["Olmo-3.1-32B-Think"].features == frozenset({"reasoning"})
        assert models["molmo2-8b"].features == frozenset({"images"})
        assert registry.resolve("allenai:cs-Llama-3.1-Tulu-3.1-8B").source == "live"


async def test_without_a_network_the_bundled_list_comes_with_the_error() -> None:
    """Dated, and the failure is not hidden."""
    with faults.refused() as nobody:
        async with registry_at(nobody) as registry:
            catalog = await registry.models("allenai")
    assert {model.name for model in catalog.models} == set(BUNDLED)
    assert {model.source for model in catalog.models} == {"bundled"}
    assert isinstance(catalog.failures["allenai"], UnavailableError)


async def test_a_list_that_is_none_is_an_error() -> None:
    """The bundled one comes all the same."""
    async with Upstream(Response.json({"models": []})) as upstream, registry_at(upstream.url) as registry:
        catalog = await registry.models("allenai")
    assert isinstance(catalog.failures["allenai"], ProtocolError)
    assert catalog.models


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_generation_is_found_and_kept(dialect: Dialect) -> None:
    """The newest first; the second call goes straight to the one that answered."""
    async with (
        Upstream(
            routes={
                f"POST {PATHS[dialect]}": Response.lines(answer(["Hi"], generation=dialect)),
                "*": Response.json({"error": {"code": 404, "message": "not found"}}, status=404),
            }
        ) as upstream,
        registry_at(upstream.url, host="modal") as registry,
    ):
        for _ in range(2):
            assert (await registry.chat("allenai:", "Hello")).text == "Hi"
        asked = [request.path for request in upstream.requests]
    order = list(PATHS.values())
    assert asked == [*order[: order.index(PATHS[dialect]) + 1], PATHS[dialect]]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("how", ["options", "configuration"])
async def test_a_generation_can_be_fixed(*, emulator: Emulator, origin: str, dialect: Dialect, how: str) -> None:
    """For one call, or for all; no other is tried, and the next call is not bound by it."""
    config = {"api": dialect} if how == "configuration" else {}
    options = {"api": dialect} if how == "options" else {}
    async with registry_at(origin, **config) as registry:
        await registry.chat("allenai:", "Hello", options=options)
        assert [request.path for request in emulator.received] == [PATHS[dialect]]
        if how == "options":
            await registry.chat("allenai:", "Hello")
            assert emulator.received[-1].path == PATHS["v5"]


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize(
    "missing",
    [
        lambda status: Response.json({"error": {"code": status, "message": "no"}}, status=status),
        lambda status: Response.json({"type": "http-not-found", "title": "Not Found", "status": status}, status=status),
        lambda status: Response.json({"detail": "Not Found"}, status=status),
        faults.html,
    ],
)
async def test_a_missing_route_is_known_in_every_form(missing: Any, status: int) -> None:
    """Of both parts of the service, its framework and its ingress."""
    routes = {"POST /v4/threads/": Response.lines(answer(["Hi"], generation="v4")), "*": missing(status)}
    async with Upstream(routes=routes) as upstream, registry_at(upstream.url) as registry:
        assert (await registry.chat("allenai:", "Hello")).text == "Hi"


async def test_the_services_own_problems_are_no_missing_route() -> None:
    """Even with status 404: an older generation would not know better."""
    problem = {"type": "model-not-found", "title": "Model not found", "status": 404, "detail": "gone"}
    routes = {"POST /v5/threads/chat": Response.json(problem, status=404), "GET /v5/models/": Response.json([])}
    async with Upstream(routes=routes) as upstream, registry_at(upstream.url) as registry:
        error = await failure(registry, "x")
    assert isinstance(error, ModelNotFoundError)
    assert error.status == 404


@pytest.mark.parametrize("api", ["auto", *DIALECTS])
async def test_a_server_without_any_generation_is_told(api: str) -> None:
    """The base URL is to blame, most likely."""
    async with Upstream(routes={"*": faults.html(404)}) as upstream, registry_at(upstream.url, api=api) as registry:
        error = await failure(registry, "", options={"host": "x"} if api == "v4-message" else {})
        assert len([request for request in upstream.requests if request.method == "POST"]) == (
            3 if api == "auto" else 1
        )
    assert isinstance(error, ModelNotFoundError)
    assert "no chat endpoint of the Playground" in str(error)


FAILURES: dict[str, tuple[type[ProviderError], str]] = {
    "bad-gateway": (UnavailableError, ""),
    "captcha": (PermissionDeniedError, ""),
    "context-length": (ContextLengthError, ""),
    "cut-midway": (IncompleteStreamError, "This is a"),
    "error-after-text": (UnavailableError, "This is a"),
    "error-before-text": (UnavailableError, ""),
    "html": (ProtocolError, ""),
    "moderated": (ContentFilteredError, ""),
    "no-end": (IncompleteStreamError, "This is a canned answer from the sandbox; no model was asked. You wrote: Hello"),
    "overloaded": (UnavailableError, ""),
    "rate-limited": (RateLimitError, ""),
    "retired": (ModelNotFoundError, ""),
    "save-failed": (UnavailableError, "This is a canned answer from the sandbox; no model was asked. You wrote: Hello"),
    "server-error": (UnavailableError, ""),
    "too-many-requests": (RateLimitError, ""),
    "tool-error": (ProviderError, "This is a"),
    "tool-limit": (ProviderError, ""),
}
FINE = {"all-tools", "empty", "length", "server-tool", "slow-start", "thinking", "unicode"}


def test_every_sandbox_model_is_tested() -> None:
    """Those that fail, and those that do not."""
    assert set(FAILURES) | FINE == set(CHOSEN_BEHAVIOUR)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("behaviour", FAILURES)
async def test_every_failure_has_its_name_and_its_partial_text(
    registry: Registry, dialect: Dialect, behaviour: str
) -> None:
    """The same over each generation."""
    kind, text = FAILURES[behaviour]
    error = await failure(registry, f"sandbox/{behaviour}", options={"api": dialect})
    assert type(error) is kind
    assert error.provider == "allenai"
    assert error.partial is not None
    assert error.partial.text == text


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("behaviour", sorted(FINE))
async def test_the_other_sandbox_models_answer(registry: Registry, dialect: Dialect, behaviour: str) -> None:
    """Each with an end of its own."""
    reply = await registry.chat(f"allenai:sandbox/{behaviour}", "Hello", options={"api": dialect})
    assert reply.finish is not None
    assert reply.finish.reason == ("length" if behaviour == "length" else "stop")
    assert bool(reply.text) is (behaviour != "empty")
    assert bool(reply.reasoning) is (behaviour == "thinking")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["tulu3-405b", "sandbox/retired", "olmoasr"])
async def test_a_model_that_is_gone_is_told_with_those_that_are_live(
    registry: Registry, dialect: Dialect, name: str
) -> None:
    """Whether the service does not know it, cannot run it, or does not chat with it."""
    error = await failure(registry, name, options={"api": dialect})
    assert isinstance(error, ModelNotFoundError)
    assert repr(name) in error.text
    assert all(model in error.text for model in PUBLIC)
    assert error.suggestions


async def test_a_gone_model_is_told_even_without_a_list() -> None:
    """Then without the live ones."""
    gone = Response.json({"error": {"code": 400, "message": "Invalid model x"}}, status=400)
    routes = {"POST *": gone, "*": Response(status=500)}
    async with Upstream(routes=routes) as upstream, registry_at(upstream.url) as registry:
        error = await failure(registry, "x")
    assert error.text == "the Playground does not serve 'x' (any more)"


async def test_a_rate_limit_is_waited_for_and_tried_again(emulator: Emulator, origin: str) -> None:
    """By the core, below the same parent each time."""
    async with Registry(config={"allenai": {"base_url": origin}}, only=["allenai"]) as registry:
        first = await registry.chat("allenai:", "One")
        with pytest.raises(RateLimitError) as caught:
            await registry.chat("allenai:sandbox/rate-limited", "Two", conversation=first.conversation)
    assert len(caught.value.attempts) == 3
    parents = [request.form.one("parent") for request in emulator.received[1:]]
    assert parents == [first.conversation.state["allenai"]["parent_id"]] * 3


async def test_a_captcha_cannot_be_solved(emulator: Emulator, registry: Registry) -> None:
    """The reason is a code, the text says what to do instead; no token is ever made up."""
    emulator.captcha = True
    error = await failure(registry, "")
    assert isinstance(error, PermissionDeniedError)
    assert error.reason == "captcha"
    assert "playground.allenai.org" in error.text
    assert emulator.received[0].form.one("captcha_token") is None


async def test_flagged_content_is_refused(registry: Registry) -> None:
    """In any model."""
    with pytest.raises(ContentFilteredError):
        await registry.chat("allenai:", "This is [flagged].")


async def test_a_slow_start_runs_into_the_callers_deadline(emulator: Emulator, registry: Registry) -> None:
    """The connection stands, but no content comes."""
    emulator.slow = 60.0
    error = await failure(registry, "sandbox/slow-start", timeouts=Timeouts(first_event=0.2))
    assert isinstance(error, TimedOutError)
    assert error.timeout == "first_event"


async def test_headers_and_extra_go_with_the_request(emulator: Emulator, registry: Registry) -> None:
    """As they are."""
    await registry.chat("allenai:", "Hi", headers={"X-Trace": "abc"}, extra={"extraParameters": {"seed": 7}})
    assert emulator.received[0].headers["X-Trace"] == "abc"
    assert emulator.received[0].form.json("extra_parameters") == {"seed": 7}


async def test_a_token_of_the_configuration_is_sent_and_a_calls_key_goes_before_it(
    emulator: Emulator, origin: str
) -> None:
    """As a bearer token."""
    async with registry_at(origin, token=TOKEN) as registry:
        await registry.chat("allenai:", "Hi")
        error = await failure(registry, "", api_key="another")
    assert [request.headers["Authorization"] for request in emulator.received] == [f"Bearer {TOKEN}"]
    assert error.status == 401


async def test_an_unknown_option_is_refused(registry: Registry) -> None:
    """With the near name."""
    with pytest.raises(InvalidRequestError, match="did you mean private"):
        await registry.chat("allenai:", "Hi", options={"privat": True})


async def test_several_answers_at_once_keep_apart(registry: Registry) -> None:
    """Each its own thread, over one provider object."""
    replies = await asyncio.gather(*(registry.chat("allenai:", f"Number {number}") for number in range(20)))
    assert [reply.text.rpartition("wrote: ")[2] for reply in replies] == [f"Number {number}" for number in range(20)]
    assert len({reply.conversation.state["allenai"]["root_id"] for reply in replies}) == 20


async def test_an_empty_answer_is_one(registry: Registry) -> None:
    """Legal with this service; v5 stores no message for it, so that the next turn is replayed."""
    first = await registry.chat("allenai:sandbox/empty", "One", options={"api": "v5"})
    assert (first.text, first.finish) == ("", Finish("stop"))
    assert not first.conversation.state
    second = await registry.chat("allenai:", [{"role": "user", "content": "Two"}], conversation=first.conversation)
    assert second.text


async def test_the_services_own_tools_are_told(emulator: Emulator, registry: Registry) -> None:
    """A notice, no tool call that the caller would have to answer, and the whole text."""
    reply = await registry.chat("allenai:sandbox/server-tool", "Hi", options={"selected_tools": "create_random_number"})
    assert reply.text.startswith("One moment. This is a canned answer")
    assert Notice("service_tool", "the service ran its own tool create_random_number") in reply.notices
    assert not reply.tool_calls
    assert emulator.received[0].form.many("selected_tools") == ["create_random_number"]


def test_the_module_exports_what_it_says() -> None:
    """In order."""
    import core_allenai

    assert core_allenai.__all__ == sorted(core_allenai.__all__)
    assert core_allenai.AllenAI is AllenAI
    assert issubclass(CoreError, Exception)
