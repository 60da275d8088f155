"""Telling an error, as the options of the command want it told."""

import os
import re

import click
from attrs import define

from core_chat.cli.errors import as_json, describe, exit_code
from core_chat.cli.render import write_json
from core_chat.cli.terminal import complain

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
_SHORTEST = 6


@define
class Flags:
    """What the options say about errors: whether to show tracebacks, and whether to write JSON."""

    debug: bool = False
    as_json: bool = False


def redacted(text: str) -> str:
    """Return a traceback without the keys of the environment: people paste it, and others wrote its errors' texts."""
    from core_chat.http import redact

    keys = [value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= _SHORTEST]
    keys.sort(key=len, reverse=True)
    return redact(text, keys)


def report(error: Exception, flags: Flags) -> int:
    """Say what went wrong and return the exit code for it."""
    if flags.debug:
        import traceback

        click.echo(redacted("".join(traceback.format_exception(error))), err=True, nl=False)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
    elif flags.as_json:
        write_json(as_json(error))
    else:
        complain(*describe(error))
    return exit_code(error)
