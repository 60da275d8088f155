"""Telling an error, as the options of the command want it told."""

import sys

import click
from attrs import define

from core_chat.cli.errors import as_json, describe, exit_code
from core_chat.cli.render import write_json
from core_chat.cli.terminal import complain


@define
class Flags:
    """What the options say about errors: whether to show tracebacks, and whether to write JSON."""

    debug: bool = False
    as_json: bool = False


def report(error: Exception, flags: Flags) -> int:
    """Say what went wrong and return the exit code for it."""
    if flags.debug:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
    elif flags.as_json:
        write_json(as_json(error))
    else:
        complain(*describe(error))
    return exit_code(error)
