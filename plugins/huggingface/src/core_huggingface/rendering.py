"""Chat templates, rendered as the vendor's tools render it, in a process of its own.

Anyone may have written it, and it is a program. jinja2's immutable sandbox keeps it from Python's internals, but
nothing inside a process bounds what one expression costs: `'a' * 10**9` and `10**10**8` are single steps, compiling
alone evaluates constants, and a thread cannot be stopped. So each rendering is a fresh process (`_render`) without
environment, files or sockets, which the kernel ends past its limits and which is killed at a deadline. That costs about
50 ms, leaves the event loop free, and nothing of one template or conversation reaches the next.
"""

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from attrs import define, field, frozen

from core_chat.errors import InvalidRequestError

INSTALL = "pip install 'core-huggingface[templates]'"
_SCRIPT = str(Path(__file__).with_name("_render.py"))
_KEPT_VARIABLES = ("TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_MARKER = "<~continued-from-here~>"
_PIECE = 1 << 16
_AT_A_TIME = 4
_BYTES_OF_A_CHARACTER = 12
"""The most a character takes as an escape in JSON: a surrogate pair."""


@frozen(kw_only=True)
class Limits:
    """What one rendering may use.

    Attributes:
        cpu: Seconds of computing, whole ones (POSIX).
        wall: Seconds altogether.
        memory: Bytes of address space (Linux; elsewhere the time is what bounds it).
        template: Characters of the template.
        output: Characters of the prompt.
    """

    cpu: int = 2
    wall: float = 10.0
    memory: int = 512 << 20
    template: int = 1_000_000
    output: int = 4_000_000

    @property
    def mebibytes(self) -> int:
        """The memory, for people."""
        return self.memory >> 20


@define(eq=False)
class Renderer:
    """Renders templates, a few at a time, each in a process of its own."""

    limits: Limits = field(factory=Limits)
    _slots: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(_AT_A_TIME), init=False)

    async def render(self, template: str, variables: Mapping[str, Any]) -> str:
        """Return the prompt.

        Raises:
            InvalidRequestError: jinja2 is missing, the template refuses the messages, is broken, or passes a limit.
        """
        if len(template) > self.limits.template:
            raise _refusal(f"is longer than {self.limits.template} characters")
        job = {
            "path": _library_folders(),
            "seconds": self.limits.cpu,
            "memory": self.limits.memory,
            "characters": self.limits.output,
            "template": template,
            "variables": variables,
        }
        try:
            document = json.dumps(job).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidRequestError("what a chat template is given must be JSON data", parameter="options") from error
        async with self._slots:
            written, code = await self._run(document)
            return _read_answer(written, code, limits=self.limits)

    async def render_continued(self, template: str, variables: Mapping[str, Any]) -> str:
        """Return the prompt that leaves the last message, an assistant's, open to be continued.

        Raises:
            InvalidRequestError: As `render`, or the template leaves that message out or rewrites it.
        """
        *before, last = variables["messages"]
        marker = _MARKER
        while marker in json.dumps(variables["messages"]):
            marker += "~"
        turns = [*before, {**last, "content": last["content"] + marker}]
        prompt = await self.render(template, {**variables, "messages": turns, "add_generation_prompt": False})
        head, found, tail = prompt.partition(marker)
        if not found or marker in tail:
            raise _refusal("cannot leave the last assistant message open to be continued")
        return head

    async def _run(self, document: bytes) -> tuple[bytes, int | None]:
        """Return what the process wrote and its return code, which is None when it had to be killed at the deadline."""
        longest = self.limits.output * _BYTES_OF_A_CHARACTER + _PIECE
        process = await _start()
        try:
            async with asyncio.timeout(self.limits.wall):
                written = await _converse(process, document, longest=longest)
                if len(written) > longest:
                    raise _refusal(_FAILURES["output"].format(limits=self.limits))
                return written, await process.wait()
        except TimeoutError:
            return b"", None
        finally:
            await _end(process)


async def _start() -> asyncio.subprocess.Process:
    """Start the process: isolated (`-I`), without site-packages (`-S`), without what the environment holds."""
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    if getattr(sys, "frozen", False):
        raise _refusal("needs a Python interpreter to be rendered in, and a frozen application has none")
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            _SCRIPT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
    except (OSError, ValueError, NotImplementedError) as error:
        raise _refusal(f"needs a process to be rendered in, and none could be started: {error!r}") from error


async def _converse(process: asyncio.subprocess.Process, document: bytes, *, longest: int) -> bytes:
    """Hand over the job and read the answer, but no more than `longest` and a piece of it."""
    stdin = cast("asyncio.StreamWriter", process.stdin)
    stdout = cast("asyncio.StreamReader", process.stdout)
    with contextlib.suppress(ConnectionError):  # a process that ended early tells why by its return code
        stdin.write(document)
        await stdin.drain()
    stdin.close()
    written = bytearray()
    while len(written) <= longest and (piece := await stdout.read(_PIECE)):
        written += piece
    return bytes(written)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave no process and no open pipe behind."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.communicate()


def _library_folders() -> list[str]:
    """Return the folders to import jinja2 from, since the process has no site-packages of its own.

    Raises:
        InvalidRequestError: It is not installed.
    """
    specs = [importlib.util.find_spec(name) for name in ("jinja2", "markupsafe")]
    origins = [spec.origin for spec in specs if spec is not None and spec.origin is not None]
    if len(origins) < len(specs):
        raise _refusal(f"needs jinja2, which is not installed: {INSTALL}")
    return sorted({str(Path(origin).parent.parent) for origin in origins})


_FAILURES = {
    "refused": "does not take these messages: {detail}",
    "output": "writes more than {limits.output} characters",
    "memory": "needs more than {limits.mebibytes} MiB of memory",
    "security": "does what a template may not: {detail}",
    "syntax": "is broken: {detail}",
    "error": "fails: {detail}",
    "version": f"needs jinja2 3.1.6 or newer, not {{detail}}: {INSTALL}",
    "deadline": "takes longer than {limits.wall:g} s",
    "cpu": "computes for more than {limits.cpu} s",
    "died": "broke the process that renders it ({detail})",
}


def _read_answer(written: bytes, code: int | None, *, limits: Limits) -> str:
    failure, detail = _verdict(code)
    if failure is None:
        try:
            answer = json.loads(written)
        except ValueError as error:
            raise _refusal(_FAILURES["died"].format(detail="no answer")) from error
        if "text" in answer:
            return cast("str", answer["text"])
        failure, detail = answer["failure"], answer["detail"]
    # The detail is the template's own text: it may not move a terminal's cursor.
    shown = "".join(character if character.isprintable() else " " for character in detail)
    raise _refusal(_FAILURES[failure].format(detail=shown, limits=limits))


def _verdict(code: int | None) -> tuple[str | None, str]:
    """Read a return code: 0 is an answer, a negative one the signal that ended the process."""
    if code == 0:
        return None, ""
    if code is None:
        return "deadline", ""
    if -code in (getattr(signal, "SIGXCPU", 0), getattr(signal, "SIGKILL", 0)):
        return "cpu", ""
    return "died", f"signal {-code}" if code < 0 else f"exit code {code}"


def _refusal(why: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"the model's chat template {why} (another way is a named format: options={{'format': …}})",
        parameter="messages",
    )
