"""Streams that real servers sent give the recorded text, however the bytes are cut."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from core_chat.errors import UnavailableError
from core_chat.events import Event, Finish, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from core_chat.http import SSEDecoder
from core_chat.openai import ChatDecoder

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "huggingface"
EXPECTED = RECORDED / "expected_streams.json"
_BYTEWISE_BELOW = 14_000

pytestmark = pytest.mark.skipif(not EXPECTED.exists(), reason="the recorded bodies are not there")


def chats() -> dict[str, dict[str, Any]]:
    """What is expected of each chat stream."""
    known = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    return {name: facts for name, facts in known.items() if not name.startswith("textgen_")}


COMPLETE = [name for name, facts in chats().items() if facts["error"] is None]


def decode(pieces: list[bytes]) -> list[Event]:
    """All events of a stream that comes in these pieces."""
    wire, chat = SSEDecoder(), ChatDecoder()
    events = [event for piece in pieces for sent in wire.feed(piece) for event in chat.feed(sent.data, sent.event)]
    return [*events, *chat.end()]


def content(events: list[Event], *, tagged: bool) -> str:
    """The whole content as it was sent: with its tags, where there were any."""
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    thoughts = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    return f"<think>{thoughts}</think>{text}" if tagged else text


@pytest.mark.parametrize("name", COMPLETE)
def test_recorded_streams_give_their_text(name: str) -> None:
    """Text, finish reason, usage and tool calls are those that were recorded."""
    facts = chats()[name]
    events = decode([(RECORDED / name).read_bytes()])
    text = content(events, tagged=facts["has_think_tags"])
    assert hashlib.sha256(text.encode()).hexdigest() == facts["content_sha256"]
    finish = events[-1]
    assert isinstance(finish, Finish)
    assert finish.raw == finish.reason == facts["finish_reason"]
    usage = facts["usage"] and Usage(facts["usage"]["prompt_tokens"], facts["usage"]["completion_tokens"])
    assert [event for event in events if isinstance(event, Usage)] == ([usage] if usage else [])
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    for index, call in (facts["tool_calls"] or {}).items():
        mine = [event for event in calls if event.index == int(index)]
        assert [(mine[0].id, mine[0].name)] == [(call["id"], call["name"])]
        assert "".join(event.arguments for event in mine) == call["arguments"]
    assert bool(calls) == bool(facts["tool_calls"])


@pytest.mark.parametrize("name", COMPLETE)
def test_every_split_gives_the_same_events(name: str) -> None:
    """Byte by byte, in pieces of every small size, and for all but the longest stream cut in two at every place."""
    body = (RECORDED / name).read_bytes()
    whole = decode([body])
    for size in (*range(1, 40), 1000, 4096):
        assert decode([body[start : start + size] for start in range(0, len(body), size)]) == whole
    if len(body) < _BYTEWISE_BELOW:
        for place in range(len(body)):
            assert decode([body[:place], body[place:]]) == whole


def test_a_recorded_error_in_the_middle_is_raised() -> None:
    """The server's words are kept."""
    with pytest.raises(UnavailableError, match="strictly positive"):
        decode([(RECORDED / "transformers_serve_error_midstream.txt").read_bytes()])


def test_a_recorded_answer_that_is_no_stream() -> None:
    """A whole answer in an old dialect: a number as id, arguments as an object, no content."""
    decoder = ChatDecoder()
    body = (RECORDED / "chat_nonstream_tgi_toolcall.json").read_bytes()
    events = [*decoder.read_body(body), *decoder.end()]
    arguments = '{"format": "fahrenheit", "location": "San Francisco, CA"}'
    assert events == [
        ToolCallDelta(0, "0", "get_current_weather", arguments),
        Usage(144, 16),
        Finish("tool_calls", raw="eos_token"),
    ]
