"""What every command needs: a registry (of sandboxes, if asked), and an event loop that ends in order on a signal."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

import click

from core_chat.cli.errors import TerminatedError
from core_chat.errors import CoreError, PluginError
from core_chat.models import ModelInfo
from core_chat.registry import Registry
from core_chat.sandbox import sandbox_names, sandboxes

T = TypeVar("T")
_FIRST = "replicate"


def run_async(work: Coroutine[Any, Any, T], *, runner: asyncio.Runner | None = None) -> T:
    """Run a coroutine to its end; Ctrl-C, SIGTERM and SIGHUP cancel it, so that it can tell its upstream.

    Raises:
        KeyboardInterrupt: Ctrl-C ended it.
        TerminatedError: Another signal did.
    """
    if runner is not None:
        return runner.run(_until_signal(work))
    with asyncio.Runner() as own:
        return own.run(_until_signal(work))


async def _until_signal(work: Coroutine[Any, Any, T]) -> T:
    caught: list[int] = []
    with _cancelled_by_signals(caught):
        try:
            return await work
        except asyncio.CancelledError:
            if caught:
                raise TerminatedError(caught[0]) from None
            raise


@contextmanager
def _cancelled_by_signals(caught: list[int]) -> Iterator[None]:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What is ignored stays ignored: nohup asked for that.
    numbers = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]

    def cancel(number: int) -> None:
        caught.append(number)
        if task is not None:
            task.cancel()

    # Windows has no such handlers, and threads other than the main one may set none.
    with suppress(NotImplementedError, RuntimeError, ValueError):
        for number in numbers:
            loop.add_signal_handler(number, cancel, number)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            for number in numbers:
                loop.remove_signal_handler(number)


@asynccontextmanager
async def running_sandboxes(
    names: Sequence[str] = (), *, say: Callable[[str], None], port: int = 0
) -> AsyncIterator[dict[str, dict[str, Any]]]:
    """Start the named sandboxes, or all that are installed and allowed; of all, one that fails is told and left out.

    Raises:
        PluginError: A named one failed, or none is there.
    """
    config: dict[str, dict[str, Any]] = {}
    failed: list[PluginError] = []
    async with AsyncExitStack() as stack:
        for offset, name in enumerate(names or _allowed_sandboxes()):
            try:
                config |= await stack.enter_async_context(sandboxes([name], port=port and port + offset))
            except PluginError as error:
                if names:
                    raise
                failed.append(error)
        if not config:
            raise failed[0] if failed else PluginError("no installed plugin has a sandbox")
        for left_out in failed:
            say(f"{left_out}")
        yield config


def _allowed_sandboxes() -> list[str]:
    plugins = Registry().plugins
    return [name for name in sandbox_names() if name not in plugins or plugins[name].status != "blocked"]


@asynccontextmanager
async def open_registry(
    *, sandbox: bool, say: Callable[[str], None], proxy: str | None = None
) -> AsyncIterator[Registry]:
    """Open a registry; with `sandbox` it knows only the sandboxed providers, so that nothing leaves this machine.

    Raises:
        UsageError: A sandbox and a proxy were asked for.
        CoreError: The registry or its sandboxes cannot be opened.
    """
    if not sandbox:
        async with Registry(proxy=proxy) as registry:
            yield registry
        return
    if proxy is not None:
        raise click.UsageError("--sandbox stays on this machine and takes no --proxy")
    async with running_sandboxes(say=say) as config:
        allowed = [name for name, plugin in Registry().plugins.items() if plugin.status != "blocked"]
        async with Registry(config=config, only=[name for name in allowed if name in config]) as registry:
            yield registry


def choose_model(registry: Registry, model: str | None, *, sandbox: bool) -> ModelInfo:
    """Return the model to ask: the one that was named, or with `sandbox` the first provider's default.

    Raises:
        UsageError: None was named, or a provider without a sandbox.
        CoreError: It cannot be resolved.
    """
    there = [name for name, plugin in registry.plugins.items() if plugin.status in ("available", "loaded")]
    listed = ", ".join(f"{name}:" for name in there) or "none"
    if model is not None:
        provider, colon, _ = model.partition(":")
        if sandbox and colon and provider in registry.plugins and provider not in there:
            raise click.UsageError(f"there is no sandbox for {provider}; --sandbox has {listed}")
        return registry.resolve(model)
    if sandbox:
        for name in sorted(there, key=lambda name: name != _FIRST):
            with suppress(CoreError):
                return registry.resolve(f"{name}:")
    raise click.UsageError(
        "no model is named: give -m PROVIDER:MODEL (-m PROVIDER: is its default) or set CORE_CHAT_MODEL; "
        f"installed providers: {listed}"
    )
