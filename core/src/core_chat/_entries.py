"""The installed entry points, and the names under which a host allows or blocks them."""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, distributions, entry_points
from typing import Any

from core_chat.errors import InvalidRequestError

_LOG = logging.getLogger("core_chat")


def installed(group: str) -> list[EntryPoint]:
    """Return the entry points of a group; a distribution whose own metadata is broken does not hide the others."""
    try:
        return list(entry_points(group=group))
    except Exception:  # noqa: BLE001 - the parser of the standard library trips over a broken file in many ways
        return list(_one_by_one(group))


def _one_by_one(group: str) -> Iterator[EntryPoint]:
    seen = set()
    for distribution in distributions():
        name: str | None = None
        try:
            name = distribution.metadata["Name"]
            found = [entry for entry in distribution.entry_points if entry.group == group]
        except Exception as error:  # noqa: BLE001 - as above
            _LOG.warning("the entry points of the distribution %s cannot be read: %s", name, type(error).__name__)
            continue
        # The first one on the path is the one that is imported.
        if normal(name or "") not in seen:
            yield from found
        seen.add(normal(name or ""))


def distribution_of(entry: EntryPoint) -> tuple[str | None, str | None]:
    """Return the name and version of the distribution an entry point comes from."""
    return (entry.dist.name, entry.dist.version) if entry.dist is not None else (None, None)


def source_of(entry: EntryPoint) -> str:
    """Return what to blame for an entry point: its distribution, or what it points to."""
    return distribution_of(entry)[0] or entry.value


def normal(name: str) -> str:
    """Return a distribution's name as the packaging standards compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def names_given(given: Iterable[str] | None, *, parameter: str, variable: str) -> frozenset[str] | None:
    """Return the names of `only` or `block`, in every form they are compared in; None means the variable, or nothing.

    Raises:
        InvalidRequestError: They are no names.
    """
    if given is None:
        given = [part for part in os.environ.get(variable, "").split(",") if part.strip()] or None
    if given is None:
        return None
    names: list[Any] = [given] if isinstance(given, str) or not _is_list(given) else list(given)
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise InvalidRequestError(f"{parameter} must be a list of provider or distribution names", parameter=parameter)
    return frozenset(form for name in names for form in (name.strip().lower(), normal(name)))


def _is_list(value: object) -> bool:
    return isinstance(value, Iterable)
