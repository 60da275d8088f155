"""`core-chat chat`: one answer, or a conversation at the terminal."""

import sys
from typing import Any

import click

from core_chat.cli import options
from core_chat.cli.session import Settings, answer_once
from core_chat.cli.talk import talk
from core_chat.cli.terminal import is_terminal
from core_chat.errors import InvalidRequestError


@click.command()
@click.argument("message", required=False)
@click.option(
    "-m",
    "--model",
    envvar="CORE_CHAT_MODEL",
    show_envvar=True,
    help="PROVIDER:MODEL, PROVIDER: for its default model, or a bare model name.",
)
@click.option("-s", "--system", metavar="TEXT", help="How the model is to behave.")
@click.option(
    "-i", "--image", "images", multiple=True, metavar="FILE|URL", help="A picture to look at; may be repeated."
)
@options.parameters
@click.option("--strict", is_flag=True, help="Fail where a parameter cannot be honoured, instead of saying so.")
@options.target("-o", "--output", help="Write the picture that the model makes to this file.")
@options.target("--conversation", help="Go on with the conversation saved in this file, and save it there.")
@options.sandboxed
@click.option("--proxy", metavar="URL", help="An http(s):// or socks5:// proxy.")
@click.option("--timeout", type=float, metavar="SECONDS", help="For the whole answer.")
@click.option("--reasoning/--no-reasoning", default=None, help="Show the model's reasoning on standard error.")
@click.option("-q", "--quiet", is_flag=True, help="Hide the route and the notices.")
@options.as_json("Write every event as a line of JSON.")
@options.debug
def chat(message: str | None, **values: Any) -> None:
    """Ask a model and stream its answer.

    The message is the argument, standard input (or "-"), or both, the argument first. Without either, at a terminal,
    a conversation begins: Ctrl-D leaves it, Ctrl-C stops an answer.
    """
    settings = Settings(parameters=options.take_parameters(values), **values)
    text = read_message(message)
    if text is not None:
        answer_once(settings, text)
    elif message is None and is_terminal(sys.stdin) and is_terminal(sys.stdout):
        if settings.as_json or settings.output is not None:
            raise click.UsageError("--json and --output need a message")
        talk(settings)
    else:
        raise click.UsageError("there is no message: give it as the argument or on standard input")


def read_message(given: str | None) -> str | None:
    """Return the argument and the text on standard input, as far as there are any, with a blank line between.

    Standard input is read when it is "-" or when it is piped; the end of its last line is left out.

    Raises:
        InvalidRequestError: What is on standard input is no UTF-8.
    """
    wanted = given == "-"
    parts = [] if given is None or wanted else [given]
    if sys.stdin is not None and (wanted or not is_terminal(sys.stdin)):
        try:
            piped = sys.stdin.buffer.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidRequestError("the text on standard input is no UTF-8", parameter="messages") from error
        piped = piped.removesuffix("\n").removesuffix("\r")
        if piped.strip():
            parts.append(piped)
    return "\n\n".join(parts) if parts else None
