"""Sandboxes: emulators of upstreams on loopback, shipped by the plugins and found through entry points.

A sandbox is a callable `sandbox(*, port=0)` in the entry-point group `core_chat.sandboxes`; it returns an async context
manager that yields `{provider name: constructor arguments}`.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, TypeAlias

from core_chat._entries import installed, source_of
from core_chat.errors import CoreError, PluginConflictError, PluginError
from core_chat.hooks import SANDBOXES

if TYPE_CHECKING:
    from aiohttp import web

Sandbox: TypeAlias = Callable[..., AbstractAsyncContextManager[Mapping[str, Mapping[str, Any]]]]


@asynccontextmanager
async def serve(application: "web.Application", *, port: int = 0) -> AsyncIterator[str]:
    """Serve an aiohttp application on 127.0.0.1 and yield its origin; port 0 is any free one.

    Handlers of clients that go away are cancelled, so a sandbox can see a caller leave.
    """
    from aiohttp import web

    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.5, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def canned_answer(prompt: str) -> list[str]:
    """Return the pieces of a sandbox's answer: that it is canned, and the prompt, so that both ways are seen."""
    words = f"This is a canned answer from the sandbox; no model was asked. You wrote: {prompt}".split(" ")
    return [words[0], *(f" {word}" for word in words[1:])]


def sandbox_names() -> list[str]:
    """Return the names of the installed sandboxes; imports none."""
    return sorted({entry.name for entry in installed(SANDBOXES)})


@asynccontextmanager
async def sandboxes(only: Iterable[str] | None = None, *, port: int = 0) -> AsyncIterator[dict[str, dict[str, Any]]]:
    """Start the installed sandboxes (or those named) and yield the `config` for a `Registry` that talks to them.

    The first one is served on `port` and the next ones on the ports after it; 0 is any free port for each.

    Raises:
        PluginError: A sandbox cannot be loaded or started, or a name is not installed.
        PluginConflictError: Two distributions have a sandbox of that name.
    """
    found: dict[str, list[EntryPoint]] = {}
    for entry in installed(SANDBOXES):
        found.setdefault(entry.name, []).append(entry)
    names = sorted(found) if only is None else list(only)
    async with AsyncExitStack() as stack:
        config: dict[str, dict[str, Any]] = {}
        for offset, name in enumerate(names):
            if name not in found:
                raise PluginError(
                    f"no installed plugin has a sandbox {name!r}; there are: {', '.join(sorted(found)) or 'none'}"
                )
            sandbox = _load(found[name], name)
            try:
                arguments = await stack.enter_async_context(sandbox(port=port and port + offset))
                config.update({provider: dict(values) for provider, values in arguments.items()})
            except CoreError:
                raise
            except Exception as error:
                told = str(error) if isinstance(error, OSError) else type(error).__name__
                raise PluginError(f"the sandbox {name!r} cannot be started: {told}", plugin=name) from error
        yield config


def _load(entries: list[EntryPoint], name: str) -> Sandbox:
    if len(entries) > 1:
        who = " and ".join(sorted(map(source_of, entries)))
        raise PluginConflictError(f"{who} both have a sandbox {name!r}: uninstall one of them", plugin=name)
    try:
        sandbox: Sandbox = entries[0].load()
    except (Exception, SystemExit) as error:
        raise PluginError(f"the sandbox {name!r} cannot be loaded: {error!r}", plugin=name) from error
    return sandbox
