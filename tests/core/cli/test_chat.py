"""`core-chat chat` into a pipe: messages in, exact bytes out, parameters, events, conversations."""

import json
import os
import signal
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core_chat import Conversation, Message

if TYPE_CHECKING:
    from tests.core.cli.conftest import Run, Start

_PNG = b"\x89PNG\r\n\x1a\n-a-picture"


def _asked(out: bytes) -> dict[str, Any]:
    """Return what the mirroring model was asked."""
    found: dict[str, Any] = json.loads(out)
    return found


def test_into_a_pipe_go_exactly_the_bytes_of_the_text(run_here: "Run") -> None:
    """Line ends, separators and control characters stay, and nothing is added."""
    done = run_here("chat", "-m", "echo:pieces", "Hi")
    assert (done.code, done.out) == (0, "Grüße\r\n\u2028 \tend".encode())


def test_the_route_is_told_beside_the_answer_unless_quiet(run_here: "Run") -> None:
    """Standard error names who serves; -q hides it."""
    assert run_here("chat", "-m", "echo:pieces", "Hi").err == "echo:pieces\n"
    assert run_here("chat", "-q", "-m", "echo:pieces", "Hi").err == ""


@pytest.mark.parametrize(
    ("arguments", "piped", "expected"),
    [
        (["Hi"], b"", "Hi"),
        ([], b"from a pipe\n", "from a pipe"),
        (["-"], "\ufeffGrüße\r\n".encode(), "Grüße"),
        (["Sum up:"], b"line 1\nline 2\n\n", "Sum up:\n\nline 1\nline 2\n"),
        (["Hi"], b" \n", "Hi"),
    ],
)
def test_the_message_is_the_argument_and_what_is_piped(
    *, run_here: "Run", arguments: Sequence[str], piped: bytes, expected: str
) -> None:
    """The argument comes first, then the piped text without the end of its last line."""
    done = run_here("chat", "-m", "echo:", *arguments, piped=piped)
    assert _asked(done.out)["messages"] == [["user", expected, 0]]


@pytest.mark.parametrize(
    ("arguments", "piped", "text"),
    [
        ([], b"", "there is no message"),
        (["-"], b"", "there is no message"),
        ([""], b"", "message 0 (user) is empty"),
        ([], b"\xff\xfe", "no UTF-8"),
        (["Hi", "--temperature", "nan"], b"", "temperature must be a number from 0 to 2"),
        (["Hi", "--aspect-ratio", "wide"], b"", "aspect_ratio must look like '16:9'"),
        (["Hi", "--timeout", "0"], b"", "total must be a number"),
        (["Hi", "--proxy", "ftp://user:canary@h"], b"", "proxy must be a URL"),
        (["Hi", "-i", "missing.png"], b"", "cannot read missing.png: No such file"),
        (["Hi", "-O", "canary"], b"", "it must look like key=value"),
        (["Hi", "-O", "a=1", "-O", "a=2"], b"", "a is given twice"),
        (["Hi", "-o", "nowhere/cat.png"], b"", "there is no folder"),
        (["Hi", "--no-such-option"], b"", "No such option"),
    ],
)
def test_bad_input_is_told_in_two_lines_at_most(
    *, run_here: "Run", arguments: Sequence[str], piped: bytes, text: str
) -> None:
    """Nothing is sent, the exit code is 2, and what was given is not repeated where it may be secret."""
    done = run_here("chat", "-m", "echo:", *arguments, piped=piped)
    assert (done.code, done.out) == (2, b"")
    assert text in done.err
    assert done.err.count("\n") <= 2
    assert "canary" not in done.err


def test_every_parameter_reaches_the_request(run_here: "Run") -> None:
    """Options become the request's fields; those that are not given stay unset."""
    given = ["--temperature", "0", "--top-p", "0.5", "--top-k", "3", "--max-tokens", "9", "--stop", "a", "--stop", "b"]
    given += ["--seed", "-1", "--presence-penalty", "1", "--frequency-penalty", "-1", "--reasoning-effort", "low"]
    given += ["--width", "8", "--height", "9", "--aspect-ratio", "16:9", "--max-input-chars", "100", "--strict"]
    given += ["-O", 'list=["x", 1]', "-O", "text=a=b", "-x", "flag=true", "-x", 'quoted="1"', "--timeout", "30"]
    asked = _asked(run_here("chat", "-m", "echo:", *given, "Hi").out)
    assert asked == {
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 3,
        "max_tokens": 9,
        "stop": ["a", "b"],
        "seed": -1,
        "presence_penalty": 1.0,
        "frequency_penalty": -1.0,
        "reasoning_effort": "low",
        "width": 8,
        "height": 9,
        "aspect_ratio": "16:9",
        "max_input_chars": 100,
        "strict": True,
        "options": {"list": ["x", 1], "text": "a=b"},
        "extra": {"flag": True, "quoted": "1"},
        "tools": [],
        "tool_choice": None,
        "response_format": None,
        "headers": {},
        "messages": [["user", "Hi", 0]],
        "new": 1,
        "total": 30.0,
    }


def test_what_is_not_given_stays_unset(run_here: "Run") -> None:
    """No option, no parameter."""
    asked = _asked(run_here("chat", "-m", "echo:", "Hi").out)
    left = {name: value for name, value in asked.items() if value not in (None, [], {}, False)}
    assert left == {"messages": [["user", "Hi", 0]], "new": 1}


def test_a_notice_is_told_and_strict_makes_it_an_error(run_here: "Run") -> None:
    """A parameter that is not honoured is told on standard error, or with --strict ends the call with 2."""
    done = run_here("chat", "-m", "echo:noticed", "--seed", "1", "Hi")
    assert (done.code, done.out, done.err.splitlines()[-1]) == (0, b"ok", "seed is not taken")
    strict = run_here("chat", "-m", "echo:noticed", "--seed", "1", "--strict", "Hi")
    assert (strict.code, strict.out, strict.err) == (2, b"", "Error: echo: seed is not taken\n")


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("long", "cut off at its greatest length"),
        ("tool", 'the model calls the tool clock with {"zone": "UTC"}'),
        ("picture", "image/png came and is not shown; -o FILE keeps it"),
    ],
)
def test_what_is_no_text_is_told(run_here: "Run", model: str, told: str) -> None:
    """An early end, a tool call and a picture without a link are told on standard error."""
    assert told in run_here("chat", "-m", f"echo:{model}", "Hi").err


def test_a_link_to_a_picture_is_a_line_of_the_answer(run_here: "Run") -> None:
    """Without -o the link is what there is to print."""
    assert run_here("chat", "-m", "echo:link", "Hi").out == b"https://pictures.invalid/cat.png\n"


def test_reasoning_is_shown_only_when_asked_for(run_here: "Run") -> None:
    """Where standard error is no terminal, reasoning needs --reasoning; the text stays clean."""
    plain = run_here("chat", "-q", "-m", "echo:thinking", "Hi")
    assert (plain.out, plain.err) == (b"42", "")
    shown = run_here("chat", "-q", "--reasoning", "-m", "echo:thinking", "Hi")
    assert (shown.out, shown.err) == (b"42", "hmm\n")


def test_json_writes_every_event_as_a_line(run_here: "Run") -> None:
    """Every event has its type and all its fields; bytes are base64, and nothing else is written."""
    done = run_here("chat", "--json", "-m", "echo:picture", "Hi")
    assert [json.loads(line) for line in done.out.splitlines()] == [
        {"type": "route", "provider": "echo", "model": "picture", "backend": None, "upstream_id": None},
        {"type": "text_delta", "text": "Here: "},
        {"type": "media", "data": "iVBORw0KGgotYS1waWN0dXJl", "url": None, "media_type": "image/png"},
        {"type": "finish", "reason": "stop", "raw": None},
    ]
    assert done.err == ""
    assert done.out.isascii()


def test_json_ends_with_the_error(run_here: "Run") -> None:
    """An answer that breaks off is a last line of type error, with the exit code."""
    done = run_here("chat", "--json", "-m", "echo:broken-off", "Hi")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["type"] for line in lines] == ["route", "text_delta", "error"]
    assert lines[-1]["error"] == "IncompleteStreamError"
    assert (done.code, lines[-1]["exit_code"], done.err) == (6, 6, "")


def test_an_answer_that_breaks_off_was_printed_so_far(run_here: "Run") -> None:
    """The exit code tells that the text is not whole."""
    done = run_here("chat", "-q", "-m", "echo:broken-off", "Hi")
    assert (done.code, done.out) == (6, b"half an ")
    assert "the answer is not whole" in done.err


def test_a_picture_goes_to_its_file(run_here: "Run", home: Path) -> None:
    """One picture is written to the file that is named."""
    target = home / "cat.png"
    done = run_here("chat", "-m", "echo:picture", "-o", str(target), "Hi")
    assert (done.code, done.out, target.read_bytes()) == (0, b"Here: ", _PNG)
    assert f"wrote {target} (image/png, {len(_PNG)} bytes)" in done.err


def test_several_pictures_are_numbered(run_here: "Run", home: Path) -> None:
    """Each of several pictures has a file of its own."""
    run_here("chat", "-m", "echo:pictures", "-o", str(home / "cat.png"), "Hi")
    assert sorted(path.name for path in home.iterdir()) == ["cat-1.png", "cat-2.png"]
    assert (home / "cat-2.png").read_bytes() == _PNG + b"2"


def test_an_answer_without_a_picture_is_an_error_of_output(run_here: "Run", home: Path) -> None:
    """The text is printed, the missing picture is told, and no file appears."""
    done = run_here("chat", "-m", "echo:pieces", "-o", str(home / "cat.png"), "Hi")
    assert (done.code, list(home.iterdir())) == (1, [])
    assert "holds no picture" in done.err


def test_an_image_goes_with_the_message(run_here: "Run", home: Path) -> None:
    """Files, links and data URIs become pictures of the message; what is no picture is named."""
    (home / "cat.png").write_bytes(_PNG)
    (home / "cat.txt").write_text("no cat")
    images = ["-i", str(home / "cat.png"), "-i", "https://pictures.invalid/cat.png", "-i", "data:image/png;base64,"]
    images[-1] += "iVBORw0KGgo="
    assert _asked(run_here("chat", "-m", "echo:", *images, "Hi").out)["messages"] == [["user", "Hi", 3]]
    refused = run_here("chat", "-m", "echo:", "-i", str(home / "cat.txt"), "Hi")
    assert (refused.code, refused.err.startswith(f"Error: {home / 'cat.txt'}: an image was expected")) == (2, True)


def test_a_conversation_goes_on_in_the_next_call(run_here: "Run", home: Path) -> None:
    """The file is made, then read and replaced; the system text is sent again only once it has changed."""
    saved = home / "talk.json"
    call = ["chat", "-m", "echo:", "--conversation", str(saved), "-s", "Be brief."]
    assert _asked(run_here(*call, "One").out)["messages"] == [["system", "Be brief.", 0], ["user", "One", 0]]
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    second = _asked(run_here(*call, "Two").out)
    assert [turn[0] for turn in second["messages"]] == ["system", "user", "assistant", "user"]
    assert second["new"] == 1
    third = _asked(run_here(*call, "-s", "Be long.", "Three").out)
    assert [turn[0] for turn in third["messages"]][-2:] == ["system", "user"]
    assert Conversation.from_json(saved.read_bytes()).state == {"echo": {"turns": 7}}


def test_only_success_changes_the_conversation(run_here: "Run", home: Path) -> None:
    """An answer that breaks off leaves the file as it was, and no other file beside it."""
    saved = home / "talk.json"
    saved.write_text(Conversation((Message("user", "One"), Message("assistant", "1"))).to_json())
    before = saved.read_bytes()
    done = run_here("chat", "-m", "echo:broken-off", "--conversation", str(saved), "Two")
    assert (done.code, saved.read_bytes(), list(home.iterdir())) == (6, before, [saved])


def test_an_empty_file_is_a_new_conversation_and_any_other_text_is_refused(run_here: "Run", home: Path) -> None:
    """A file from mktemp can be used; what is no conversation is not overwritten."""
    saved = home / "talk.json"
    saved.touch(mode=0o640)
    assert run_here("chat", "-m", "echo:", "--conversation", str(saved), "One").code == 0
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(0o640)
    saved.write_text("{}")
    done = run_here("chat", "-m", "echo:", "--conversation", str(saved), "Two")
    assert (done.code, done.err, saved.read_text()) == (
        2,
        f"Error: {saved}: this text is no saved conversation\n",
        "{}",
    )


def test_the_model_may_come_from_the_environment(run_here: "Run", monkeypatch: pytest.MonkeyPatch) -> None:
    """CORE_CHAT_MODEL is the default of -m."""
    monkeypatch.setenv("CORE_CHAT_MODEL", "echo:pieces")
    assert run_here("chat", "Hi").err == "echo:pieces\n"


def test_without_a_model_the_error_lists_what_is_installed(run_here: "Run") -> None:
    """The error says how to name one, and which providers there are."""
    done = run_here("chat", "Hi")
    assert done.code == 2
    assert "give -m PROVIDER:MODEL" in done.err
    assert "installed providers: echo:" in done.err


def test_a_sandbox_needs_no_key_and_no_model(run_here: "Run", monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandboxed provider is built with the sandbox's settings and asked for its default model."""
    monkeypatch.delenv("ECHO_KEY")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    done = run_here("chat", "--sandbox", "Hi")
    assert (done.code, done.err) == (0, "echo:mirror by sandbox\n")
    refused = run_here("chat", "--sandbox", "--proxy", "http://127.0.0.1:1", "Hi")
    assert (refused.code, "takes no --proxy" in refused.err) == (2, True)


def test_with_a_sandbox_no_other_provider_is_asked(run_here: "Run", monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider without a sandbox is refused, so that nothing leaves the machine."""
    monkeypatch.setenv("CORE_CHAT_PLUGINS", "echo,bare")
    folder = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0]) / "bare-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: bare\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[core_chat.providers]\nbare = echo_plugin:Echo\n")
    assert run_here("chat", "-m", "bare:", "Hi").code == 0
    done = run_here("chat", "--sandbox", "-m", "bare:", "Hi")
    assert (done.code, done.out) == (2, b"")
    assert "no sandbox for bare; --sandbox has echo:" in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_closes_the_answer(*, start: "Start", environment: dict[str, str], number: int, code: int) -> None:
    """The provider's stream is closed, so that it can tell its upstream, and the exit code names the signal."""
    with start("chat", "-m", "echo:stuck", "Hi") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (code, b"")
    assert b"Traceback" not in err
    assert Path(environment["ECHO_MARK"]).read_text() == "closed"


def test_a_reader_that_goes_away_ends_the_answer_in_silence(start: "Start", environment: dict[str, str]) -> None:
    """A closed pipe is no error message: the stream is closed and the exit code is that of SIGPIPE."""
    with start("chat", "-q", "-m", "echo:endless", "Hi") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert Path(environment["ECHO_MARK"]).read_text() == "closed"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_standard_streams_do_no_harm(environment: dict[str, str], command: Sequence[str], closed: str) -> None:
    """Without standard input the argument alone is the message; what goes to a closed stream goes nowhere."""
    line = " ".join((*command, "chat", "-q", "-m", "echo:pieces", "Hi", closed))
    done = subprocess.run(("sh", "-c", line), env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert bool(done.stdout) is (closed != ">&-")
