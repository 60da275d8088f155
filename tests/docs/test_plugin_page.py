"""The plugin of the documentation is built as the page says, and keeps the contract."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests import pages

from core_chat import Registry

FILES = pages.files(pages.read("docs/plugins.md"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Write the page's files, and the metadata that installing them would."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    metadata = tmp_path / "core_parrot-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: core-parrot\nVersion: 0.1.0\n")
    groups = re.findall(r'^\[project\.entry-points\."(.+)"\]\n(.*)$', FILES["pyproject.toml"], re.MULTILINE)
    (metadata / "entry_points.txt").write_text(
        "".join(f"[{group}]\n{entry.replace(chr(34), '')}\n" for group, entry in groups)
    )
    return tmp_path


def test_the_plugin_passes_the_contract(project: Path) -> None:
    """The page's own test file passes in the page's own project, warnings being errors."""
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:asyncio", "test_parrot.py"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d\d+ passed", done.stdout), done.stdout


async def test_the_plugin_is_found_and_chats_with_its_sandbox(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once installed, the plugin is in the registry and answers from its sandbox."""
    monkeypatch.syspath_prepend(str(project))
    import core_parrot_sandbox  # type: ignore[import-not-found]  # written from the page a moment ago

    async with core_parrot_sandbox.sandbox() as config, Registry(config=config) as registry:
        assert registry.plugins["parrot"].distribution == "core-parrot"
        reply = await registry.chat("parrot:", "Hello", seed=1)
    assert reply.text.endswith("You wrote: Hello")
    assert [notice.parameter for notice in reply.notices] == ["seed"]


def test_the_plugin_is_well_typed(project: Path) -> None:
    """Mypy in strict mode has nothing to say about the page's modules."""
    pytest.importorskip("mypy", reason="mypy is in the dependency group lint")
    modules = ["core_parrot.py", "core_parrot_sandbox.py", "test_parrot.py"]
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", *modules]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
