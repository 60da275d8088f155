"""`core-chat models` and `core-chat plugins`: what there is."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import click

from core_chat.cli import options
from core_chat.cli.errors import ExitCode, describe
from core_chat.cli.errors import as_json as error_as_json
from core_chat.cli.opening import open_registry, run_async
from core_chat.cli.render import write_json
from core_chat.cli.table import print_table
from core_chat.cli.terminal import one_line, say
from core_chat.errors import CoreError
from core_chat.models import About, Catalog, ModelInfo, Plugin
from core_chat.registry import Registry


@click.command()
@click.argument("provider", required=False)
@click.option("--search", metavar="WORDS", help="Only models whose name or title holds these words.")
@click.option("--task", help="Only models for this task, such as chat or text-to-image.")
@click.option("--refresh", is_flag=True, help="Ask the providers even where a list is kept.")
@options.sandboxed
@click.option("--proxy", metavar="URL", help="An http(s):// or socks5:// proxy.")
@options.as_json("Write one JSON object: models, failures, stale.")
@options.debug
def models(*, as_json: bool, **wanted: Any) -> int:
    """List the models of PROVIDER, or of all installed providers.

    A provider that fails is told on standard error and never hides the others.
    """
    catalog = run_async(_list_models(**wanted))
    if as_json:
        write_json(_catalog_as_json(catalog))
    else:
        print_table(("MODEL", "TASKS", "DEFAULT", "CONTEXT", "TITLE"), [_model_row(model) for model in catalog.models])
        _show_failures(catalog)
    return ExitCode.OK if catalog.models else ExitCode.FAILED


async def _list_models(*, sandbox: bool, proxy: str | None, **wanted: Any) -> Catalog:
    async with open_registry(sandbox=sandbox, say=say, proxy=proxy) as registry:
        return await registry.models(**wanted)


def _model_row(model: ModelInfo) -> tuple[str, ...]:
    tasks = ", ".join(sorted(model.tasks or ()))
    default = "default" if model.is_default else ""
    return (model.full_name, tasks, default, str(model.context or ""), model.title or "")


def _catalog_as_json(catalog: Catalog) -> dict[str, Any]:
    return {
        "models": [{"full_name": model.full_name, **attrs.asdict(model)} for model in catalog.models],
        "failures": {name: error_as_json(error) for name, error in catalog.failures.items()},
        "stale": catalog.stale,
    }


def _show_failures(catalog: Catalog) -> None:
    for name in sorted(catalog.stale):
        say(f"{name}: an older list, since it could not be refreshed")
    for name, error in catalog.failures.items():
        text, advice = describe(error)
        say(text if text.startswith(name) else f"{name}: {text}", dim=False)
        if advice:
            say(f"  {advice}", dim=False)
    if not catalog.models and not catalog.failures:
        say("no models were found", dim=False)


@click.command()
@click.option("--long", is_flag=True, help="Load each plugin and show what it says about itself.")
@options.as_json("Write a JSON list.")
@options.debug
def plugins(*, long: bool, as_json: bool) -> None:
    """List the installed provider plugins and their state."""
    found = run_async(_list_plugins(load=long))
    if as_json:
        write_json([_plugin_as_json(plugin) for plugin in found])
    elif long:
        for line in (line for plugin in found for line in _plugin_lines(plugin)):
            click.echo(line)
    else:
        headings = ("PROVIDER", "STATUS", "ERROR", "DISTRIBUTION", "VERSION")
        print_table(headings, [_plugin_row(plugin) for plugin in found], wrap=True)
    if not found:
        say("no provider plugin is installed; one is, for example: pip install core-replicate", dim=False)


async def _list_plugins(*, load: bool) -> Sequence[Plugin]:
    """Return the plugins; loading goes on past one that fails, whose state then says why."""
    async with Registry() as registry:
        return [_load(registry, plugin) if load else plugin for plugin in registry.plugins.values()]


def _load(registry: Registry, plugin: Plugin) -> Plugin:
    if plugin.status != "available":
        return plugin
    try:
        return registry.load(plugin.name)
    except CoreError as error:
        return attrs.evolve(registry.plugins[plugin.name], error=error)


def _error(plugin: Plugin) -> str:
    return "" if plugin.error is None else describe(plugin.error)[0]


def _plugin_row(plugin: Plugin) -> tuple[str, ...]:
    return (plugin.name, plugin.status, _error(plugin), plugin.distribution or "", plugin.version or "")


def _plugin_as_json(plugin: Plugin) -> dict[str, Any]:
    found = attrs.asdict(plugin)
    return found | {"error": None if plugin.error is None else error_as_json(plugin.error)}


def _plugin_lines(plugin: Plugin) -> Iterator[str]:
    origin = f" ({plugin.distribution} {plugin.version})" if plugin.distribution else ""
    yield f"{plugin.name}: {plugin.status}{origin}"
    facts = {} if plugin.about is None else _facts(plugin.about)
    for name, value in {"error": _error(plugin), **facts}.items():
        if value:
            yield f"  {name + ':':<15} {one_line(value)}"


def _facts(about: About) -> Mapping[str, str | None]:
    needed = "needed" if about.needs_key else "optional"
    known = "set" if about.key_variable and os.environ.get(about.key_variable) else "not set"
    return {
        "about": about.label,
        "home": about.home,
        "key": f"{about.key_variable} ({needed}, {known})" if about.key_variable else f"{needed}",
        "key page": about.key_page,
        "default model": about.default_model,
        "streams": _yes(about.streams),
        "system text": _yes(about.system_messages),
        "history": _yes(about.message_history),
        "terms": about.terms,
    }


def _yes(value: bool) -> str:  # noqa: FBT001 - the one value it is about
    return "yes" if value else "no"
