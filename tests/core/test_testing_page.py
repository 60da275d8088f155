"""The page on testing: its files run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests import pages

from core_chat.testing import ProviderContract, faults

PAGE = pages.read("docs/testing.md")
FILES = pages.files(PAGE)


def test_every_snippet_is_a_file() -> None:
    """No Python on the page is left out of what runs."""
    assert len(FILES) == PAGE.count("```python") == 4


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_files_run_with_pytest_alone(name: str, tmp_path: Path) -> None:
    """Each file passes on its own, without plugins of pytest, warnings being errors; the library's scripts import."""
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    options = ["-q", "-W", "error", "-p", "no:asyncio", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, name] if name.startswith("test_") else [sys.executable, name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if name.startswith("test_"):
        assert re.search(r"\d passed", done.stdout)


def test_the_page_names_what_there_is() -> None:
    """Every fault is on the page, and every override that its table names exists."""
    public = {name for name, value in vars(faults).items() if getattr(value, "__module__", "") == faults.__name__}
    for name in public - {"with_headers"}:
        assert name.startswith("_") or f"`{name}" in PAGE, name
    for name in re.findall(r"`(\w+)\(", PAGE.partition("| override |")[2].partition("\n\n")[0]):
        assert hasattr(ProviderContract, name), name
