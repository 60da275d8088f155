"""`registry.models`: providers asked side by side, lists kept and refreshed, failures beside what was found."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from attrs import define, field

from core_chat import (
    Catalog,
    ChatRequest,
    Event,
    Finish,
    InvalidRequestError,
    ModelInfo,
    ModelQuery,
    PluginError,
    ProviderError,
    RateLimitError,
    Registry,
    RegistryClosedError,
    TimedOutError,
    Timeouts,
    UnavailableError,
    UnknownProviderError,
    hookimpl,
)
from core_chat.testing import Canned, ManualClock

Listed = Callable[[ModelQuery], AsyncGenerator[ModelInfo, None]]


@define(eq=False)
class Lister:
    """A provider whose lists are played one after the other, the last one again and again."""

    lists: list[Listed]
    queries: list[ModelQuery] = field(factory=list)
    closed: int = 0

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        return ModelInfo(name) if name else None

    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        yield Finish("stop")

    @hookimpl
    async def list_models(self, query: ModelQuery) -> AsyncGenerator[ModelInfo, None]:
        self.queries.append(query)
        play = self.lists[min(len(self.queries), len(self.lists)) - 1]
        try:
            async for model in play(query):
                yield model
        finally:
            self.closed += 1


def models(*items: ModelInfo | str | float | BaseException) -> Listed:
    """A list: models or their names, waits by the clock, errors."""

    async def play(query: ModelQuery) -> AsyncGenerator[ModelInfo, None]:
        for item in items:
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, float):
                await query.clock.sleep(item)
            else:
                yield ModelInfo(item) if isinstance(item, str) else item

    return play


@asynccontextmanager
async def listing(clock: ManualClock | None = None, **providers: object) -> AsyncIterator[Registry]:
    """A registry of these providers alone."""
    async with Registry(only=[], clock=clock or ManualClock()) as registry:
        for name, provider in providers.items():
            registry.register(provider, name)
        yield registry


def names(catalog: Catalog) -> list[str]:
    """The full names on a list."""
    return [model.full_name for model in catalog.models]


async def test_all_providers_are_asked_and_each_model_is_stamped() -> None:
    """The list is every provider's, in the order of the providers; who lists nothing is no failure."""
    other = Lister([models(ModelInfo("three", provider="other"))])
    async with listing(a=Lister([models("one", "two")]), b=other, c=Canned("x")) as registry:
        catalog = await registry.models()
        assert names(catalog) == ["a:one", "a:two", "b:three", "c:canned-1"]
        assert (dict(catalog.failures), catalog.stale) == ({}, frozenset())
        assert names(await registry.models("b")) == ["b:three"]


async def test_providers_are_asked_side_by_side() -> None:
    """No provider waits for another: each of them is asked before the first one has answered."""
    asked = 0
    all_asked = asyncio.Event()

    async def wait(query: ModelQuery) -> AsyncGenerator[ModelInfo, None]:
        nonlocal asked
        asked += 1
        if asked == 3:
            all_asked.set()
        await all_asked.wait()
        yield ModelInfo("m")

    async with listing(a=Lister([wait]), b=Lister([wait]), c=Lister([wait])) as registry:
        assert names(await registry.models()) == ["a:m", "b:m", "c:m"]


@pytest.mark.parametrize(
    ("raised", "kind", "told"),
    [
        (RateLimitError("slow down"), RateLimitError, "a: slow down"),
        (KeyError("sk-secret"), PluginError, "a failed with KeyError"),
        (SystemExit(1), PluginError, "a failed with SystemExit"),
        (TimeoutError(), TimedOutError, "a: the upstream took too long"),
        (ConnectionResetError(), UnavailableError, "a: the upstream closed the connection before it answered"),
    ],
)
async def test_a_failure_hides_no_model(raised: BaseException, kind: type[Exception], told: str) -> None:
    """What a provider listed before it failed is kept, its error stands beside it, the others are whole."""
    async with listing(a=Lister([models("one", raised)]), b=Lister([models("two")])) as registry:
        catalog = await registry.models()
    assert names(catalog) == ["a:one", "b:two"]
    assert list(catalog.failures) == ["a"]
    assert type(catalog.failures["a"]) is kind
    assert str(catalog.failures["a"]) == told


async def test_what_is_no_model_is_the_plugins_error() -> None:
    """A provider that lists something else is told so."""
    async with listing(a=Lister([models("one", None)])) as registry:  # type: ignore[arg-type]  # the mistake
        catalog = await registry.models()
    assert names(catalog) == ["a:one"]
    assert str(catalog.failures["a"]) == "a: list_models yielded NoneType, not a ModelInfo"


async def test_a_silent_provider_is_given_up() -> None:
    """A list that stops coming ends with `idle`; the others do not wait for ever."""
    lister = Lister([models("one", 1e9, "never")])
    async with Registry(only=[], clock=ManualClock(), timeouts=Timeouts(idle=5)) as registry:
        registry.register(lister, "a")
        registry.register(Lister([models("two")]), "b")
        catalog = await registry.models()
    assert names(catalog) == ["a:one", "b:two"]
    failure = catalog.failures["a"]
    assert isinstance(failure, TimedOutError)
    assert (failure.timeout, lister.closed) == ("idle", 1)


async def test_lists_are_kept_for_five_minutes() -> None:
    """Within that time nobody is asked again, unless with `refresh`."""
    clock = ManualClock()
    lister = Lister([models("old"), models("new"), models("newest")])
    async with listing(clock, a=lister) as registry:
        assert names(await registry.models()) == ["a:old"]
        clock.advance(299)
        assert names(await registry.models("a")) == ["a:old"]
        clock.advance(2)
        assert names(await registry.models()) == ["a:new"]
        assert names(await registry.models(refresh=True)) == ["a:newest"]
    assert len(lister.queries) == 3


async def test_the_last_good_list_is_served_when_a_refresh_fails() -> None:
    """It is marked stale, its error stands in `failures`, and the next call asks again."""
    clock = ManualClock()
    lister = Lister([models("good", "better"), models("partly", UnavailableError("down")), models("fresh")])
    async with listing(clock, a=lister, b=Lister([models("x")])) as registry:
        await registry.models()
        clock.advance(301)
        catalog = await registry.models()
        assert names(catalog) == ["a:good", "a:better", "b:x"]
        assert (str(catalog.failures["a"]), catalog.stale) == ("a: down", frozenset({"a"}))
        catalog = await registry.models()
        assert (names(catalog), catalog.stale) == (["a:fresh", "b:x"], frozenset())


async def test_one_request_is_in_flight_for_a_provider() -> None:
    """Callers at the same time share it, and one that is cancelled does not end it."""
    go = asyncio.Event()

    async def wait(query: ModelQuery) -> AsyncGenerator[ModelInfo, None]:
        await go.wait()
        yield ModelInfo("m")

    lister = Lister([wait])
    async with listing(a=lister) as registry:
        tasks = [asyncio.ensure_future(registry.models()) for _ in range(5)]
        for _ in range(5):
            await asyncio.sleep(0)
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        go.set()
        assert [names(await task) for task in tasks[1:]] == [["a:m"]] * 4
    assert (len(lister.queries), lister.closed) == (1, 1)


async def test_cancelling_the_only_caller_ends_the_request() -> None:
    """Nobody waits: the provider's generator is closed before the caller is gone."""

    async def wait(query: ModelQuery) -> AsyncGenerator[ModelInfo, None]:
        await asyncio.Event().wait()
        yield ModelInfo("m")

    lister = Lister([wait])
    async with listing(a=lister) as registry:
        task = asyncio.ensure_future(registry.models())
        while not lister.queries:  # noqa: ASYNC110 - each turn is one of the loop
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert lister.closed == 1


async def test_a_key_of_the_call_goes_to_one_provider_and_has_its_own_list() -> None:
    """With `api_key` a provider has to be named; its list is kept apart from others'."""
    lister = Lister([models("mine"), models("theirs")])
    async with listing(a=lister, b=Lister([models("x")])) as registry:
        with pytest.raises(InvalidRequestError, match="api_key belongs to one provider") as caught:
            await registry.models(api_key="sk-one")
        assert "sk-one" not in str(caught.value)
        assert names(await registry.models("a", api_key="sk-one")) == ["a:mine"]
        assert names(await registry.models("a")) == ["a:theirs"]
        assert names(await registry.models("a", api_key="sk-one")) == ["a:mine"]
    assert [query.api_key for query in lister.queries] == ["sk-one", None]


async def test_search_and_task_filter_whatever_a_provider_lists() -> None:
    """All words of `search` have to stand in the name or title; a task has to be known to be missing."""
    shelf = models(
        ModelInfo("org/llama-3-8b", title="Llama 3", tasks=["chat"]),
        ModelInfo("org/llama-3-70b", title="Llama 3 large", tasks=["chat", "text-generation"]),
        ModelInfo("org/flux", tasks=["text-to-image"]),
        ModelInfo("org/unknown"),
        ModelInfo("found-by-the-upstream", source="search", tasks=["chat"]),
    )
    lister = Lister([shelf])
    async with listing(a=lister) as registry:
        assert names(await registry.models(search="LLAMA large")) == ["a:org/llama-3-70b", "a:found-by-the-upstream"]
        assert names(await registry.models(task="text-to-image")) == ["a:org/flux", "a:org/unknown"]
        assert names(await registry.models(search="org 8b", task="chat")) == [
            "a:org/llama-3-8b",
            "a:found-by-the-upstream",
        ]
        assert len(names(await registry.models())) == 5
    assert [(query.search, query.task) for query in lister.queries] == [
        ("LLAMA large", None),
        (None, "text-to-image"),
        ("org 8b", "chat"),
        (None, None),
    ]


async def test_a_model_listed_twice_is_one() -> None:
    """The later entry counts, at the place of the first."""
    play = models(ModelInfo("m", source="bundled"), "other", ModelInfo("m", source="live"))
    async with listing(a=Lister([play])) as registry:
        catalog = await registry.models()
    assert [(model.name, model.source) for model in catalog.models] == [("m", "live"), ("other", None)]


@pytest.mark.parametrize("wrong", ["", " ", 5])
async def test_search_and_task_have_to_be_texts(wrong: str) -> None:
    """Anything else is refused before anyone is asked."""
    async with listing(a=Lister([models("x")])) as registry:
        with pytest.raises(InvalidRequestError, match="search must be a text"):
            await registry.models(search=wrong)
        with pytest.raises(InvalidRequestError, match="task must be a text"):
            await registry.models(task=wrong)


async def test_a_provider_that_is_not_there_is_an_error() -> None:
    """Asked for by name, an unknown provider is raised and not listed as a failure."""
    async with listing() as registry:
        with pytest.raises(UnknownProviderError):
            await registry.models("nobody")


async def test_listing_needs_an_open_registry() -> None:
    """Before and after `async with` nothing is asked."""
    registry = Registry(only=[])
    with pytest.raises(RegistryClosedError, match="enter the registry first"):
        await registry.models()
    async with registry:
        pass
    with pytest.raises(RegistryClosedError, match="the registry is closed"):
        await registry.models()


async def test_the_session_is_the_registrys() -> None:
    """The hook gets the one session that the registry owns."""
    sessions: list[aiohttp.ClientSession] = []

    class WithSession(Lister):
        @hookimpl
        async def list_models(  # type: ignore[override]  # a hook takes the parameters it needs
            self, session: aiohttp.ClientSession
        ) -> AsyncGenerator[ModelInfo, None]:
            sessions.append(session)
            yield ModelInfo("m")

    async with listing(a=WithSession([]), b=WithSession([])) as registry:
        await registry.models()
        assert not sessions[0].closed
    assert sessions[0] is sessions[1]
    assert sessions[0].closed


async def test_middleware_around_a_list_is_heard_and_its_failure_kept_apart() -> None:
    """A host's wrapper of `list_models` may change the list; one that fails is that provider's failure."""

    class Only:
        @hookimpl(wrapper=True)
        def list_models(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - pluggy's wrapper
            inner = yield

            async def first() -> AsyncGenerator[ModelInfo, None]:
                async for model in inner:
                    yield model
                    break
                await inner.aclose()

            return first()

    class Fails:
        @hookimpl(wrapper=True)
        def list_models(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - pluggy's wrapper
            yield
            raise KeyError("the host's")

    async with listing(a=Lister([models("one", "two")])) as registry:
        registry.register(Only())
        assert names(await registry.models()) == ["a:one"]
    async with listing(a=Lister([models("one")])) as registry:
        registry.register(Fails())
        assert isinstance((await registry.models()).failures["a"], PluginError)


async def test_errors_of_a_list_name_the_provider() -> None:
    """A `ProviderError` without a provider gets it from the registry."""
    async with listing(a=Lister([models(UnavailableError("down", provider="other"))])) as registry:
        failure = (await registry.models()).failures["a"]
    assert isinstance(failure, ProviderError)
    assert failure.provider == "a"
