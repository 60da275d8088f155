"""`core-chat sandbox`, and the whole path from the command to a plugin's sandbox and back."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from core_chat import Registry
from core_chat.testing import faults

if TYPE_CHECKING:
    from tests.core.cli.conftest import Installer, Run, Start

_PROXIES = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:1")


def _settings(line: bytes) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(line)
    return found


def test_the_settings_are_printed_at_once_and_ctrl_c_ends_it_well(start: "Start") -> None:
    """A script reads one line of JSON, uses it, and stops the sandboxes; that is no failure."""
    with start("sandbox", "--json", "--port", "45999") as process:
        assert process.stdout is not None
        assert _settings(process.stdout.readline()) == {
            "echo": {"token": "sandbox-token", "base_url": "http://127.0.0.1:45999"}
        }
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == (b"", b"")
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_for_a_person_the_settings_are_a_list(start: "Start", number: int) -> None:
    """Each provider has its settings below it."""
    with start("sandbox", "echo") as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"Ctrl-C stops the sandboxes.\n"
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"echo\n  token: sandbox-token\n  base_url: http://127.0.0.1:0\n")


def test_a_sandbox_that_is_not_there_is_an_error(run_here: "Run") -> None:
    """The error names those that are."""
    done = run_here("sandbox", "nope")
    assert (done.code, done.out) == (1, b"")
    assert "no installed plugin has a sandbox 'nope'" in done.err
    assert "echo" in done.err


def test_a_port_out_of_range_is_a_usage_error(run_here: "Run") -> None:
    """Ports are numbers from 0 to 65535."""
    assert run_here("sandbox", "--port", "70000").code == 2


def test_a_broken_sandbox_is_told_and_left_out(
    run_here: "Run", install: "Installer", monkeypatch: pytest.MonkeyPatch
) -> None:
    """One plugin's broken sandbox does not keep the others from a chat; asked for alone it is an error."""
    monkeypatch.setenv("CORE_CHAT_PLUGINS", "echo")
    install("broken-one", {"core_chat.sandboxes": {"broken": "no_such_module:sandbox"}})
    done = run_here("chat", "--sandbox", "Hi")
    assert done.code == 0
    assert done.err.startswith("the sandbox 'broken' cannot be loaded: ModuleNotFoundError")
    assert run_here("sandbox", "broken").code == 1


@pytest.fixture
def replicate(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with the Replicate plugin alone, no key, and proxies that lead nowhere."""
    return {**environment, "CORE_CHAT_PLUGINS": "replicate", **_PROXIES}


def _run(command: Sequence[str], *arguments: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    line = (*command, *arguments)
    return subprocess.run(line, env=environment, input="", capture_output=True, text=True, check=False, timeout=60)


def test_the_whole_path_to_a_sandbox_and_back(command: Sequence[str], replicate: Mapping[str, str]) -> None:
    """Entry point, hook, HTTP and decoder work together with no key and no way to the internet."""
    done = _run(command, "chat", "--sandbox", "Why is the sky blue?", environment=replicate)
    assert (done.returncode, done.stderr) == (0, "replicate:meta/meta-llama-3-70b-instruct\n")
    assert "canned answer" in done.stdout
    assert done.stdout.endswith("You wrote: Why is the sky blue?")


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("sandbox/stream-error", 1),
        ("sandbox/unauthenticated", 3),
        ("sandbox/payment-required", 4),
        ("sandbox/rate-limited", 4),
    ],
)
def test_failures_of_an_upstream_have_their_exit_codes(
    *, command: Sequence[str], replicate: Mapping[str, str], model: str, code: int
) -> None:
    """What goes wrong behind a real wire is told in two lines and by the exit code."""
    done = _run(command, "chat", "-q", "--sandbox", "-m", f"replicate:{model}", "Hi", environment=replicate)
    assert done.returncode == code
    assert done.stderr.startswith("Error: replicate: ")
    assert done.stderr.count("\n") == 2


def test_without_a_key_the_error_says_where_to_get_one(command: Sequence[str], replicate: Mapping[str, str]) -> None:
    """The variable and the page are named, and the sandbox is offered."""
    done = _run(command, "chat", "-m", "replicate:", "Hi", environment=replicate)
    assert (done.returncode, done.stdout) == (3, "")
    assert "REPLICATE_API_TOKEN" in done.stderr
    assert "--sandbox needs no key" in done.stderr


async def test_a_host_application_uses_the_printed_settings(
    command: Sequence[str], replicate: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Registry(config=SETTINGS)` in another process talks to the served sandbox."""
    monkeypatch.delenv("REPLICATE_API_TOKEN", raising=False)
    line = (*command, "sandbox", "--json", "replicate")
    process = await asyncio.create_subprocess_exec(*line, env=replicate, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        config = _settings(await process.stdout.readline())
        async with Registry(config=config) as registry:
            reply = await registry.chat("replicate:", "Hello")
        assert reply.text.endswith("You wrote: Hello")
    finally:
        process.terminate()
        assert await process.wait() == 0


def test_a_port_that_is_taken_is_told(command: Sequence[str], replicate: Mapping[str, str]) -> None:
    """The error names the sandbox; no traceback."""
    with faults.refused() as url:
        port = url.rpartition(":")[2]
        done = _run(command, "sandbox", "--port", port, "replicate", environment=replicate)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: the sandbox 'replicate' cannot be started:")
