"""What packages say they hold, what importing them costs, and that each module stands on its own."""

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

GATHERING = ("core_chat", "core_chat.http", "core_chat.testing", "core_chat.openai")
PROJECT = ("core_chat", "core_replicate", "core_allenai", "core_huggingface")


def packages() -> Iterator[str]:
    """The names of all packages of the project that are installed."""
    for root in PROJECT:
        try:
            package = importlib.import_module(root)
        except ModuleNotFoundError:
            continue
        yield root
        for found in pkgutil.walk_packages(package.__path__, f"{root}."):
            if found.ispkg:
                yield found.name


def public_names(package: ModuleType) -> set[str]:
    """What a package itself defines; those that only gather are held to all that they import."""
    found = {name: value for name, value in vars(package).items() if not name.startswith("_")}
    homes = {
        name: str(getattr(value, "__module__", "")) for name, value in found.items() if not inspect.ismodule(value)
    }
    if package.__name__ in GATHERING:
        return {name for name, home in homes.items() if home.partition(".")[0] in PROJECT}
    return {name for name, home in homes.items() if home == package.__name__}


def rank(name: str) -> tuple[int, str]:
    """The order ruff keeps: constants, classes, the rest."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("name", list(packages()))
def test_all_is_sorted_and_honest(name: str) -> None:
    """Every name in `__all__` is there, each once, in order; what is offered otherwise is in it."""
    package = importlib.import_module(name)
    listed: list[str] = getattr(package, "__all__", [])
    assert list(listed) == sorted(set(listed), key=rank)
    assert [missing for missing in listed if not hasattr(package, missing)] == []
    assert public_names(package) - set(listed) == set()
    assert package.__doc__


def run(code: str) -> object:
    """What a new interpreter prints as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_importing_the_core_imports_no_network_library() -> None:
    """`import core_chat`, a registry and a look-up are fast: aiohttp and the CLI's libraries come when needed."""
    code = """
import json, sys
import core_chat
registry = core_chat.Registry(only=[])
class Provider:
    @core_chat.hookimpl
    def resolve_model(self, name):
        return core_chat.ModelInfo(name or "m")
    @core_chat.hookimpl
    async def stream_chat(self, request):
        yield core_chat.Finish("stop")
registry.register(Provider(), "p")
assert registry.resolve("p:").full_name == "p:m"
heavy = ("aiohttp", "yarl", "multidict", "msgspec", "click", "rich", "pytest", "hashlib", "jinja2", "difflib")
print(json.dumps([name for name in heavy if name in sys.modules]))
"""
    assert run(code) == []


def test_modules_can_be_imported_alone() -> None:
    """No module of the core needs another one to have been imported first."""
    modules = [
        f"core_chat.{found.name}" for found in pkgutil.iter_modules(importlib.import_module("core_chat").__path__)
    ]
    modules += [
        f"core_chat.http.{found.name}"
        for found in pkgutil.iter_modules(importlib.import_module("core_chat.http").__path__)
    ]
    code = f"""
import importlib, json, sys
failed = []
for name in {[name for name in modules if not name.endswith("__main__")]!r}:
    for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == "core_chat"]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(f"{{name}}: {{error!r}}")
print(json.dumps(failed))
"""
    assert run(code) == []


def test_the_loggers_say_nothing_by_themselves() -> None:
    """A host that sets up no logging sees nothing of ours on its terminal."""
    code = """
import json, logging
import core_chat
assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("core_chat").handlers)
logging.getLogger("core_chat.replicate").warning("to be heard by nobody")
print(json.dumps("quiet"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (json.loads(done.stdout), done.stderr) == ("quiet", "")
