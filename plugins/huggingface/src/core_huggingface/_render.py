"""The process that renders one untrusted chat template, and then ends: one JSON document in, one out.

`templates` runs this file as a script, isolated and with an empty environment. Limits are set after the libraries are
loaded and before the template is looked at: the kernel ends a process that computes too long or wants too much memory,
and no file, socket or process can be opened any more, so that a way out of jinja2's sandbox would lead nowhere.
"""

import contextlib
import datetime as dt
import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from jinja2 import Environment

OLDEST_JINJA = (3, 1, 6)
"""Older versions have known ways out of their sandbox."""
_LONGEST_DETAIL = 500
_WARM_UP = (
    "{% macro m(x) %}{{ x|trim }}{% endmacro %}{% for i in items %}{{ m('\\N{DASH}é\\n') }}{{ i|tojson }}{% endfor %}",
    "{{ strftime_now('%d %b %Y') }}{{ items|map(attribute='a')|join|urlencode }}{{ items|pprint }}",
    "{{ raise_exception('no') }}",
    "{{ nothing.at_all }}",
    "{% broken",
)


class _TooLongError(Exception):
    """The output passed its limit."""


class _RefusedError(Exception):
    """The template does not want these messages, and says why."""


def _environment() -> "Environment":
    """Return the environment that chat templates are written for: transformers' own settings, filter and functions."""
    from jinja2 import Undefined, nodes
    from jinja2.exceptions import SecurityError
    from jinja2.ext import Extension
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}`: marks what a model is trained on, and means nothing to a prompt."""

        tags = frozenset({"generation"})  # type: ignore[assignment]  # jinja2 declares a mutable set

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)

    class Environment(ImmutableSandboxedEnvironment):
        """Raises where the sandbox would write nothing in the place of an internal name."""

        def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
            if attribute.startswith("_"):
                raise SecurityError(f"access to {attribute!r} of a {type(obj).__name__}")
            return super().unsafe_undefined(obj, attribute)

    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = _to_json
    environment.globals.update(raise_exception=_raise_exception, strftime_now=_strftime_now)
    return environment


def _warm_up(environment: "Environment") -> None:
    """Make jinja2 and Python load what they load on first use, before no file can be opened any more."""
    from jinja2 import constants  # noqa: F401 - lipsum() loads it

    for template in _WARM_UP:
        with contextlib.suppress(Exception):
            environment.from_string(template).render(items=[{"a": "é"}])


def _to_json(  # noqa: PLR0917 - the order transformers gives its filter, which templates may rely on
    value: Any,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002 - templates pass it so
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002 - as above
) -> str:
    """Replace jinja2's filter, which escapes HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> NoReturn:
    raise _RefusedError(message)


def _strftime_now(pattern: str) -> str:
    return dt.datetime.now().astimezone().strftime(pattern)


def _limit(*, seconds: int, memory: int) -> None:
    """Let the kernel end this process when it passes a limit, where it can; the parent's clock is always there."""
    try:
        import resource
    except ImportError:
        return
    wanted = {
        "RLIMIT_CPU": (seconds, seconds + 1),
        "RLIMIT_AS": (memory, memory),
        "RLIMIT_NOFILE": (0, 0),
        "RLIMIT_NPROC": (0, 0),
        "RLIMIT_FSIZE": (0, 0),
        "RLIMIT_CORE": (0, 0),
    }
    for name, limits in wanted.items():
        try:
            resource.setrlimit(getattr(resource, name), limits)
        except (AttributeError, ValueError, OSError):
            continue


def _render(environment: "Environment", *, template: str, variables: dict[str, Any], longest: int) -> str:
    pieces: list[str] = []
    size = 0
    for piece in environment.from_string(template).generate(variables):
        pieces.append(piece)
        size += len(piece)
        if size > longest:
            raise _TooLongError
    return "".join(pieces)


def _answer(job: dict[str, Any]) -> dict[str, str]:
    """Return the rendered text, or which way it failed and what there is to say about it."""
    import jinja2

    if tuple(int(part) for part in jinja2.__version__.split(".")[:3] if part.isdecimal()) < OLDEST_JINJA:
        return {"failure": "version", "detail": jinja2.__version__}
    environment = _environment()
    _warm_up(environment)
    _limit(seconds=job["seconds"], memory=job["memory"])
    try:
        text = _render(environment, template=job["template"], variables=job["variables"], longest=job["characters"])
    except Exception as error:  # noqa: BLE001 - whatever a template raises is told to the parent
        detail = str(error) if isinstance(error, _RefusedError) else f"{type(error).__name__}: {error}"
        return {"failure": _kind(error), "detail": detail[:_LONGEST_DETAIL]}
    return {"text": text}


def _kind(error: Exception) -> str:
    from jinja2.exceptions import SecurityError, TemplateSyntaxError

    kinds: dict[type[Exception], str] = {
        _RefusedError: "refused",
        _TooLongError: "output",
        MemoryError: "memory",
        SecurityError: "security",
        TemplateSyntaxError: "syntax",
    }
    return next((name for kind, name in kinds.items() if isinstance(error, kind)), "error")


def main() -> None:
    """Read the job, answer it, end."""
    job = json.loads(sys.stdin.buffer.read())
    sys.path.extend(job["path"])
    sys.stdout.write(json.dumps(_answer(job)))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
