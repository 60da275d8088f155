"""The playing of one answer: what is stored, and the lines that tell of it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any, TypeAlias

from attrs import define, field

from core_allenai.sandbox import _answers as answers
from core_allenai.sandbox._checks import Turn
from core_allenai.sandbox._lines import SERVICE_TOOL, USER_TOOL, V4, Thread, error_line
from core_allenai.sandbox._store import DAY, Store, Stored, missing_results, new_id

Line: TypeAlias = dict[str, Any]


class Broken(Exception):  # noqa: N818 - it ends a body early, on purpose
    """The connection is to be cut now."""


@define(eq=False, kw_only=True)
class Player:
    """Plays the answer to one checked turn."""

    store: Store
    turn: Turn
    wire: V4
    slow: float
    now: Callable[[], float]
    thread: Thread = field(init=False)
    history: list[Stored] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Store what the caller sent; a new thread begins with the model's own system prompt."""
        turn = self.turn
        parent = turn.parent
        added: list[Stored] = []
        if parent is None and turn.model.system_prompt is not None:
            parent = self._store(role="system", content=turn.model.system_prompt, parent=None)
            added.append(parent)
        message = self._store(role=turn.role, content=turn.content, parent=parent)
        message.file_urls = [f"https://sandbox.invalid/{message.id}-{number}" for number in range(turn.files)]
        message.tool_definitions = [tool | {"toolSource": USER_TOOL} for tool in turn.tools]
        message.tool_calls = [turn.tool_call] if turn.tool_call else []
        self.thread = Thread(message.root, turn.parent is None, [*added, message])
        self.history = self.store.chain(message)

    def _store(self, *, role: str, content: str, parent: Stored | None) -> Stored:
        now = self.now()
        turn = self.turn
        message = Stored(
            role=role,
            content=content,
            creator=turn.person.id,
            model=turn.model.id,
            host=turn.model.host,
            created=now,
            expires=None if turn.person.known else now + DAY,
            private=turn.private,
            opts=turn.opts,
        )
        return self.store.add(message, parent=parent)

    async def lines(self) -> AsyncGenerator[Line, None]:
        """Yield the lines of the answer.

        Raises:
            Broken: The connection is to be cut.
        """
        for line in self.wire.opening(self.thread):
            yield line
        steps = [] if missing_results(self.history) else answers.steps(self.turn, self.history)
        if not missing_results(self.history):
            for line in self._announce():
                yield line
        for step in steps:
            if isinstance(step, answers.Pause):
                await asyncio.sleep(self.slow)
            for line in self._lines_of(step):
                yield line
            if isinstance(step, answers.Cut) and step.clean:
                return
            if isinstance(step, answers.SaveFault):
                yield {"message": self.thread.root, "type": "end"}
                return
        for message in self.thread.added:
            message.final = message.error_code is None
        for line in self.wire.closing(self.thread):
            yield line
        yield {"message": self.thread.root, "type": "end"}

    def _announce(self) -> Iterator[Line]:
        """v4 shows the empty answer before it begins; v5 shows it with its first piece."""
        if self.wire.aborts:
            yield from self.wire.announce(self.thread, self._new_answer())

    def _new_answer(self) -> Stored:
        answer = self._store(role="assistant", content="", parent=self.thread.added[-1])
        answer.tool_definitions = self.thread.added[-1].tool_definitions
        self.thread.added.append(answer)
        self.thread.answer = answer
        return answer

    def _lines_of(self, step: answers.Step) -> Iterator[Line]:
        match step:
            case answers.Think() | answers.Say() | answers.Call():
                yield from self._piece(step)
            case answers.Fault():
                yield from self._fault(step)
            case answers.ToolFault():
                yield self._tool_fault(step)
            case answers.SaveFault():
                yield from self._save_fault()
            case answers.Stop() if self.thread.answer is not None:
                self.thread.answer.finish_reason = step.reason
            case answers.Cut(clean=False):
                raise Broken

    def _piece(self, step: answers.Think | answers.Say | answers.Call) -> Iterator[Line]:
        first = self.thread.answer is None
        answer = self.thread.answer or self._new_answer()
        if isinstance(step, answers.Say):
            answer.content += step.text
        elif isinstance(step, answers.Think):
            answer.thinking = (answer.thinking or "") + step.text
        yield from self.wire.piece(answer, step, first=first)
        if isinstance(step, answers.Call):
            yield from self._called(answer, step)

    def _called(self, answer: Stored, call: answers.Call) -> Iterator[Line]:
        source = USER_TOOL if call.result is None else SERVICE_TOOL
        told = {"toolCallId": call.id, "toolName": call.name, "toolSource": source, "args": json.loads(call.arguments)}
        answer.tool_calls = [*answer.tool_calls, told]
        if call.result is None:
            return
        result = self._store(role="tool_call_result", content=call.result, parent=answer)
        result.tool_calls = [told]
        self.thread.added.append(result)
        self.thread.answer = None
        yield from self.wire.tool_result(self.thread, result)
        yield from self._announce()

    def _fault(self, fault: answers.Fault) -> Iterator[Line]:
        answer = self.thread.answer
        yield self.wire.failure(answer.id if answer else new_id(), fault)
        if answer is not None:
            answer.error_code, answer.error_description = "otherError", fault.text
        if not self.wire.aborts:
            return
        if fault.reason == "tool error":
            yield {"message": self.thread.root, "type": "end"}
        raise Broken

    def _tool_fault(self, fault: answers.ToolFault) -> Line:
        answer = self.thread.answer or self._new_answer()
        answer.error_code, answer.error_description = "toolCallError", fault.text
        if self.wire.aborts:
            answer.content = ""
        return error_line(answer.id, "toolCallError", text=fault.text)

    def _save_fault(self) -> Iterator[Line]:
        if not self.wire.aborts:
            yield error_line(self.thread.root, "otherError", text="OperationalError")
            return
        text = f"failed to finalize message {self.thread.root}"
        yield self.wire.failure(self.thread.root, answers.Fault("finalization failure", text))
        raise Broken


def told(history: Sequence[Stored]) -> list[dict[str, Any]]:
    """Return what the model is shown of a chain of messages."""
    return [message.plain() for message in history]
