"""Runs a scenario so that a provider that blocks or never ends fails its test instead of hanging it."""

import asyncio
import contextvars
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest import mock

_TURNS = 10
Scenario = Callable[[], Coroutine[Any, Any, None]]


def require(condition: object, law: str) -> None:
    """Fail with the law's sentence unless the condition holds."""
    __tracebackhide__ = True
    if not condition:
        raise AssertionError(law)


def skip(reason: str) -> NoReturn:
    """Skip the running test; pytest is needed from here on only."""
    import pytest

    pytest.skip(reason)


async def turn() -> None:
    """Let the event loop turn a few times: for a cancelled task to end, for a connection to be seen."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def run(scenario: Scenario, *, deadline: float) -> None:
    """Run a scenario in an event loop of its own, in a thread of its own, for `deadline` seconds at most.

    Raises:
        AssertionError: The scenario took longer, or something in it blocked the event loop.
    """
    failures: list[BaseException] = []

    def work() -> None:
        blocked: list[str] = []
        try:
            with _refusing_blocking_calls(blocked):
                asyncio.run(_limited(scenario, deadline))
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread of the test
            failures.append(error)
        if blocked:
            failures.insert(0, AssertionError(f"the event loop was blocked by {blocked[0]}"))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    thread.start()
    thread.join(1.5 * deadline)
    if thread.is_alive():
        raise AssertionError(f"the event loop did not turn for {deadline / 2:g} s, being blocked at:\n{_stack(thread)}")
    if failures:
        raise failures[0]


async def _limited(scenario: Scenario, deadline: float) -> None:
    try:
        async with asyncio.timeout(deadline) as limit:
            await scenario()
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise AssertionError(f"the provider did not come to an end within {deadline:g} s") from error


def _stack(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented, and nothing else tells
    return "".join(traceback.format_stack(frame)[-4:]) if frame else "(no Python frame)"


class _Watched(threading.local):
    """Per thread: where the calls that were refused are noted, or None where calls may block."""

    blocked: list[str] | None = None

    def check(self, call: str) -> None:
        """Refuse a call in a thread that must not block, and note who made it."""
        if self.blocked is not None:
            callers = reversed(traceback.extract_stack(limit=6)[:-2])
            places = (f"{caller.name} ({caller.filename}:{caller.lineno})" for caller in callers)
            self.blocked.append(f"{call} in {', called from '.join(places)}")
            raise AssertionError(f"{call} blocks the event loop")


_watched = _Watched()


@contextmanager
def _refusing_blocking_calls(blocked: list[str]) -> Iterator[None]:
    """Refuse, in this thread, the calls that block an event loop most often."""
    sleep, connect = time.sleep, socket.socket.connect

    def checked_sleep(seconds: float) -> None:
        _watched.check("time.sleep")
        sleep(seconds)

    def checked_connect(self: socket.socket, address: Any) -> None:
        if self.gettimeout() != 0:
            _watched.check("a blocking socket's connect")
        connect(self, address)

    _watched.blocked = blocked
    with mock.patch.object(time, "sleep", checked_sleep), mock.patch.object(socket.socket, "connect", checked_connect):
        yield
