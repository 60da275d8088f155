"""The options of the commands, and reading what they were given."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from core_chat.requests import PARAMETERS

F = TypeVar("F", bound=Callable[..., Any])


def _pairs(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """Read `key=value` pairs; a value that is JSON is read as such. What is refused is not shown: it may be secret."""
    pairs: dict[str, Any] = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise click.BadParameter("it must look like key=value")
        if key in pairs:
            raise click.BadParameter(f"{key} is given twice")
        try:
            pairs[key] = json.loads(value)
        except (ValueError, RecursionError):
            pairs[key] = value
    return pairs


def _target(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    """Check that a file can be written later, before anything is sent."""
    if path is not None and (path.is_file() or not path.exists()):
        folder = path.resolve().parent
        if not folder.is_dir():
            raise click.BadParameter(f"there is no folder {folder}")
        if not os.access(folder, os.W_OK):
            raise click.BadParameter(f"the folder {folder} cannot be written to")
    return path


_PARAMETERS = (
    click.option("--temperature", type=float, help="From 0 to 2; small is predictable."),
    click.option("--top-p", type=float, help="From 0 to 1."),
    click.option("--top-k", type=int, help="Choose among so many tokens."),
    click.option("--max-tokens", type=int, help="How many tokens the answer may have."),
    click.option("--stop", multiple=True, metavar="TEXT", help="A text that ends the answer; may be repeated."),
    click.option("--seed", type=int, help="The same seed, the same answer, where the model can."),
    click.option("--presence-penalty", type=float, help="From -2 to 2."),
    click.option("--frequency-penalty", type=float, help="From -2 to 2."),
    click.option("--reasoning-effort", metavar="LEVEL", help="Such as low, medium or high."),
    click.option("--width", type=int, help="Of a picture, in pixels."),
    click.option("--height", type=int, help="Of a picture, in pixels."),
    click.option("--aspect-ratio", metavar="W:H", help="Of a picture, such as 16:9."),
    click.option("--max-input-chars", type=int, help="Leave out the oldest messages beyond so many characters."),
    click.option(
        "-O",
        "--option",
        "options",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_pairs,
        help="A setting of the provider's own; the value is read as JSON where it is some. May be repeated.",
    ),
    click.option(
        "-x",
        "--extra",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_pairs,
        help="A field for the upstream's request as it is; values as with -O. May be repeated.",
    ),
)


def parameters(function: F) -> F:
    """Give a command the options that are parameters of a request."""
    for option in reversed(_PARAMETERS):
        function = option(function)
    return function


def take_parameters(values: dict[str, Any]) -> dict[str, Any]:
    """Take the request's parameters out of a command's values and return those that were given."""
    taken = {name: values.pop(name) for name in PARAMETERS if name in values}
    return {name: value for name, value in taken.items() if value is not None and value not in ((), {})}


def target(*names: str, **settings: Any) -> Callable[[F], F]:
    """Return an option that takes a file to be written."""
    kind = click.Path(dir_okay=False, writable=True, path_type=Path)
    return click.option(*names, type=kind, callback=_target, metavar="FILE", **settings)


sandboxed = click.option(
    "--sandbox", is_flag=True, help="Talk to the plugins' sandboxes on this machine: no key, no internet."
)


@contextmanager
def _shown_log() -> Iterator[None]:
    log, handler = logging.getLogger("core_chat"), logging.StreamHandler()
    level = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _flag(name: str) -> Callable[[click.Context, click.Parameter, bool], bool]:
    def keep(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - click's
        if value:
            setattr(context.obj, name, True)
            if name == "debug":
                context.with_resource(_shown_log())
        return value

    return keep


debug = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_flag("debug"),
    help="Show tracebacks and the log.",
)


def as_json(help_text: str) -> Callable[[F], F]:
    """Return the option `--json`; errors are then written as JSON too."""
    return click.option("--json", "as_json", is_flag=True, is_eager=True, callback=_flag("as_json"), help=help_text)
