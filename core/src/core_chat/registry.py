"""The registry: where a host app looks a model up and streams its answer."""

import functools
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack
from weakref import WeakSet

from attrs import evolve

from core_chat._catalog import Listing, Lists, gather_catalog, list_provider
from core_chat._guard import Guard, MiddlewareGuard
from core_chat._hooks import Hooks
from core_chat._plugins import Plugins
from core_chat._provider import Provider, is_wrapper, marked_hooks
from core_chat._proxy import check_proxy
from core_chat._resolve import Resolver
from core_chat._stream import ChatStream
from core_chat._trim import trim
from core_chat.checks import check_kind, check_mapping
from core_chat.clock import SYSTEM_CLOCK, Clock
from core_chat.dicts import MessagesInput, read_messages
from core_chat.errors import CoreError, InvalidRequestError, PluginError, RegistryClosedError
from core_chat.messages import Tool
from core_chat.models import Catalog, ModelInfo, Plugin
from core_chat.reply import Conversation, Reply
from core_chat.requests import (
    ChatRequest,
    ModelQuery,
    Retry,
    Timeouts,
    check_parameters,
)

if TYPE_CHECKING:
    from aiohttp import ClientSession


class Parameters(TypedDict, total=False):
    """The further keywords of `Registry.stream` and `Registry.chat`; `ChatRequest` says what they mean."""

    tools: Iterable[Tool | Mapping[str, Any]]
    tool_choice: str | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    max_tokens: int | None
    stop: str | Iterable[str] | None
    seed: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    reasoning_effort: str | None
    response_format: Any
    width: int | None
    height: int | None
    aspect_ratio: str | None
    max_input_chars: int | None
    headers: Mapping[str, str]
    options: Mapping[str, Any]
    extra: Mapping[str, Any]


class Registry:
    """Finds provider plugins, resolves models and streams answers; an async context manager.

    Args:
        config: Per provider name, the arguments its plugin is built with, such as `{"replicate": {"token": "…"}}`.
        only: Use only these plugins, by provider or distribution name; None means `CORE_CHAT_PLUGINS`, else all.
        block: Do not use these; None means `CORE_CHAT_BLOCK`, else none.
        aliases: Names of the host's own for models, such as `{"fast": "replicate:meta/meta-llama-3-8b-instruct"}`.
        session: An aiohttp session to borrow; it is never closed here.
        proxy: An `http(s)://` or, with the extra `[socks]`, `socks5://` URL; None honours the proxy variables.
        timeouts: For every call that gives none of its own.
        retry: How failed calls are tried again.
        clock: The source of time.

    Raises:
        InvalidRequestError: An argument cannot be used.
    """

    def __init__(
        self,
        *,
        config: Mapping[str, Mapping[str, Any]] | None = None,
        only: Iterable[str] | None = None,
        block: Iterable[str] | None = None,
        aliases: Mapping[str, str] | None = None,
        session: "ClientSession | None" = None,
        proxy: str | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
        retry: Retry = Retry(),  # noqa: B008 - frozen
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        check_kind(timeouts, Timeouts, "timeouts")
        check_kind(retry, Retry, "retry")
        if session is not None and not hasattr(session, "request"):
            raise InvalidRequestError("session must be an aiohttp.ClientSession", parameter="session")
        if session is not None and proxy is not None:
            raise InvalidRequestError("pass session or proxy, not both: a session has its own proxy", parameter="proxy")
        settings = {
            name: check_mapping(value, f"config[{name!r}]") for name, value in check_mapping(config, "config").items()
        }
        self._plugins = Plugins(only=only, block=block, config=settings)
        self._lists = Lists(clock)
        self._streams: WeakSet[ChatStream] = WeakSet()
        self._hooks = Hooks()
        self._aliases = _check_aliases(aliases)
        self._borrowed = session
        self._session = session
        self._proxy = check_proxy(proxy)
        self._timeouts = timeouts
        self._retry = retry
        self._clock = clock
        self._state = "new"

    def __repr__(self) -> str:
        return f"<Registry {self._state}>"

    async def __aenter__(self) -> Self:
        if self._state != "new":
            raise RegistryClosedError("a registry can be entered once; make a new Registry()")
        self._state = "open"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the streams that are open, then the connections; leaving the `async with` block does it."""
        self._state = "closed"
        async with AsyncExitStack() as stack:
            session, self._session = self._session, None
            if session is not None and session is not self._borrowed:
                stack.push_async_callback(session.close)
            for stream in tuple(self._streams):
                stack.push_async_callback(stream.aclose)

    def _open_session(self) -> "ClientSession":
        self._check_open()
        if self._session is None:
            from core_chat.http.session import open_session

            self._session = open_session(self._proxy)
        if self._session.closed:
            raise RegistryClosedError("the session this registry was given is closed")
        return self._session

    def _check_open(self) -> None:
        if self._state == "new":
            raise RegistryClosedError("enter the registry first: async with Registry() as registry")
        if self._state == "closed":
            raise RegistryClosedError("the registry is closed; make a new Registry()")

    @property
    def plugins(self) -> dict[str, Plugin]:
        """Every provider name that is installed or registered, with its state; imports no plugin."""
        return self._plugins.table()

    def load(self, provider: str) -> Plugin:
        """Load one provider and return it as `plugins` shows it then.

        Raises:
            UnknownProviderError: It is not installed or not allowed.
            PluginError: It is broken.
            InvalidRequestError: Its configuration is wrong.
        """
        self._provider(provider)
        return self.plugins[provider]

    def _provider(self, name: str) -> Provider:
        return self._hooks.known(self._plugins.get(name))

    def register(self, plugin: object, name: str | None = None) -> None:
        """Take in an in-process provider under a name, or middleware: an object whose hooks are wrappers.

        Raises:
            PluginError: It keeps no contract: no hooks, wrappers mixed with others, a name that cannot be one.
            PluginConflictError: The name is taken.
        """
        hooks = marked_hooks(plugin)
        label = plugin.__name__ if isinstance(plugin, type) else type(plugin).__name__
        wrappers = [hook for hook, (_, options) in hooks.items() if is_wrapper(options)]
        if not hooks:
            raise PluginError(f"{label} has no hooks: mark its methods with @hookimpl")
        if not wrappers:
            if name is None:
                raise PluginError("a provider needs a name: registry.register(provider, 'name')")
            self._hooks.known(self._plugins.add(plugin, name))
        elif len(wrappers) < len(hooks):
            raise PluginError(f"{label} mixes wrappers and hooks: make it middleware or a provider")
        elif isinstance(plugin, type):
            raise PluginError(f"middleware is an object: registry.register({label}())")
        else:
            self._hooks.add_middleware(plugin, name)

    def resolve(self, model: str) -> ModelInfo:
        """Find a model: `provider:model`, `provider:` for its default, a bare model name, or an alias; no I/O.

        Raises:
            UnknownModelError: No allowed provider knows it.
            UnknownProviderError: The provider is not installed.
            AmbiguousModelError: Several providers know the bare name.
            PluginError: The provider is broken.
        """
        return Resolver(self._plugins, aliases=self._aliases, ask=self._ask, listed=self._lists.names).resolve(model)

    def _ask(self, provider: str, name: str) -> ModelInfo | None:
        owner = self._provider(provider)
        claim: ModelInfo | None = self._hooks.call(owner, "resolve_model")(name=name)
        return claim

    async def models(
        self,
        provider: str | None = None,
        *,
        search: str | None = None,
        task: str | None = None,
        api_key: str | None = None,
        refresh: bool = False,
    ) -> Catalog:
        """List the models of one provider or all, asked side by side; one failure never hides the others.

        Lists are kept for five minutes; when a refresh fails the last good one is served and marked stale.

        Args:
            provider: Only this one's.
            search: Words that a model's name or title must hold.
            task: Such as "chat" or "text-to-image"; models whose tasks are unknown stay.
            api_key: Overrides the configured key for this call alone; only together with `provider`.
            refresh: Ask even where a list is kept.

        Raises:
            UnknownProviderError: The provider is not installed or not allowed.
            PluginError: The provider that was asked for is broken.
        """
        session = self._open_session()
        if api_key is not None and provider is None:
            raise InvalidRequestError(
                "api_key belongs to one provider: say which, registry.models(provider, api_key=…)", parameter="api_key"
            )
        query = ModelQuery(search=search, task=task, api_key=api_key, timeouts=self._timeouts, clock=self._clock)
        if provider is not None:
            self._provider(provider)
        names = [provider] if provider is not None else list(self._plugins.table())
        asks = {name: functools.partial(self._list, name, query, session, refresh=refresh) for name in names}
        return await gather_catalog(asks)

    async def _list(self, name: str, query: ModelQuery, session: "ClientSession", *, refresh: bool) -> Listing:
        plugin = self.plugins[name]
        if plugin.status == "blocked":
            return Listing()
        try:
            provider = self._provider(name)
        except CoreError as error:
            return Listing(error=error)
        if "list_models" not in provider.hooks:
            return Listing()

        def ask() -> Awaitable[Listing]:
            call = functools.partial(self._hooks.call(provider, "list_models"), query=query, session=session)
            return list_provider(provider, query, call)

        return await self._lists.get(name, query, ask=ask, refresh=refresh)

    def stream(
        self,
        model: str | ModelInfo,
        messages: MessagesInput,
        *,
        conversation: Conversation | None = None,
        api_key: str | None = None,
        timeouts: Timeouts | None = None,
        strict: bool = False,
        **parameters: Unpack[Parameters],
    ) -> ChatStream:
        """Return the answer of a model as a stream: an async context manager and the iterator of its events.

        Everything that can be checked is checked here; nothing is sent before the stream is read.

        Args:
            model: As `resolve` takes it, or what it returned.
            messages: The new turns: a string, `Message`s or OpenAI-style dicts.
            conversation: What came before, from `reply.conversation`.
            api_key: Overrides the configured key for this call alone.
            timeouts: Override the registry's for this call.
            strict: Make every parameter that cannot be honoured an `InvalidRequestError`.
            parameters: The fields of `ChatRequest`.

        Raises:
            InvalidRequestError: Something asked for is wrong.
            UnknownModelError: And the other errors of `resolve`.
            RegistryClosedError: The registry is not open.
        """
        self._check_open()
        check_parameters(parameters)
        info = model if isinstance(model, ModelInfo) else self.resolve(model)
        provider = self._provider(info.provider)
        new = read_messages(messages)
        before = conversation.messages if isinstance(conversation, Conversation) else ()
        request, notice = trim(
            ChatRequest(
                model=info,
                messages=(*before, *new),
                new_messages=new,
                conversation=conversation,
                timeouts=self._timeouts if timeouts is None else timeouts,
                api_key=api_key,
                strict=strict,
                clock=self._clock,
                **parameters,
            )
        )
        stream = ChatStream(
            functools.partial(self._attempt, provider),
            request,
            retry=self._retry,
            before=(*before, *new),
            notices=() if notice is None else (notice,),
        )
        self._streams.add(stream)
        return stream

    def _attempt(self, provider: Provider, request: ChatRequest) -> Guard:
        """Call the hook once, middleware around it."""
        events = self._hooks.call(provider, "stream_chat")(request=request, session=self._open_session())
        if isinstance(events, Guard):
            return events
        return MiddlewareGuard(events, provider=provider.name)

    async def chat(
        self,
        model: str | ModelInfo,
        messages: MessagesInput,
        *,
        conversation: Conversation | None = None,
        api_key: str | None = None,
        timeouts: Timeouts | None = None,
        strict: bool = False,
        **parameters: Unpack[Parameters],
    ) -> Reply:
        """Return the whole answer of a model; the arguments and errors are those of `stream`."""
        stream = self.stream(
            model,
            messages,
            conversation=conversation,
            api_key=api_key,
            timeouts=timeouts,
            strict=strict,
            **parameters,
        )
        async with stream:
            return await stream.reply()

    async def delete(self, conversation: Conversation) -> tuple[str, ...]:
        """Delete what upstreams keep of a conversation, where a provider can, and return the names of those that did.

        Raises:
            ProviderError: An upstream refused.
            UnknownProviderError: A provider of the conversation is not installed.
        """
        session = self._open_session()
        check_kind(conversation, Conversation, "conversation")
        owners = [self._provider(name) for name in conversation.state]
        able = [owner for owner in owners if "delete_conversation" in owner.hooks]
        for owner in able:
            own = evolve(conversation, state={owner.name: conversation.state[owner.name]})
            await self._hooks.call(owner, "delete_conversation")(conversation=own, session=session)
        return tuple(owner.name for owner in able)


def _check_aliases(aliases: Mapping[str, str] | None) -> dict[str, str]:
    checked = check_mapping(aliases, "aliases")
    for name, target in checked.items():
        if not isinstance(target, str) or not target.strip():
            raise InvalidRequestError(
                f"aliases: {name!r} must stand for a model's name, not {target!r}", parameter="aliases"
            )
    return checked
