"""The group of commands, and running one so that every ending has its exit code."""

import os
import sys
from collections.abc import Sequence

import click

import core_chat as library
from core_chat.cli.chat import chat
from core_chat.cli.errors import ExitCode
from core_chat.cli.lists import models, plugins
from core_chat.cli.report import Flags, report
from core_chat.cli.sandbox import sandbox
from core_chat.cli.terminal import discard_output, end_interrupted_line, replace_closed_streams

_NAME = "core-chat"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(library.__version__, prog_name=_NAME)
def core_chat() -> None:
    """Chat with the models of every installed provider plugin."""


for _command in (chat, models, plugins, sandbox):
    core_chat.add_command(_command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (this process's own by default) and return its exit code."""
    flags = Flags()
    replace_closed_streams()
    try:
        try:
            code = _invoke(sys.argv[1:] if arguments is None else list(arguments), flags)
        except Exception as error:
            if isinstance(error, BrokenPipeError | click.Abort):
                raise
            code = report(error, flags)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        end_interrupted_line()
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        discard_output()
        return ExitCode.OUTPUT_CLOSED
    return code


def _invoke(arguments: list[str], flags: Flags) -> int:
    if "_CORE_CHAT_COMPLETE" in os.environ:
        core_chat.main(arguments, prog_name=_NAME)
    try:
        with core_chat.make_context(_NAME, arguments, obj=flags) as context:
            code: int | None = core_chat.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    return code or ExitCode.OK
