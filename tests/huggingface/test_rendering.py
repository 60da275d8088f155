"""Rendering chat templates: exactly as the vendor's tools do it, and bounded for those that mean harm."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from core_chat.errors import InvalidRequestError
from core_huggingface import rendering
from core_huggingface.rendering import Limits, Renderer

RECORDED = Path(__file__).parents[2].parent / "shared/recorded/huggingface/chat_templates_expected.json"
needs_recordings = pytest.mark.skipif(not RECORDED.exists(), reason="the recorded bodies are not here")
MESSAGES = {"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": True}


def _cases() -> list[Any]:
    cases = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {}
    return [pytest.param(case, id=name) for name, case in cases.items()]


@needs_recordings
@pytest.mark.parametrize("case", _cases())
async def test_recorded_templates_render_as_they_did_for_the_vendor(case: dict[str, Any]) -> None:
    """Real templates give the vendor's output, character by character."""
    assert await Renderer().render(case["chat_template"], case["data"]) == case["target"]


async def test_blocks_are_trimmed_and_the_extras_of_chat_templates_are_there() -> None:
    """Block lines leave no space; loop controls, generation blocks and unescaped JSON work."""
    template = (
        "{% for message in messages %}\n"
        "  {% if loop.index > 1 %}{% break %}{% endif %}\n"
        "{% generation %}{% set inner = 1 %}[{{ message.content }}]{% endgeneration %}\n"
        "{% endfor %}\n"
        "{{ {'a': '<é>'}|tojson }} {{ [1]|tojson(indent=1) }} {{ inner is defined }} {{ '\\N{EM DASH}' }}"
    )
    assert await Renderer().render(template, MESSAGES) == '[Hi]{"a": "<é>"} [\n 1\n] False —'


async def test_a_template_can_ask_for_todays_date() -> None:
    """The date function writes the local date."""
    assert await Renderer().render("{{ strftime_now('%Y') }}", MESSAGES) >= "2026"


ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{{ '' }}{% endfor %}{% endfor %}"
HOSTILE = {
    "nested loops": (ENDLESS, "computes for more than 1 s"),
    "a doubling structure": (
        "{% set ns = namespace(a=[1]) %}{% for i in range(99) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}",
        "computes for more than 1 s",
    ),
    "a huge power": ("{{ (7 ** (10 ** 8)) % 3 }}", "computes for more than 1 s"),
    "a huge range": ("{% for i in range(10**9) %}{% endfor %}", "Range too big"),
    "endless recursion": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RecursionError"),
    "a deep expression": ("{{ " + "(" * 20000 + "1" + ")" * 20000 + " }}", "RecursionError"),
    "a huge text": ("{{ 'a' * 10**9 }}", "memory"),
    "a huge list": ("{{ ([1] * 10**9)|length }}", "memory"),
    "a doubling text": (
        "{% set ns = namespace(s='aaaa') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "memory",
    ),
    "a wide ljust": ("{{ 'a'.ljust(10**10) }}", "memory"),
    "a wide format": ("{{ '{:>9999999999}'.format(1) }}", "memory"),
    "a wide percent format": ("{{ '%9999999999d' % 1 }}", "memory"),
    "a wide indent": ("{{ [[1]]|tojson(indent=10**10) }}", "fails|memory"),
    "a huge join": ("{{ ('a' * 10**6)|batch(1)|map('join')|join('b' * 10**5) }}", "memory|computes"),
    "a huge output": ("{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "writes more than 4000000 characters"),
    "one huge piece": ("{{ 'x' * 10**7 }}", "writes more than 4000000 characters"),
    "a class": ("{{ ''.__class__ }}", "may not.*__class__"),
    "a class by subscript": ("{{ ''['__class__'].__mro__[1].__subclasses__() }}", "may not.*__class__"),
    "a class by filter": ("{{ messages|attr('__class__') }}", "may not.*__class__"),
    "a class by map": ("{{ messages|map(attribute='__class__')|list }}", "may not.*__class__"),
    "a class by format": ("{{ '{0.__class__.__mro__}'.format(messages) }}", "may not.*__class__"),
    "a class by a kept format": ("{% set f = '{0.__class__}'.format %}{{ f(messages) }}", "may not.*__class__"),
    "a class by format_map": ("{{ '{a.__class__}'.format_map({'a': 1}) }}", "may not.*__class__"),
    "a class by the filter format": ("{{ '%(a)s'|format(a=messages.__class__) }}", "may not.*__class__"),
    "the globals of a function": ("{{ raise_exception.__globals__ }}", "may not.*__globals__"),
    "the globals of a method": ("{{ cycler.__init__.__globals__ }}", "may not.*__init__"),
    "the context": ("{{ self._TemplateReference__context }}", "may not.*context"),
    "a changed message": ("{{ messages.append(1) }}", "unsafe"),
    "a changed variable": ("{{ messages[0].update(role='x') }}", "unsafe"),
    "another file": ("{% include '/etc/passwd' %}", "no loader"),
    "a broken template": ("{% if %}", "is broken"),
    "an undefined name": ("{{ a.b }}", "'a' is undefined"),
}


@pytest.mark.parametrize(("template", "why"), HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_template_is_stopped_with_a_clear_error(template: str, why: str) -> None:
    """Time, memory, output and reach of a template are bounded, whichever way it takes."""
    with pytest.raises(InvalidRequestError, match=why) as caught:
        await Renderer(Limits(cpu=1, memory=256 << 20)).render(template, MESSAGES)
    assert "chat template" in str(caught.value)
    assert "format" in str(caught.value), "the way out is named"
    assert len(str(caught.value)) < 1000


async def test_a_template_cannot_change_what_the_next_one_sees() -> None:
    """Globals and filters are new for each rendering."""
    renderer = Renderer()
    await renderer.render("{% set range = 1 %}{% set raise_exception = 2 %}", MESSAGES)
    assert await renderer.render("{{ range(2)|list }}", MESSAGES) == "[0, 1]"


def _script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, text: str) -> None:
    """Put another program in the place of the one that renders."""
    path = tmp_path / "script.py"
    path.write_text(f"import json, os, sys, time\nsys.stdin.buffer.read()\n{text}\n", encoding="utf-8")
    monkeypatch.setattr(rendering, "_SCRIPT", str(path))


async def test_the_process_gets_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A way out of the sandbox would find no secret in the process."""
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    _script(tmp_path, monkeypatch, text="print(json.dumps({'text': ' '.join(os.environ)}))")
    names = await Renderer().render("x", MESSAGES)
    assert "PATH" not in names.split()
    assert "HF_TOKEN" not in names


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")
async def test_the_process_can_open_no_file_and_no_socket() -> None:
    """After the limits are set, there is no way to the disk or the network."""
    program = (
        "import socket\n"
        "from core_huggingface import _render\n"
        "_render._limit(seconds=5, memory=1 << 30)\n"
        "for opened in (lambda: open('/proc/self/status'), socket.socket):\n"
        "    try:\n        opened()\n        print('opened')\n"
        "    except OSError as error:\n        print(error.errno)\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    written, _ = await process.communicate()
    assert written.split() == [b"24", b"24"], "EMFILE"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("time.sleep(60)", r"takes longer than 0\.5 s"),
        ("os.abort()", "signal 6"),
        ("sys.exit(3)", "exit code 3"),
        ("while True: sys.stdout.write('x' * 65536)", "writes more than 10 characters"),
        ("print('{')", "no answer"),
    ],
)
async def test_a_process_that_misbehaves_is_ended(  # noqa: PLR0917 - two fixtures, two parameters
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str
) -> None:
    """Whatever happens in the process, the caller gets an error in bounded time and bounded memory."""
    _script(tmp_path, monkeypatch, text=text)
    with pytest.raises(InvalidRequestError, match=why):
        await Renderer(Limits(wall=0.5 if "sleep" in text else 30, output=10)).render("x", MESSAGES)


async def test_the_event_loop_runs_on_while_a_template_computes() -> None:
    """An honest rendering that begins after a hostile one ends before it."""
    renderer = Renderer(Limits(cpu=30, wall=30))
    hostile = asyncio.create_task(renderer.render(ENDLESS, MESSAGES))
    await asyncio.sleep(0)
    assert await renderer.render("{{ messages[0].content }}", MESSAGES) == "Hi"
    assert not hostile.done()
    hostile.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hostile


async def test_cancelling_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a rendering that nobody wants any more."""
    started: asyncio.Future[asyncio.subprocess.Process] = asyncio.get_running_loop().create_future()
    start = rendering._start

    async def watched() -> asyncio.subprocess.Process:
        process = await start()
        started.set_result(process)
        return process

    monkeypatch.setattr(rendering, "_start", watched)
    task = asyncio.create_task(Renderer(Limits(cpu=60, wall=60)).render(ENDLESS, MESSAGES))
    process = await started
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert process.returncode is not None


async def test_no_more_than_a_few_processes_run_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred prompts at once are no hundred processes."""
    running = most = 0
    run = Renderer._run

    async def counted(self: Renderer, document: bytes) -> tuple[bytes, int | None]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await run(self, document)
        finally:
            running -= 1

    monkeypatch.setattr(Renderer, "_run", counted)
    renderer = Renderer()
    prompts = await asyncio.gather(*(renderer.render(f"{number}", MESSAGES) for number in range(12)))
    assert prompts == [str(number) for number in range(12)]
    assert most == 4


async def test_without_jinja2_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is an extra."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(InvalidRequestError, match=r"pip install 'core-huggingface\[templates\]'"):
        await Renderer().render("x", MESSAGES)


async def test_a_jinja2_with_known_holes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions before 3.1.6 have known ways out of the sandbox."""
    (tmp_path / "jinja2").mkdir()
    (tmp_path / "jinja2/__init__.py").write_text("__version__ = '3.1.5'", encoding="utf-8")
    monkeypatch.setattr(rendering, "_library_folders", lambda: [str(tmp_path)])
    with pytest.raises(InvalidRequestError, match=r"3\.1\.6 or newer, not 3\.1\.5"):
        await Renderer().render("x", MESSAGES)


async def test_a_template_that_refuses_the_messages_is_quoted() -> None:
    """The template's own words reach the caller, without what would steer a terminal."""
    template = "{{ raise_exception('Roles must alternate\\x1b[2J') }}"
    with pytest.raises(InvalidRequestError, match=r"does not take these messages: Roles must alternate \[2J"):
        await Renderer().render(template, MESSAGES)


async def test_a_template_of_absurd_size_is_not_looked_at() -> None:
    """The size of a template has a bound as well."""
    with pytest.raises(InvalidRequestError, match="longer than 10 characters"):
        await Renderer(Limits(template=10)).render("x" * 11, MESSAGES)


async def test_variables_that_are_no_json_are_refused() -> None:
    """Only plain data reaches a template."""
    with pytest.raises(InvalidRequestError, match="must be JSON"):
        await Renderer().render("x", {"documents": {1, 2}})


async def test_a_process_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded interpreter may have no executable."""
    monkeypatch.setattr(sys, "executable", "no/such/python")
    with pytest.raises(InvalidRequestError, match="none could be started"):
        await Renderer().render("x", MESSAGES)


async def test_a_frozen_application_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its executable is no interpreter."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(InvalidRequestError, match="frozen application"):
        await Renderer().render("x", MESSAGES)


TURNS = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content|trim }}</>{% endfor %}"
    "{% if add_generation_prompt %}<a>{% endif %}"
)


@pytest.mark.parametrize("last", ["Once upon", "Once upon ", "", "<~continued-from-here~>"])
async def test_the_last_assistant_message_is_left_open(last: str) -> None:
    """The prompt ends where the message ends, its last space included, whatever the template would add."""
    messages = [{"role": "user", "content": "A tale!"}, {"role": "assistant", "content": last}]
    prompt = await Renderer().render_continued(TURNS, {"messages": messages, "add_generation_prompt": True})
    assert prompt == f"<user>A tale!</><assistant>{last}"


@pytest.mark.parametrize("template", ["{{ messages[0].content }}", "{{ messages[1].content * 2 }}"])
async def test_a_template_that_hides_the_last_message_cannot_continue_it(template: str) -> None:
    """An unfinished turn that the template leaves out or repeats is refused."""
    messages = [{"role": "user", "content": "A tale!"}, {"role": "assistant", "content": "Once"}]
    with pytest.raises(InvalidRequestError, match="cannot leave the last assistant message open"):
        await Renderer().render_continued(template, {"messages": messages})
