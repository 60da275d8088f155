"""The sandbox's canned chat answers, and the dialects its inference providers stream them in."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from core_chat.sandbox import canned_answer

Chunk: TypeAlias = dict[str, Any]
_THOUGHTS = ("The sandbox", " does not think;", " this is canned too.")


@frozen(kw_only=True)
class Answer:
    """What is answered, before any provider's dialect."""

    id: str
    model: str
    pieces: tuple[str, ...] = ()
    thoughts: tuple[str, ...] = ()
    calls: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    reason: str = "stop"
    prompt_tokens: int = 0
    created: int = field(factory=lambda: int(time.time()))

    @property
    def usage(self) -> dict[str, int]:
        """Return counts that look like tokens: words."""
        written = len(self.pieces) + len(self.thoughts) + sum(len(pieces) for _, _, pieces in self.calls)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": written,
            "total_tokens": self.prompt_tokens + written,
        }

    def envelope(self, kind: str = "chat.completion.chunk") -> Chunk:
        """Return the fields that every chunk has."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def answer_to(body: Mapping[str, Any], *, id_: str, model: str) -> Answer:
    """Return the canned answer to a checked request; a model that "reasons" thinks first, and tools are called."""
    messages = body["messages"]
    prompt = _text_of(messages[-1])
    words = sum(len(_text_of(message).split()) for message in messages)
    answer = Answer(
        id=id_, model=model, thoughts=_THOUGHTS if "r1" in model.lower() else (), prompt_tokens=max(1, words)
    )
    tool = _chosen_tool(body) if messages[-1].get("role") != "tool" else None
    if tool is not None:
        return evolve(answer, calls=((f"call_{id_[-8:]}", tool, ("{", "}")),), reason="tool_calls")
    pieces = [json.dumps({"canned": True, "prompt": prompt})] if _wants_json(body) else canned_answer(prompt)
    limit = body.get("max_tokens") or len(pieces)
    return evolve(answer, pieces=tuple(pieces[:limit]), reason="length" if limit < len(pieces) else "stop")


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    words = [str(part.get("text", "")) if part.get("type") == "text" else "[a picture]" for part in parts]
    return " ".join(word for word in words if word)


def _chosen_tool(body: Mapping[str, Any]) -> str | None:
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, Mapping):
        return str(choice["function"]["name"])
    tools = body.get("tools")
    return str(tools[0]["function"]["name"]) if tools and choice != "none" else None


def _wants_json(body: Mapping[str, Any]) -> bool:
    return (body.get("response_format") or {}).get("type") in ("json_object", "json_schema")


def whole(answer: Answer) -> Chunk:
    """Return the answer as one body."""
    message: Chunk = {"role": "assistant", "content": "".join(answer.pieces) or None}
    if answer.thoughts:
        message["reasoning_content"] = "".join(answer.thoughts)
    if answer.calls:
        message["tool_calls"] = [_call(id_, name, "".join(pieces)) for id_, name, pieces in answer.calls]
    choice = {"index": 0, "message": message, "finish_reason": answer.reason, "logprobs": None}
    return {**answer.envelope("chat.completion"), "choices": [choice], "usage": answer.usage}


def _call(id_: str | None, name: str | None, arguments: str, **more: Any) -> Chunk:
    return {**more, "id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def chunks(answer: Answer, *, provider: str, usage: bool) -> Iterator[Chunk | str]:
    """Yield the data of a stream's events, the last one the end marker where this provider sends one."""
    if provider == "cerebras":
        yield from _cerebras(answer)
    elif provider == "novita":
        yield from _novita(answer)
    else:
        yield from _usual(answer, usage=usage)


def _chunk(answer: Answer, delta: Chunk, reason: str | None = None, **more: Any) -> Chunk:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {**answer.envelope(), "choices": [choice], **more}


def _deltas(answer: Answer, *, thoughts: Iterable[Chunk]) -> Iterator[Chunk]:
    yield from thoughts
    yield from ({"content": piece} for piece in answer.pieces)
    for index, (id_, name, pieces) in enumerate(answer.calls):
        yield {"tool_calls": [_call(id_, name, "", index=index)]}
        yield from ({"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces)


def _cerebras(answer: Answer) -> Iterator[Chunk | str]:
    """The role alone first, reasoning as `reasoning`, usage beside the finish reason, no end marker."""
    yield _chunk(answer, {"role": "assistant"})
    for delta in _deltas(answer, thoughts=({"reasoning": thought} for thought in answer.thoughts)):
        yield _chunk(answer, delta)
    yield _chunk(answer, {}, answer.reason, usage=answer.usage, time_info={"total_time": 0.01})


def _novita(answer: Answer) -> Iterator[Chunk | str]:
    """Usage with every chunk, `reasoning_content`, the finish reason beside the last piece."""
    deltas = list(_deltas(answer, thoughts=({"reasoning_content": thought} for thought in answer.thoughts))) or [{}]
    for number, delta in enumerate(deltas, start=1):
        counts = answer.usage | {"completion_tokens": number, "total_tokens": answer.prompt_tokens + number}
        reason = answer.reason if number == len(deltas) else None
        yield _chunk(answer, {"role": "assistant", **delta}, reason, usage=counts, system_fingerprint="")
    yield "[DONE]"


def _usual(answer: Answer, *, usage: bool) -> Iterator[Chunk | str]:
    """Reasoning inline between tags, usage in a chunk of its own if it was asked for."""
    thoughts = [*("<think>", *answer.thoughts, "</think>")] if answer.thoughts else []
    yield _chunk(answer, {"role": "assistant", "content": ""}, usage=None)
    for delta in _deltas(answer, thoughts=({"content": thought} for thought in thoughts)):
        yield _chunk(answer, delta, usage=None)
    yield _chunk(answer, {}, answer.reason, usage=None)
    if usage:
        yield {**answer.envelope(), "choices": [], "usage": answer.usage}
    yield "[DONE]"
