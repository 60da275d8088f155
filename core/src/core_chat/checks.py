"""Checks of what a caller gave; each error is one sentence, names the parameter, and shows no credential."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs

from core_chat.errors import InvalidRequestError

Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]


_HUGE = 2.0**64
_LONGEST_SHOWN = 60


def shown(value: object) -> str:
    """Return a value for an error's text: short ones as they are, others by their kind."""
    try:
        shown = repr(value)
    except Exception:  # noqa: BLE001 - the value is a stranger's; an int of 5000 digits is enough
        return type(value).__name__
    return shown if len(shown) <= _LONGEST_SHOWN else type(value).__name__


def number(low: float, high: float = math.inf, *, whole: bool = False, optional: bool = True) -> Validator:
    """Return an attrs validator: a finite number (a whole one) from `low` to `high`; bools and texts are refused."""
    kinds: Any = int if whole else (int, float)
    noun = "a whole number" if whole else "a number"
    span = f" from {low:g} to {high:g}" if math.isfinite(high) else f" of at least {low:g}" if low > -math.inf else ""

    def check(_instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if value is None and optional:
            return
        good = isinstance(value, kinds) and not isinstance(value, bool) and abs(value) < _HUGE
        if not good or not low <= value <= high:
            told = f"{attribute.name} must be {noun}{span}, not {shown(value)}"
            raise InvalidRequestError(told, parameter=attribute.name)

    return check


def text(*, optional: bool = True) -> Validator:
    """Return an attrs validator: a text that is not empty."""

    def check(_instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if (value is None and optional) or (isinstance(value, str) and value.strip()):
            return
        raise InvalidRequestError(f"{attribute.name} must be a text, not {shown(value)}", parameter=attribute.name)

    return check


def flag(_instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    """Validate, for attrs: True, False or None."""
    if value is not None and not isinstance(value, bool):
        raise InvalidRequestError(
            f"{attribute.name} must be True or False, not {shown(value)}", parameter=attribute.name
        )


def check_kind(value: object, kind: type, name: str) -> None:
    """Refuse a value of another class.

    Raises:
        InvalidRequestError: It is something else.
    """
    if not isinstance(value, kind):
        raise InvalidRequestError(f"{name} must be a {kind.__name__}, not {type(value).__name__}", parameter=name)


def check_secret(value: Any, name: str = "api_key") -> str | None:
    """Return a credential that can be sent in a header; the error never shows it.

    Raises:
        InvalidRequestError: It is empty, or has spaces, line breaks or characters outside ASCII.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(f"{name} must be a text that is not empty", parameter=name)
    if any(not "!" <= character <= "~" for character in value):
        raise InvalidRequestError(
            f"{name} has a space, a line break or a character outside ASCII: copy it again without them", parameter=name
        )
    return value


_HEADER_NAME = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_FRAMING = frozenset(("content-length", "transfer-encoding", "connection", "trailer", "upgrade"))


def check_headers(headers: Any) -> dict[str, str]:
    """Return headers that can be sent (RFC 9110, section 5).

    Raises:
        InvalidRequestError: A name is no token, a value is no text or holds a line break, or the header says how long
            the request is.
    """
    if not isinstance(headers, Mapping):
        raise InvalidRequestError(f"headers must be a mapping, not {type(headers).__name__}", parameter="headers")
    for name, value in headers.items():
        if not isinstance(name, str) or not name or not _HEADER_NAME.issuperset(name):
            raise InvalidRequestError(f"{name!r} is no header name", parameter="headers")
        if not isinstance(value, str) or not all(character.isprintable() or character == "\t" for character in value):
            raise InvalidRequestError(f"the header {name} must be a text without line breaks", parameter="headers")
        if name.lower() in _FRAMING:
            raise InvalidRequestError(f"the header {name} is set by the HTTP client alone", parameter="headers")
    return dict(headers)


def check_mapping(value: Any, name: str) -> dict[str, Any]:
    """Return a mapping with text keys as a new dict; None is an empty one.

    Raises:
        InvalidRequestError: It is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidRequestError(f"{name} must be a mapping with text keys", parameter=name)
    return dict(value)
