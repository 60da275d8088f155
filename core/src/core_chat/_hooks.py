"""The hooks of a registry's providers, each call with the host's middleware around it."""

from collections.abc import Callable
from typing import Any

import pluggy

from core_chat._provider import Provider
from core_chat.errors import PluginError
from core_chat.hooks import PROJECT, ProviderHooks


class Hooks:
    """Routes each call to one provider; pluggy itself would ask all of them."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(ProviderHooks)

    def known(self, provider: Provider) -> Provider:
        """Let the middleware stand around a provider, and return it."""
        if not self._manager.is_registered(provider):
            self._manager.register(provider, f"provider {provider.name}")
        return provider

    def add_middleware(self, plugin: object, name: str | None) -> None:
        """Put an object whose hooks are wrappers around every call.

        Raises:
            PluginError: Its hooks do not fit their specifications.
        """
        try:
            # Middleware and providers have names of their own each.
            self._manager.register(plugin, None if name is None else f"middleware {name}")
            self._manager.check_pending()
        except (pluggy.PluginValidationError, TypeError, ValueError) as error:
            if self._manager.is_registered(plugin):
                self._manager.unregister(plugin)
            raise PluginError(f"{type(plugin).__name__} cannot be middleware: {error}") from error

    def call(self, provider: Provider, hook: str) -> Callable[..., Any]:
        """Return a hook of one provider with all middleware around it."""
        plugins = self._manager.get_plugins()
        others = [other for other in plugins if isinstance(other, Provider) and other is not provider]
        return self._manager.subset_hook_caller(hook, others)
