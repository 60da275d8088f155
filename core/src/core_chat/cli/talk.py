"""The conversation at the terminal."""

import asyncio
from contextlib import AsyncExitStack, suppress

import click

from core_chat.cli.opening import run_async
from core_chat.cli.report import Flags, report
from core_chat.cli.session import Session, Settings, open_session
from core_chat.errors import CoreError

_PROMPT = "> "


def talk(settings: Settings) -> None:
    """Ask for messages and answer them until Ctrl-D; an answer that fails or is stopped leaves the conversation as is.

    The event loop runs while an answer comes and rests at the prompt, which so has the terminal to itself.
    """
    with suppress(ImportError):  # where it exists, it lets input() edit lines
        import readline  # noqa: F401 - imported for its effect
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            session = run_async(stack.enter_async_context(open_session(settings)), runner=runner)
            settings.say(f"{session.model.full_name} - Ctrl-D leaves, Ctrl-C stops an answer")
            while (message := _ask()) is not None:
                if message.strip():
                    _answer(session, message, runner=runner)
        finally:
            runner.run(stack.aclose())


def _ask() -> str | None:
    """Return the next message, or None when the person leaves."""
    try:
        return input(_PROMPT)
    except EOFError:
        click.echo(err=True)
        return None
    except KeyboardInterrupt:
        click.echo(err=True)
        return ""


def _answer(session: Session, message: str, *, runner: asyncio.Runner) -> None:
    try:
        run_async(session.answer(message), runner=runner)
    except KeyboardInterrupt:
        session.settings.say("stopped")
    except (CoreError, OSError) as error:
        report(error, click.get_current_context().find_object(Flags) or Flags())
