"""`core-chat sandbox`: serve the plugins' sandboxes for a host application."""

import asyncio
from collections.abc import Mapping
from typing import Any

import click

from core_chat.cli import options
from core_chat.cli.errors import ExitCode, TerminatedError
from core_chat.cli.opening import run_async, running_sandboxes
from core_chat.cli.render import write_json
from core_chat.cli.terminal import end_interrupted_line, say


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Of the first sandbox; the next ones get those after it. Any free ones by default.",
)
@options.as_json("Write the settings as one line of JSON.")
@options.debug
def sandbox(names: tuple[str, ...], port: int, *, as_json: bool) -> int:
    """Serve the plugins' sandboxes on this machine until Ctrl-C.

    Prints for every provider the settings with which a host application reaches its sandbox:
    Registry(config=SETTINGS).
    """
    try:
        run_async(_serve(names, port=port, as_json=as_json))
    except KeyboardInterrupt:
        end_interrupted_line()
    except TerminatedError:
        pass
    return ExitCode.OK


async def _serve(names: tuple[str, ...], *, port: int, as_json: bool) -> None:
    async with running_sandboxes(names, say=say, port=port) as config:
        if as_json:
            write_json(config)
        else:
            _show(config)
            say("Ctrl-C stops the sandboxes.")
        await asyncio.Event().wait()


def _show(config: Mapping[str, Mapping[str, Any]]) -> None:
    for provider, settings in config.items():
        click.echo(provider)
        for name, value in settings.items():
            click.echo(f"  {name}: {value}")
