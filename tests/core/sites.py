"""Installed plugins that are not: distributions written into a folder of the import path."""

import itertools
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GOOD = """
from core_chat import Finish, ModelInfo, TextDelta, hookimpl

class Plugin:
    def __init__(self, greeting="hello", token=None):
        self.greeting = greeting

    @hookimpl
    def resolve_model(self, name):
        return ModelInfo(name or "default") if name in ("", "default", "{name}-1") else None

    @hookimpl
    async def stream_chat(self, request):
        yield TextDelta(self.greeting)
        yield Finish("stop")
"""

_NUMBERS = itertools.count()


class Site:
    """A folder with distributions, each with one module that nobody has imported yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: dict[str, str] = {}

    def install(
        self,
        name: str,
        source: str = GOOD,
        *,
        distribution: str | None = None,
        version: str = "1.0",
        attribute: str = ":Plugin",
        entries: str | None = None,
    ) -> str:
        """Install a provider under a name, and return its module's name."""
        distribution = distribution or f"dist-{name}"
        module = f"fake_plugin_{next(_NUMBERS)}"
        self.modules[name] = module
        (self.folder / f"{module}.py").write_text(textwrap.dedent(source).replace("{name}", name), encoding="utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        if entries is None:
            entries = f"[core_chat.providers]\n{name} = {module}{attribute}\n"
        (info / "entry_points.txt").write_text(entries, encoding="utf-8")
        return module

    def imported(self) -> set[str]:
        """The names whose module has been imported."""
        return {name for name, module in self.modules.items() if module in sys.modules}


@contextmanager
def fake_site(folder: Path) -> Iterator[Site]:
    """Put a site first on the import path; its modules are forgotten afterwards."""
    site = Site(folder)
    sys.path.insert(0, str(folder))
    try:
        yield site
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name in site.modules.values()]:
            del sys.modules[name]
