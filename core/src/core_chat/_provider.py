"""One loaded provider: its hooks checked at registration, its answers checked at every call."""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pluggy

from core_chat._guard import Guard, translate
from core_chat.errors import CoreError, PluginError, close_names, hint
from core_chat.hooks import PROJECT, ProviderHooks, hookimpl, marked
from core_chat.models import About, ModelInfo
from core_chat.reply import Conversation
from core_chat.requests import ChatRequest, ModelQuery

if TYPE_CHECKING:
    from aiohttp import ClientSession

_REQUIRED = ("resolve_model", "stream_chat")
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "resolve_model": (lambda f: not inspect.iscoroutinefunction(f) and not inspect.isasyncgenfunction(f), "a function"),
    "stream_chat": (inspect.isasyncgenfunction, "an async generator function"),
    "list_models": (inspect.isasyncgenfunction, "an async generator function"),
    "delete_conversation": (inspect.iscoroutinefunction, "a coroutine function"),
}


def marked_hooks(plugin: object) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Return the methods of an object that carry the hook marker, with the marker's options."""
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    for name in dir(plugin if inspect.ismodule(plugin) or isinstance(plugin, type) else type(plugin)):
        function = inspect.getattr_static(plugin, name, None)
        function = getattr(function, "__func__", function)
        options = marked(function)
        if options is not None:
            found[options.get("specname") or name] = (function, options)
    return found


def is_wrapper(options: dict[str, Any]) -> bool:
    """Whether a hook marker is that of a wrapper, new style or old."""
    return bool(options.get("wrapper") or options.get("hookwrapper"))


class Provider:
    """A provider as the registry calls it: pluggy sees this object, and this object calls the plugin's own hooks.

    Between the two stands the guard, inside all middleware. The plugin's hooks are held in a manager of their own,
    which checks names and parameters the way pluggy does and passes each hook the parameters it takes.
    """

    def __init__(self, name: str, plugin: object) -> None:
        """Check the plugin.

        Raises:
            PluginError: A hook is missing, misspelt, of the wrong kind, or a wrapper.
        """
        self.name = name
        self.plugin = plugin
        try:
            hash(plugin)
        except TypeError as error:
            raise self._broken("the plugin is not hashable: use @define(eq=False)") from error
        try:
            self.about = getattr(plugin, "about", None)
            self.hooks = marked_hooks(plugin)
            self._check_hooks()
            self._own = self._manager().hook
        except CoreError:
            raise
        except Exception as error:
            raise self._broken(f"the plugin fails with {type(error).__name__} when it is looked at") from error
        if self.about is not None and not isinstance(self.about, About):
            raise self._broken("about must be a core_chat.About")

    def _broken(self, why: str) -> PluginError:
        return PluginError(f"{self.name}: {why}", plugin=self.name)

    def _check_hooks(self) -> None:
        for hook, (function, options) in self.hooks.items():
            if is_wrapper(options):
                raise self._broken(
                    f"{hook} is a hook wrapper, which would stand around every provider; "
                    "middleware belongs to the host: registry.register(middleware)"
                )
            if hook not in _KINDS:
                raise self._broken(f"there is no hook {hook!r}{hint(close_names(hook, _KINDS))}")
            good, kind = _KINDS[hook]
            if not good(function):
                raise self._broken(f"{hook} must be {kind}")
            self._check_parameters(hook, function)
        for hook in _REQUIRED:
            if hook not in self.hooks:
                raise self._broken(f"the hook {hook} is missing (is it marked with @hookimpl?)")

    def _check_parameters(self, hook: str, function: Callable[..., Any]) -> None:
        """Refuse the parameters that pluggy would leave out without a word."""
        passed = inspect.signature(getattr(ProviderHooks, hook)).parameters
        for parameter in inspect.signature(function).parameters.values():
            optional = parameter.default is not parameter.empty
            if parameter.kind is parameter.KEYWORD_ONLY and (parameter.name in passed or not optional):
                raise self._broken(f"{hook} has a keyword-only parameter {parameter.name!r}, which hooks never get")
            if parameter.name in passed and optional:
                raise self._broken(f"{hook} has a default for {parameter.name!r}, which hooks then never get")

    def _manager(self) -> pluggy.PluginManager:
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(ProviderHooks)
        try:
            manager.register(self.plugin, self.name)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise self._broken(f"a hook does not fit its specification: {error.args[0].splitlines()[-1]}") from error
        return manager

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        """Ask the plugin for a model, and stamp it."""
        try:
            model = self._own.resolve_model(name=name)
        except CoreError:
            raise
        except (Exception, SystemExit) as error:
            raise self._broken(f"resolve_model failed with {type(error).__name__}") from error
        if model is None:
            return None
        if not isinstance(model, ModelInfo):
            raise self._broken(f"resolve_model returned {type(model).__name__}, not a ModelInfo")
        return model.stamped(self.name)

    @hookimpl
    def stream_chat(self, request: ChatRequest, session: "ClientSession") -> Guard:
        """Put the guard around the plugin's events."""
        events = self._own.stream_chat(request=request, session=session)
        return Guard(events, provider=self.name, strict=request.strict)

    @hookimpl
    async def list_models(self, query: ModelQuery, session: "ClientSession") -> AsyncGenerator[ModelInfo, None]:
        """Stamp the plugin's models."""
        models: AsyncGenerator[ModelInfo, None] = self._own.list_models(query=query, session=session)
        try:
            async for model in models:
                if not isinstance(model, ModelInfo):
                    raise self._broken(f"list_models yielded {type(model).__name__}, not a ModelInfo")
                yield model.stamped(self.name)
        finally:
            await models.aclose()

    @hookimpl
    async def delete_conversation(self, conversation: Conversation, session: "ClientSession") -> None:
        """Pass the conversation on, and name what goes wrong."""
        deleted: Awaitable[None] = self._own.delete_conversation(conversation=conversation, session=session)
        try:
            await deleted
        except BaseException as error:
            found = translate(error, self.name)
            if found is error:
                raise
            raise found from found.__cause__
