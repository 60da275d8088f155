"""From an entry point, or a class a host registers, to the plugin object, with its configuration checked."""

import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any

from core_chat._entries import source_of
from core_chat.errors import InvalidRequestError, PluginError, close_names, hint


def load(entry: EntryPoint, name: str) -> object:
    """Import what an entry point names.

    Raises:
        PluginError: It cannot be imported, whatever the reason.
    """
    try:
        return entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        text = f"{source_of(entry)} cannot be imported: {type(error).__name__}: {error}"
        raise PluginError(text.rstrip(": "), plugin=name) from error


def build(loaded: object, name: str, config: Mapping[str, Any]) -> object:
    """Return a plugin: a class is built with the configuration, anything else is one already.

    Raises:
        InvalidRequestError: The configuration has a setting the plugin does not take, or a value it refuses.
        PluginError: The constructor fails.
    """
    if not isinstance(loaded, type):
        if config:
            raise InvalidRequestError(f"{name} takes no configuration", parameter="config")
        return loaded
    _check_settings(loaded, name, config)
    try:
        return loaded(**config)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{name}: {error}", parameter="config") from error
    except (Exception, SystemExit) as error:
        # The error's own text may hold what it was built from, a key among it.
        raise PluginError(f"{name} cannot be built: {type(error).__name__}", plugin=name) from error


def _check_settings(plugin: type, name: str, config: Mapping[str, Any]) -> None:
    try:
        parameters = inspect.signature(plugin).parameters.values()
    except (TypeError, ValueError):
        return  # it has none that can be seen; calling it tells
    known = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
    if len(known) < len(parameters):
        return
    for key in config:
        if key not in known:
            ways = hint(close_names(key, known)) or f": it takes {', '.join(known) or 'none'}"
            raise InvalidRequestError(f"{name} has no setting {key!r}{ways}", parameter="config")
