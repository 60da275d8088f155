"""Settings from the environment, read when a plugin is built and not when it is imported."""

import os
from collections.abc import Callable
from typing import overload


@overload
def env(name: str) -> Callable[[], str | None]: ...
@overload
def env(name: str, default: str) -> Callable[[], str]: ...
def env(name: str, default: str | None = None) -> Callable[[], str | None]:
    """Return an attrs field factory that reads an environment variable.

    Space around its value is dropped, and an empty one counts as unset.
    """

    def read() -> str | None:
        return os.environ.get(name, "").strip() or default

    return read
