"""The registry: its life, its session, what it is given, and what a call is checked for before anything is sent."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest

from core_chat import (
    ChatRequest,
    Conversation,
    CoreError,
    Event,
    Finish,
    InvalidRequestError,
    Message,
    ModelInfo,
    PluginConflictError,
    PluginError,
    ProviderError,
    Registry,
    RegistryClosedError,
    Retry,
    TextDelta,
    Timeouts,
    UnknownProviderError,
    hookimpl,
)
from core_chat.testing import Canned, ManualClock


class Sessions:
    """A provider that keeps the sessions it is given."""

    def __init__(self) -> None:
        self.sessions: list[aiohttp.ClientSession] = []

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo:
        return ModelInfo(name or "m")

    @hookimpl
    async def stream_chat(self, session: aiohttp.ClientSession) -> AsyncGenerator[Event, None]:
        self.sessions.append(session)
        yield Finish("stop")


# Life


async def test_use_outside_of_the_block_is_refused() -> None:
    """Before it is entered and after it was left, a registry makes no call, and says why."""
    registry = Registry()
    registry.register(Canned("x"), "c")
    for told in ("enter the registry first: async with Registry\\(\\) as registry", "the registry is closed"):
        with pytest.raises(RegistryClosedError, match=told):
            registry.stream("c:", "hi")
        with pytest.raises(RegistryClosedError, match=told):
            await registry.chat("c:", "hi")
        with pytest.raises(RegistryClosedError, match=told):
            await registry.models()
        with pytest.raises(RegistryClosedError, match=told):
            await registry.delete(Conversation())
        if registry._state == "new":
            async with registry:
                assert (await registry.chat("c:", "hi")).text == "x"


async def test_a_registry_is_entered_once() -> None:
    """Neither twice at the same time nor again after it was left."""
    registry = Registry()
    async with registry:
        with pytest.raises(RegistryClosedError, match="entered once"):
            await registry.__aenter__()
    with pytest.raises(RegistryClosedError, match="entered once"):
        await registry.__aenter__()
    await registry.close()


async def test_a_stream_begun_in_an_open_registry_is_not_read_in_a_closed_one() -> None:
    """A stream that was made but not read when the registry closed sends nothing."""
    provider = Sessions()
    async with Registry() as registry:
        registry.register(provider, "s")
        stream = registry.stream("s:", "hi")
    with pytest.raises(RegistryClosedError):
        async with stream:
            await anext(stream)
    assert provider.sessions == []


async def test_one_session_is_made_when_it_is_needed_and_closed() -> None:
    """All calls share one session of the registry's own, which leaving the block closes."""
    provider = Sessions()
    async with Registry() as registry:
        registry.register(provider, "s")
        assert registry._session is None
        await registry.chat("s:", "hi")
        await registry.chat("s:", "hi")
    first, second = provider.sessions
    assert first is second
    assert first.closed
    assert first.connector is None or first.connector.limit == 0


async def test_a_session_that_is_passed_in_is_borrowed() -> None:
    """It is used as it is and never closed; one that is closed already is told apart."""
    provider = Sessions()
    async with aiohttp.ClientSession() as session:
        async with Registry(session=session) as registry:
            registry.register(provider, "s")
            await registry.chat("s:", "hi")
        assert provider.sessions == [session]
        assert not session.closed
        registry = await Registry(session=session).__aenter__()
        registry.register(provider, "s")
    with pytest.raises(RegistryClosedError, match="the session this registry was given is closed"):
        await registry.chat("s:", "hi")
    await registry.close()


async def test_streams_are_not_kept_alive_by_the_registry() -> None:
    """A registry that lives long does not gather the streams it made."""
    async with Registry() as registry:
        registry.register(Canned("x"), "c")
        for _ in range(5):
            await registry.chat("c:", "hi")
        gc.collect()
        assert len(registry._streams) == 0


# What it is given


@pytest.mark.parametrize(
    ("arguments", "parameter"),
    [
        ({"timeouts": 5}, "timeouts"),
        ({"timeouts": None}, "timeouts"),
        ({"retry": 3}, "retry"),
        ({"session": "session"}, "session"),
        ({"proxy": "proxy:3128"}, "proxy"),
        ({"proxy": "ftp://proxy:3128"}, "proxy"),
        ({"proxy": "http://"}, "proxy"),
        ({"proxy": "http://proxy:99999"}, "proxy"),
        ({"proxy": "http://proxy:port"}, "proxy"),
        ({"proxy": "http://proxy/path"}, "proxy"),
        ({"proxy": "http://pro xy:3128"}, "proxy"),
        ({"proxy": "http://proxy:3128\n"}, "proxy"),
        ({"proxy": "http://user:hunter2@:3128"}, "proxy"),
        ({"proxy": 5}, "proxy"),
        ({"proxy": ""}, "proxy"),
    ],
)
def test_a_bad_argument_is_refused_when_the_registry_is_made(arguments: dict[str, Any], parameter: str) -> None:
    """Each argument is checked at once, and no error shows a proxy's password."""
    with pytest.raises(InvalidRequestError) as caught:
        Registry(**arguments)
    assert caught.value.parameter == parameter
    assert "hunter2" not in str(caught.value)


def test_a_session_and_a_proxy_exclude_each_other() -> None:
    """A session has a proxy of its own."""

    class Session:
        def request(self) -> None:
            """Be taken for one."""

    with pytest.raises(InvalidRequestError, match="pass session or proxy, not both"):
        Registry(session=Session(), proxy="http://proxy:3128")  # type: ignore[arg-type]  # stands for one


def test_its_repr_shows_no_configuration() -> None:
    """A registry's repr is its state."""
    assert repr(Registry(config={"x": {"token": "sk-secret"}}, proxy="http://u:p@h:1")) == "<Registry new>"


# Registering


def test_a_provider_is_registered_under_a_name() -> None:
    """An in-process provider is shown and used like an installed one; its name has to be free and sound."""
    registry = Registry(only=[])
    registry.register(Canned("x"), "mine")
    shown = registry.plugins["mine"]
    assert (shown.status, shown.distribution, shown.about and shown.about.label) == ("loaded", None, "Canned answers")
    assert registry.resolve("mine:").provider == "mine"
    with pytest.raises(PluginConflictError, match="the provider 'mine' is there already"):
        registry.register(Canned("x"), "mine")
    for bad in ("", "a:b", "a b", "-a", "a/b", 5):
        with pytest.raises(PluginError, match="cannot be a provider's name"):
            registry.register(Canned("x"), bad)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(PluginError, match="a provider needs a name"):
        registry.register(Canned("x"))


def test_a_class_is_built_with_its_configuration() -> None:
    """Registering a class builds it from `config`, checked like an installed plugin's."""

    class Greeter(Canned):
        def __init__(self, greeting: str = "hello") -> None:
            super().__init__(greeting)

    registry = Registry(only=[], config={"a": {"greeting": "good day"}, "b": {"greetin": "x"}, "c": {"delay": 1}})
    registry.register(Greeter, "a")
    with pytest.raises(InvalidRequestError, match="b has no setting 'greetin'; did you mean greeting"):
        registry.register(Greeter, "b")
    with pytest.raises(InvalidRequestError, match="c takes no configuration"):
        registry.register(Canned("x"), "c")
    assert set(registry.plugins) >= {"a"}
    assert "b" not in registry.plugins


class NoHooks:
    """Nothing is marked."""

    def resolve_model(self, name: str) -> ModelInfo | None:
        return None


class Half:
    """A provider without `stream_chat`."""

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        return None


class Mixed(Canned):
    """A provider with a wrapper in it."""

    @hookimpl(wrapper=True)
    def list_models(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 - pluggy's wrapper
        return (yield)


class Misspelt:
    """Middleware of a hook there is not."""

    @hookimpl(wrapper=True)
    def stream_chta(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 - pluggy's wrapper
        return (yield)


class Around:
    """Middleware that changes nothing."""

    @hookimpl(wrapper=True)
    def stream_chat(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 - pluggy's wrapper
        return (yield)


@pytest.mark.parametrize(
    ("plugin", "told"),
    [
        (NoHooks(), "NoHooks has no hooks: mark its methods with @hookimpl"),
        (5, "int has no hooks"),
        (Half(), "x: the hook stream_chat is missing"),
        (Mixed("x"), "Mixed mixes wrappers and hooks"),
        (Misspelt(), "Misspelt cannot be middleware: .*stream_chta"),
        (Around, r"middleware is an object: registry.register\(Around\(\)\)"),
    ],
)
async def test_what_keeps_no_contract_is_refused(plugin: object, told: str) -> None:
    """Whatever is wrong with an object is told when it is registered, and nothing of it stays."""
    async with Registry(only=[]) as registry:
        registry.register(Canned("fine"), "c")
        with pytest.raises(PluginError, match=told):
            registry.register(plugin, "x")
        assert set(registry.plugins) >= {"c"}
        assert "x" not in registry.plugins
        assert (await registry.chat("c:", "hi")).text == "fine"


async def test_middleware_may_have_a_providers_name() -> None:
    """Names of middleware and of providers do not get into each other's way; two of one kind do."""
    async with Registry(only=[]) as registry:
        registry.register(Around(), "c")
        registry.register(Canned("fine"), "c")
        assert (await registry.chat("c:", "hi")).text == "fine"
        with pytest.raises(PluginError, match="Around cannot be middleware"):
            registry.register(Around(), "c")


async def test_a_provider_is_asked_once_whoever_else_is_loaded() -> None:
    """With several providers and middleware, a call runs the owner's hook alone."""
    first, second = Canned("first"), Canned("second")
    async with Registry(only=[]) as registry:
        registry.register(first, "a")
        registry.register(second, "b")
        registry.register(Around())
        assert (await registry.chat("a:", "hi")).text == "first"
        assert (await registry.chat("b:", "hi")).text == "second"
    assert (len(first.requests), len(second.requests)) == (1, 1)


# What a call is checked for


@pytest.fixture
async def canned() -> AsyncGenerator[tuple[Registry, Canned], None]:
    """An open registry with a canned provider, `c`."""
    provider = Canned("answer")
    async with Registry(only=[], clock=ManualClock()) as registry:
        registry.register(provider, "c")
        yield registry, provider


@pytest.mark.parametrize(
    ("arguments", "parameter", "told"),
    [
        ({"messages": ""}, "messages", "message 0 (user) is empty"),
        ({"messages": []}, "messages", "there are no messages"),
        ({"messages": None}, "messages", "messages are a str, Messages or dicts, not NoneType"),
        ({"temprature": 1}, "temprature", "unknown parameter 'temprature'; did you mean temperature?"),
        ({"stream": True}, "stream", "unknown parameter 'stream'"),
        ({"clock": None}, "clock", "unknown parameter 'clock'"),
        ({"temperature": float("nan")}, "temperature", "temperature must be a number from 0 to 2, not nan"),
        ({"timeouts": 5}, "timeouts", "timeouts must be a Timeouts, not int"),
        ({"strict": "yes"}, "strict", "strict must be True or False, not 'yes'"),
        ({"conversation": {}}, "conversation", "conversation must be a Conversation"),
        ({"api_key": ""}, "api_key", "api_key must be a text that is not empty"),
        ({"api_key": "sk secret"}, "api_key", "api_key has a space, a line break"),
        ({"api_key": 5}, "api_key", "api_key must be a text"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers", "the header X-A must be a text without line breaks"),
        ({"options": 5}, "options", "options must be a mapping with text keys"),
        ({"extra": {5: 5}}, "extra", "extra must be a mapping with text keys"),
    ],
)
async def test_bad_input_is_refused_and_nothing_is_sent(
    canned: tuple[Registry, Canned], arguments: dict[str, Any], *, parameter: str, told: str
) -> None:
    """Whatever is wrong with a call is told when the stream is made; the provider hears nothing of it."""
    registry, provider = canned
    call: dict[str, Any] = {"model": "c:", "messages": "hi", **arguments}
    with pytest.raises(InvalidRequestError) as streamed:
        registry.stream(**call)
    with pytest.raises(InvalidRequestError) as chatted:
        await registry.chat(**call)
    for error in (streamed.value, chatted.value):
        assert told in str(error)
        assert error.parameter == parameter
        assert "secret" not in str(error)
    assert provider.requests == []


async def test_an_unknown_option_is_refused_by_the_plugin(canned: tuple[Registry, Canned]) -> None:
    """A provider's own settings are checked by its class of options."""
    registry, provider = canned
    with pytest.raises(InvalidRequestError, match="c has no option 'size': it takes none"):
        await registry.chat("c:", "hi", options={"size": 5})
    assert provider.requests == []


async def test_a_request_is_what_was_asked_for(canned: tuple[Registry, Canned]) -> None:
    """The provider gets the resolved model, the transcript and the new turns, and everything that was given."""
    registry, provider = canned
    before = Conversation([Message("user", "one"), Message("assistant", "two")], {"c": 1, "other": 2})
    timeouts = Timeouts(idle=7)
    await registry.chat(
        "c:special", "three", conversation=before, temperature=0, timeouts=timeouts, api_key="sk-key", extra={"n": 1}
    )
    (request,) = provider.requests
    assert request.model.full_name == "c:special"
    assert [message.text for message in request.messages] == ["one", "two", "three"]
    assert [message.text for message in request.new_messages] == ["three"]
    assert (request.state, request.temperature, request.timeouts) == (1, 0, timeouts)
    assert (request.api_key, request.extra) == ("sk-key", {"n": 1})
    assert "sk-key" not in repr(request)


async def test_a_key_of_one_call_reaches_no_other(canned: tuple[Registry, Canned]) -> None:
    """`api_key` is part of that request alone."""
    registry, provider = canned
    await asyncio.gather(*(registry.chat("c:", "hi", api_key=key) for key in ("sk-1", None, "sk-2")))
    await registry.chat("c:", "hi")
    assert sorted(request.api_key or "" for request in provider.requests) == ["", "", "sk-1", "sk-2"]


async def test_a_resolved_model_can_be_passed(canned: tuple[Registry, Canned]) -> None:
    """What `resolve` or `models` returned stands for the name; a foreign one is an unknown provider."""
    registry, provider = canned
    await registry.chat(registry.resolve("c:"), "hi")
    await registry.chat((await registry.models()).models[0], "hi")
    assert [request.model.name for request in provider.requests] == ["canned-1", "canned-1"]
    with pytest.raises(UnknownProviderError):
        registry.stream(ModelInfo("m"), "hi")


async def test_a_conversation_goes_on(canned: tuple[Registry, Canned]) -> None:
    """Each reply holds the next conversation; another provider gets the transcript and none of the state."""
    registry, provider = canned
    provider._answers.clear()
    provider._answers.extend([[TextDelta("a"), Finish("stop", state={"turn": 1})], "b"])
    first = await registry.chat("c:", "one")
    second = await registry.chat("c:", "two", conversation=first.conversation)
    assert provider.requests[1].state == {"turn": 1}
    assert [message.text for message in second.conversation.messages] == ["one", "a", "two", "b"]
    assert second.conversation.state == {}
    other = Canned("c")
    registry.register(other, "d")
    await registry.chat("d:", "three", conversation=first.conversation)
    assert other.requests[0].state is None
    assert [message.text for message in other.requests[0].messages] == ["one", "a", "three"]


async def test_what_is_left_out_is_told_and_stays_in_the_conversation(canned: tuple[Registry, Canned]) -> None:
    """`max_input_chars` sends less and says so first; the reply's conversation is whole."""
    registry, provider = canned
    turns = [
        {"role": "user", "content": "x" * 50},
        {"role": "assistant", "content": "y"},
        {"role": "user", "content": "z"},
    ]
    reply = await registry.chat("c:", turns, max_input_chars=40, strict=True)
    assert [message.text for message in provider.requests[0].messages] == ["y", "z"]
    assert [notice.code for notice in reply.notices] == ["input_trimmed"]
    assert len(reply.conversation.messages) == 4
    async with registry.stream("c:", turns, max_input_chars=40) as stream:
        first = await anext(stream)
    assert first == reply.notices[0]


# Deleting


class Deleter(Canned):
    """A provider whose conversations can be deleted, or not."""

    error: BaseException | None = None

    @hookimpl
    async def delete_conversation(self, conversation: Conversation) -> None:
        if self.error is not None:
            raise self.error
        await super().delete_conversation(conversation)


class Forgetful(Sessions):
    """A provider that keeps nothing."""


async def test_a_conversation_is_deleted_where_a_provider_can() -> None:
    """Each provider that left a state is asked if it can delete; the names of those that did are returned."""
    able = Deleter("x")
    async with Registry(only=[]) as registry:
        registry.register(able, "a")
        registry.register(Forgetful(), "b")
        conversation = Conversation((), {"a": {"id": 1}, "b": {"id": 2}})
        assert await registry.delete(conversation) == ("a",)
        assert able.deleted == [Conversation((), {"a": {"id": 1}})], "nobody else's state is shown to it"
        assert await registry.delete(Conversation()) == ()
        with pytest.raises(UnknownProviderError):
            await registry.delete(Conversation((), {"a": 1, "gone": 2}))
        assert len(able.deleted) == 1
        with pytest.raises(InvalidRequestError, match="conversation must be a Conversation"):
            await registry.delete("conversation")  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize("raised", [KeyError("x"), ProviderError("no"), ConnectionResetError()])
async def test_a_failed_deletion_is_an_error_of_the_tree(raised: BaseException) -> None:
    """Whatever a provider raises while it deletes is named as in a stream."""
    deleter = Deleter("x")
    deleter.error = raised
    async with Registry(only=[]) as registry:
        registry.register(deleter, "a")
        with pytest.raises(CoreError) as caught:
            await registry.delete(Conversation((), {"a": 1}))
    assert str(caught.value).startswith("a")


def test_retry_and_timeouts_are_checked() -> None:
    """Seconds and counts have to be sound numbers."""
    for wrong in ({"attempts": 0}, {"attempts": 1.5}, {"attempts": True}, {"budget": -1}, {"budget": float("inf")}):
        with pytest.raises(InvalidRequestError):
            Retry(**wrong)
    for name in ("connect", "headers", "first_event", "idle", "total"):
        for value in (0, -1, "5", True, float("nan"), float("inf")):
            with pytest.raises(InvalidRequestError) as caught:
                Timeouts(**{name: value})  # type: ignore[arg-type]  # the mistake
            assert caught.value.parameter == name


def test_hooks_take_a_request_or_not() -> None:
    """A hook may leave out what it does not need."""

    class Least:
        @hookimpl
        def resolve_model(self) -> ModelInfo:
            return ModelInfo("m")

        @hookimpl
        async def stream_chat(self) -> AsyncGenerator[Event, None]:
            yield Finish("stop")

    registry = Registry(only=[])
    registry.register(Least(), "least")
    assert registry.resolve("least:anything").name == "m"
    assert ChatRequest(model=ModelInfo("m"), messages=()).strict is False
