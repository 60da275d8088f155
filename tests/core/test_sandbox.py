"""Sandboxes: found through entry points, started together, told apart."""

from pathlib import Path

import pytest

from core_chat import PluginConflictError, PluginError
from core_chat.sandbox import canned_answer, sandbox_names, sandboxes


def install(folder: Path, distribution: str, *, entry: str) -> None:
    """Write the metadata of an installed distribution that has a sandbox."""
    metadata = folder / f"{distribution}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[core_chat.sandboxes]\n{entry}\n")


def test_a_canned_answer_says_so_and_repeats_the_prompt() -> None:
    """Nobody takes the sandbox for a model, and both ways of the path are seen."""
    assert "".join(canned_answer("two  words")).endswith(
        "canned answer from the sandbox; no model was asked. You wrote: two  words"
    )


async def test_the_sandboxes_of_all_plugins_run_side_by_side() -> None:
    """All installed sandboxes are started, and each says how its providers reach it."""
    async with sandboxes() as config:
        assert set(config) >= {"replicate", "allenai", "huggingface", "huggingface-inference"}
        assert all(arguments["base_url"].startswith("http://127.0.0.1:") for arguments in config.values())
    assert set(sandbox_names()) >= {"allenai", "huggingface", "replicate"}


async def test_two_distributions_with_one_sandbox_are_a_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of two sandboxes of one name is started; the error names both distributions."""
    install(tmp_path, "first-parrot", entry="parrot = first:sandbox")
    install(tmp_path, "second-parrot", entry="parrot = second:sandbox")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginConflictError, match="first-parrot and second-parrot"):
        async with sandboxes(["parrot"]):
            pass


async def test_a_sandbox_that_cannot_be_imported_or_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken sandbox and an unknown one are errors that say which."""
    install(tmp_path, "broken-parrot", entry="parrot = no_such_module_anywhere:sandbox")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError, match="'parrot' cannot be loaded"):
        async with sandboxes(["parrot"]):
            pass
    with pytest.raises(PluginError, match="has a sandbox 'cockatoo'"):
        async with sandboxes(["cockatoo"]):
            pass
