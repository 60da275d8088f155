"""The settings of one call that only this provider has."""

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, get_args

import attrs
from attrs import field, frozen

from core_chat.errors import InvalidRequestError, close_names, hint
from core_chat.requests import flag, text

Api: TypeAlias = Literal["auto", "v5", "v4", "v4-message"]
GENERATIONS: tuple[str, ...] = ("v5", "v4", "v4-message")
"""The generations of the chat API, the newest first: the order in which they are tried."""


def check_api(_instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    """Validate, for attrs: a generation of the API, "auto" or None.

    Raises:
        InvalidRequestError: It is none.
    """
    known = get_args(Api)
    if value is not None and value not in known:
        close = hint(close_names(str(value), known))
        raise InvalidRequestError(
            f"{attribute.name} must be one of {', '.join(known)}, not {value!r}{close}", parameter=attribute.name
        )


def _names(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else ()
    if not all(isinstance(name, str) and name for name in names) or (value and not names):
        raise InvalidRequestError("selected_tools must be a list of names", parameter="options")
    return names


@frozen(kw_only=True)
class AllenAIOptions:
    """What `options={…}` takes.

    Attributes:
        api: The generation of the API; None means what the provider was built with.
        private: Whether the thread is private; anonymous threads always are. Not sent unless given.
        host: Where the model runs; only `v4-message` wants it, and finds it in the model list.
        selected_tools: Names of the service's own tools that the model may use.
    """

    api: Api | None = field(default=None, validator=check_api)
    private: bool | None = field(default=None, validator=flag)
    host: str | None = field(default=None, validator=text())
    selected_tools: tuple[str, ...] = field(default=(), converter=_names)
