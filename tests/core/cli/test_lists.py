"""`core-chat models` and `core-chat plugins`."""

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.core.cli.conftest import Installer, Run


def test_models_are_lines_with_tabs_in_a_pipe(run_here: "Run") -> None:
    """Name, tasks, default, context and title, without headings and without control characters."""
    done = run_here("models")
    assert (done.code, done.err) == (0, "")
    assert done.out.decode().splitlines() == [
        "echo:mirror\tchat\tdefault\t4096\tMirror␛[2J",
        "echo:picture\ttext-to-image\t\t\t",
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["echo", "--search", "mir"], ["echo:mirror"]),
        (["--task", "text-to-image"], ["echo:picture"]),
        (["--sandbox", "--refresh"], ["echo:mirror", "echo:picture"]),
    ],
)
def test_models_can_be_filtered(run_here: "Run", arguments: list[str], expected: list[str]) -> None:
    """By provider, words and task; and they can be those of the sandboxes."""
    lines = run_here("models", *arguments).out.decode().splitlines()
    assert [line.split("\t")[0] for line in lines] == expected


def test_a_failure_is_told_after_the_list(run_here: "Run", monkeypatch: pytest.MonkeyPatch) -> None:
    """What was listed counts: the failure is on standard error, the exit code 0."""
    monkeypatch.delenv("ECHO_KEY")
    done = run_here("models")
    assert (done.code, done.out.count(b"\n")) == (0, 2)
    assert done.err.startswith("echo: no key is configured\n  Set ECHO_KEY")


def test_nothing_listed_is_exit_code_1(run_here: "Run") -> None:
    """An empty list is told; an unknown provider is a usage error."""
    done = run_here("models", "--search", "nothing")
    assert (done.code, done.out, done.err) == (1, b"", "no models were found\n")
    unknown = run_here("models", "nope")
    assert (unknown.code, unknown.out) == (2, b"")


def test_models_as_json_hold_models_failures_and_stale(run_here: "Run", monkeypatch: pytest.MonkeyPatch) -> None:
    """One object with everything that is known."""
    monkeypatch.delenv("ECHO_KEY")
    found = json.loads(run_here("models", "--json").out)
    assert [model["full_name"] for model in found["models"]] == ["echo:mirror", "echo:picture"]
    assert (found["models"][0]["tasks"], found["models"][1]["features"]) == (["chat"], None)
    assert (found["failures"]["echo"]["exit_code"], found["stale"]) == (3, [])


def test_plugins_are_listed_without_being_imported(
    run_here: "Run", install: "Installer", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin that cannot be imported is shown as available until it is loaded."""
    install("broken-one", {"core_chat.providers": {"broken": "no_such_module:Thing"}})
    monkeypatch.setenv("CORE_CHAT_PLUGINS", "echo,broken")
    lines = run_here("plugins").out.decode().splitlines()
    assert [line for line in lines if "blocked" not in line] == [
        "broken\tavailable\t\tbroken-one\t1.0",
        "echo\tavailable\t\tfake-echo\t1.0",
    ]


def test_long_loads_each_plugin_and_shows_what_it_says(
    run_here: "Run", install: "Installer", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are only said to be set; a plugin that fails shows why and does not hide the others."""
    install("broken-one", {"core_chat.providers": {"broken": "no_such_module:Thing"}})
    monkeypatch.setenv("CORE_CHAT_PLUGINS", "echo,broken")
    done = run_here("plugins", "--long")
    text = done.out.decode()
    assert done.code == 0
    assert "echo: loaded (fake-echo 1.0)\n  about:          Echo\n" in text
    assert "  key:            ECHO_KEY (needed, set)\n" in text
    assert "broken: broken (broken-one 1.0)\n  error:          broken-one cannot be imported: ModuleNotFound" in text
    assert "canary" not in text


def test_plugins_as_json_have_their_errors(
    run_here: "Run", install: "Installer", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each plugin is an object; with --long it has what it says about itself."""
    install("broken-one", {"core_chat.providers": {"broken": "no_such_module:Thing"}})
    monkeypatch.setenv("CORE_CHAT_PLUGINS", "echo,broken")
    found = {plugin["name"]: plugin for plugin in json.loads(run_here("plugins", "--long", "--json").out)}
    assert (found["echo"]["status"], found["echo"]["about"]["label"]) == ("loaded", "Echo")
    assert (found["broken"]["status"], found["broken"]["error"]["error"]) == ("broken", "PluginError")
