"""What real servers sent, replayed at every split of the bytes; skipped where the recordings are not there."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.allenai.wires import read

from core_allenai._entries import read_entries
from core_allenai._errors import refine
from core_allenai._wire import ThreadReader
from core_chat import (
    AuthenticationError,
    ContextLengthError,
    ConversationExpiredError,
    CoreError,
    Event,
    Finish,
    ModelNotFoundError,
    Notice,
    ProviderError,
    RateLimitError,
    ReasoningDelta,
    RequestRejectedError,
    Route,
    TextDelta,
    ToolCallDelta,
    UnavailableError,
)
from core_chat.http import Failure

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "allenai"
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"the recordings are not at {RECORDED}")

OLMO = ["Hello", "! I", "'m", " OLMo", "."]
UNICODE = ["Tülu 🐕 ", "line1\nline2 ", "sep\u2028end ", "   ", '"q" \\ tab\t', "日本語"]
THOUGHTS = ["The user ", "greets me.\n", "I reply."]
CALLS = [
    ToolCallDelta(0, "call_abc", "get_weather"),
    ToolCallDelta(0, arguments='{"location": '),
    ToolCallDelta(0, arguments='"Boston, MA"}'),
]
STOP = Finish("stop")


def said(*pieces: str) -> list[Event]:
    """Text events and the usual end."""
    return [*map(TextDelta, pieces), STOP]


WHOLE: dict[str, tuple[str, str, list[Event]]] = {
    "10_stream_nosys": ("msg_X5K9A4H7J5", "msg_Q2Q1Y4C7Z4", said(*OLMO)),
    "11_stream_sys": ("msg_H3W7P2F0R6", "msg_O8F3T4I4R5", said(*OLMO)),
    "120_mm_image": ("msg_M2S8X1V9U7", "msg_Z1X8M5E6U7", said(*OLMO)),
    "13_stream_think2": ("msg_E5H6U5I8U9", "msg_R2M6H2K1E6", [*map(ReasoningDelta, THOUGHTS), *said(*OLMO)]),
    "20_followup_ok": ("msg_E5H6U5I8U9", "msg_R1F0W1M0T4", said(*OLMO)),
    "200_old_stream_nosys": ("msg_O0K6I1A8D9", "msg_U7H2P8J6A3", said(*OLMO)),
    "201_old_followup": ("msg_O0K6I1A8D9", "msg_H1N4L0M7Z5", said(*OLMO)),
    "71_unicode": ("msg_M5A0B7C9E5", "msg_C5S0L9B4J8", said(*UNICODE)),
    "76_tool_user_defined": ("msg_X0K5W4O8M8", "msg_Z8P1D2T2W9", [*CALLS, Finish("tool_calls")]),
    "v5_derived_01_new_thread_system": ("msg_R0R0R0R0R0", "msg_A2A2A2A2A2", said(*OLMO)),
    "v5_derived_03_followup": ("msg_R0R0R0R0R0", "msg_A4A4A4A4A4", said("Sure", ".")),
}
"""Per recording: the thread, the assistant's message, and the events after the `Route`."""

FAILED: dict[str, type[ProviderError]] = {
    "60_ctx_len": ContextLengthError,
    "64_backend_429": RateLimitError,
    "v5_derived_05_error_before_output": UnavailableError,
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_answers_are_exact_at_every_split(name: str) -> None:
    """The same events wherever the bytes are cut, and the ids that continue the conversation."""
    body = (RECORDED / f"{name}.ndjson").read_bytes()
    root, answer, expected = WHOLE[name]
    for cut in range(len(body) + 1):
        reader = ThreadReader(model="?")
        first, *events = read(body, cuts=[cut], reader=reader)
        assert isinstance(first, Route)
        assert first.upstream_id == root
        assert events == expected
        assert (reader.root, reader.answer) == (root, answer)


@pytest.mark.parametrize("name", FAILED)
def test_failures_are_errors_at_every_split(name: str) -> None:
    """Never an end, whether a line `end` follows or the body breaks off."""
    body = (RECORDED / f"{name}.ndjson").read_bytes()
    for cut in range(len(body) + 1):
        with pytest.raises(FAILED[name]):
            read(body, cuts=[cut])


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_that_is_cut_anywhere_is_an_error(name: str) -> None:
    """Only the line end of the last line may be missing."""
    body = (RECORDED / f"{name}.ndjson").read_bytes().rstrip()
    for end in range(0, len(body), 7):
        with pytest.raises(CoreError):
            read(body[:end])


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("23_followup_unknown_parent", 400, ConversationExpiredError),
        ("30_no_auth", 401, AuthenticationError),
        ("314_v5emul_no_model", 422, RequestRejectedError),
        ("32_bad_model", 400, ModelNotFoundError),
        ("36_temp_too_high", 400, RequestRejectedError),
        ("120_mm_image", 500, UnavailableError),
    ],
)
def test_error_bodies_of_both_families_are_understood(name: str, status: int, kind: type[ProviderError]) -> None:
    """By their sentence or their type."""
    failure = Failure(status, body=(RECORDED / f"{name}.json").read_bytes())
    error = refine(failure) or failure.default_error()
    assert type(error) is kind
    assert error.status == status


def test_the_model_list_is_understood() -> None:
    """What a person can use, with limits, files, tools and thinking."""
    rows: Any = json.loads((RECORDED / "01_models_list.json").read_bytes())
    entries = {entry.id: entry for entry in read_entries(rows)}
    assert len(entries) == len(rows)
    assert not entries["tulu3-405b"].usable
    assert entries["local-think"].info().features == frozenset({"tools", "reasoning"})
    assert entries["local-think"].tools == ("create_random_number",)
    molmo = entries["mm-olmo-uber-model-v4-synthetic"]
    assert molmo.takes_images
    assert (molmo.max_files, molmo.max_bytes, molmo.require_file) == (1, None, "first_message")
    assert molmo.limits == {"temperature": (0.0, 1.0), "top_p": (0.0, 1.0), "max_tokens": (1, 2048)}


def test_a_notice_is_no_part_of_any_recording() -> None:
    """None of the recorded answers needs one."""
    for name in WHOLE:
        events = read((RECORDED / f"{name}.ndjson").read_bytes())
        assert not any(isinstance(event, Notice) for event in events)
