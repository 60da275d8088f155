"""The decoder of the OpenAI-style chat wire: dialects, usage, finish reasons, errors."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_chat.errors import (
    AuthenticationError,
    ContextLengthError,
    IncompleteStreamError,
    ModelNotFoundError,
    PaymentRequiredError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    RequestRejectedError,
    UnavailableError,
)
from core_chat.events import Event, Finish, ReasoningDelta, Route, TextDelta, ToolCallDelta, Usage
from core_chat.http import Failure
from core_chat.openai import ChatDecoder

DONE = b"[DONE]"


def chunk(delta: Any = None, **choice: Any) -> bytes:
    """The data of one event."""
    return json.dumps({"choices": [{"index": 0, "delta": delta or {}, **choice}]}).encode()


def decode(*pieces: bytes, decoder: ChatDecoder | None = None) -> list[Event]:
    """All events of an answer."""
    decoder = decoder or ChatDecoder()
    return [*(event for data in pieces for event in decoder.feed(data)), *decoder.end()]


def test_text_comes_piece_by_piece() -> None:
    """Each piece is one event, exactly as it was sent; empty and null ones are none."""
    pieces = ["Hi", " \n", "", "\u2028", " there", None]
    events = decode(*(chunk({"role": "assistant", "content": piece}) for piece in pieces), chunk(finish_reason="stop"))
    assert events == [*(TextDelta(piece) for piece in pieces if piece), Finish("stop", raw="stop")]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)))
def test_any_text_arrives_unchanged(pieces: list[str]) -> None:
    """Whatever stands in the pieces of an answer that has begun, it comes out as it went in."""
    events = decode(*(chunk({"content": piece}) for piece in ["Well: ", *pieces]), DONE)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Well: ", *pieces]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "reasoning_text"])
def test_reasoning_has_three_names(name: str) -> None:
    """All of them become `ReasoningDelta`, before the text of the same piece."""
    events = decode(chunk({name: " ", "content": ""}), chunk({name: "hm", "content": "Ah"}), DONE)
    assert events[:3] == [ReasoningDelta(" "), ReasoningDelta("hm"), TextDelta("Ah")]


def test_one_thought_under_two_names_is_told_once() -> None:
    """Some servers send the same reasoning twice in one piece."""
    events = decode(chunk({"reasoning": "hm", "reasoning_content": "hm"}), DONE)
    assert events == [ReasoningDelta("hm"), Finish("stop")]


def test_content_may_be_a_list_of_parts() -> None:
    """Texts and thoughts are told apart by their type; another kind is an error."""
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Ah"}]
    assert decode(chunk({"content": parts}), DONE)[:2] == [ReasoningDelta("hm"), TextDelta("Ah")]
    with pytest.raises(ProtocolError, match="unknown kind"):
        decode(chunk({"content": [{"type": "hologram"}]}), DONE)


def test_a_refusal_is_the_answer() -> None:
    """Its words are not lost."""
    assert decode(chunk({"content": None, "refusal": "No."}), DONE)[0] == TextDelta("No.")


def test_half_a_tag_before_a_tool_call_is_text() -> None:
    """Events keep their order although text had to be held back."""
    calls = [{"index": 0, "id": "a", "function": {"name": "x", "arguments": "{}"}}]
    events = decode(chunk({"content": "<th"}), chunk({"tool_calls": calls}), chunk(finish_reason="tool_calls"))
    assert events == [
        TextDelta("<th"),
        ToolCallDelta(0, "a", "x", "{}"),
        Finish("tool_calls", raw="tool_calls"),
    ]


def test_the_old_function_call_is_a_tool_call() -> None:
    """It is read where there is no list of tool calls."""
    old = {"name": "x", "arguments": "{}"}
    events = decode(chunk({"function_call": old}), chunk(finish_reason="function_call"))
    assert events == [ToolCallDelta(0, "call_0", "x", "{}"), Finish("tool_calls", raw="function_call")]
    both = {"function_call": old, "tool_calls": [{"index": 0, "id": "a", "function": old}]}
    assert len(decode(chunk(both), DONE)) == 2


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("stop_sequence", "stop"),
        ("STOP", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("something new", "other"),
    ],
)
def test_finish_reasons(raw: str, reason: str) -> None:
    """The upstream's word is kept beside what it means."""
    assert decode(chunk({"content": "Hi"}, finish_reason=raw))[-1] == Finish(reason, raw=raw)  # type: ignore[arg-type]  # literals of the table


def test_content_beside_the_finish_reason_is_not_lost() -> None:
    """Several servers put the last piece and the reason into one chunk."""
    assert decode(chunk({"content": "end"}, finish_reason="stop")) == [TextDelta("end"), Finish("stop", raw="stop")]


def test_an_answer_that_stopped_to_call_a_tool_says_so() -> None:
    """With some servers a call ends like any answer."""
    calls = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "x", "arguments": "{}"}}]}
    assert decode(chunk(calls, finish_reason="eos_token"))[-1] == Finish("tool_calls", raw="eos_token")


COUNTS = {
    "prompt_tokens": 5,
    "completion_tokens": 7,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


@pytest.mark.parametrize(
    "last",
    [
        pytest.param({"choices": [], "usage": COUNTS}, id="of its own"),
        pytest.param({"usage": COUNTS}, id="without choices"),
        pytest.param({"choices": [{"index": 0, "delta": {}, "usage": COUNTS}]}, id="in the choice"),
        pytest.param({"choices": [], "x_groq": {"id": "r", "usage": COUNTS}}, id="in a vendor's corner"),
    ],
)
def test_usage_in_all_its_places(last: dict[str, Any]) -> None:
    """It comes before `Finish`, wherever it stood and however late."""
    events = decode(chunk({"content": "Hi"}, finish_reason="stop"), json.dumps(last).encode(), DONE)
    assert events == [TextDelta("Hi"), Usage(5, 7, reasoning=2, cached=3), Finish("stop", raw="stop")]


def test_cumulative_usage_is_told_once() -> None:
    """The last counts replace the earlier ones; a null does not."""
    pieces: list[Any] = [
        {"choices": [{"delta": {"content": "a"}}], "usage": {"prompt_tokens": 5, "completion_tokens": count}}
        for count in (1, 2)
    ]
    pieces.append({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None})
    events = decode(*(json.dumps(piece).encode() for piece in pieces))
    assert events[2:] == [Usage(5, 2), Finish("stop", raw="stop")]


@pytest.mark.parametrize("usage", [{}, [], "many", {"prompt_tokens": "x"}, {"prompt_tokens": None}])
def test_usage_of_another_shape_does_not_break_an_answer(usage: Any) -> None:
    """There is then no `Usage`."""
    piece = json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": usage}).encode()
    assert decode(piece) == [Finish("stop", raw="stop")]


def test_usage_of_a_broken_answer_is_still_told() -> None:
    """It comes before the error."""
    decoder = ChatDecoder()
    decoder.feed(json.dumps({"choices": [{"delta": {"content": "a"}}], "usage": COUNTS}).encode())
    end = decoder.end()
    assert next(end) == Usage(5, 7, reasoning=2, cached=3)
    with pytest.raises(IncompleteStreamError):
        next(end)


def test_the_end_marker_alone_ends_an_answer() -> None:
    """Without a finish reason it ended by itself; what follows the marker does not count."""
    assert decode(chunk({"content": "Hi"}), DONE, chunk({"content": "late"})) == [TextDelta("Hi"), Finish("stop")]


@pytest.mark.parametrize(
    "pieces", [(), (DONE,), (chunk({"content": "Hi"}),), (chunk({"role": "assistant"}, finish_reason=None),)]
)
def test_an_answer_without_its_end_is_incomplete(pieces: tuple[bytes, ...]) -> None:
    """Nothing at all, an end marker alone, or no end."""
    with pytest.raises(IncompleteStreamError):
        decode(*pieces)


@pytest.mark.parametrize("raw", ["error", "abort", "ABORTED", "cancelled"])
def test_an_answer_given_up_is_an_error(raw: str) -> None:
    """A finish reason may say that the answer failed."""
    with pytest.raises(UnavailableError, match=raw):
        decode(chunk({"content": "Hi"}, finish_reason=raw))


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        ({"error": {"message": "slow", "http_status_code": 422}}, RequestRejectedError, 422),
        ({"error": {"message": "slow down", "code": 429}}, RateLimitError, 429),
        ({"error": {"message": "slow down", "type": "tokens", "code": "rate_limit_exceeded"}}, RateLimitError, None),
        ({"error": {"message": "pay", "code": "insufficient_quota"}}, PaymentRequiredError, None),
        ({"error": {"message": "who?", "type": "authentication_error"}}, AuthenticationError, None),
        ({"error": {"message": "which?", "code": "model_not_found"}}, ModelNotFoundError, None),
        ({"error": {"message": "long", "code": "context_length_exceeded", "status": "400"}}, ContextLengthError, 400),
        ({"error": "Input is wrong", "error_type": "validation"}, RequestRejectedError, None),
        ({"error": "Model is overloaded", "error_type": "overloaded"}, RateLimitError, None),
        ({"error": "it broke"}, UnavailableError, None),
        ({"error": {"message": "gone"}, "choices": [{"delta": {}, "finish_reason": "error"}]}, UnavailableError, None),
        ({"object": "error", "message": "it broke", "code": 400}, RequestRejectedError, 400),
        ({"detail": [{"loc": ["body", "x"], "msg": "bad", "type": "t"}]}, UnavailableError, None),
        (["it broke"], UnavailableError, None),
    ],
)
def test_errors_inside_a_stream(data: Any, kind: type[ProviderError], status: int | None) -> None:
    """Every shape becomes the error it means; its status is one that the upstream named."""
    with pytest.raises(kind) as caught:
        decode(chunk({"role": "assistant"}), json.dumps(data).encode())
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert caught.value.text


def test_an_error_after_the_beginning_is_not_tried_again() -> None:
    """What has begun may run on, and cost; an error as the first thing of all is like one with a status."""
    busy = b'{"error": {"message": "busy", "code": 429}}'
    for pieces, retryable in (((), True), ((chunk({"role": "assistant"}),), False)):
        with pytest.raises(RateLimitError) as caught:
            decode(*pieces, busy)
        assert caught.value.retryable is retryable


def test_a_whole_answer_needs_no_reason() -> None:
    """Its end is the body's."""
    decoder = ChatDecoder()
    body = b'{"choices": [{"message": {"content": "Hi"}}]}'
    assert [*decoder.read_body(body), *decoder.end()] == [TextDelta("Hi"), Finish("stop")]


def test_an_error_event_is_an_error_whatever_it_holds() -> None:
    """The event's name is enough: a message, a plain text, even an empty object."""
    for data, told in ((b'{"message": "down"}', "down"), (b"plain words", "plain words"), (b"{}", "without a text")):
        with pytest.raises(ProviderError, match=told):
            ChatDecoder().feed(data, "error")


def test_an_error_line_that_is_broken_json_keeps_its_words() -> None:
    """Some servers do not escape what they quote."""
    with pytest.raises(UnavailableError, match='bad "temperature"'):
        ChatDecoder().feed(b'{"error": "bad "temperature""}')


def test_json_that_only_python_writes_is_read() -> None:
    """NaN, halves of a surrogate pair and broken UTF-8 do not end an answer."""
    pieces = (
        b'{"choices":[{"delta":{"content":"a"},"logprobs":{"x":NaN}}]}',
        b'{"choices":[{"delta":{"content":"b\\ud83d"}}]}',
        b'{"choices":[{"delta":{"content":"c\xff"},"finish_reason":"stop"}]}',
    )
    texts = [event.text for event in decode(*pieces) if isinstance(event, TextDelta)]
    assert texts == ["a", "b\ufffd", "c\ufffd"]


@pytest.mark.parametrize("data", [b"<html>", b"data", b'"text', b"{", b'{"choices": 5}', b"[1"])
def test_what_is_no_chunk_is_a_protocol_error(data: bytes) -> None:
    """The error says what came instead."""
    with pytest.raises(ProtocolError) as caught:
        ChatDecoder().feed(data)
    assert caught.value.got == data.decode()


def test_errors_never_show_a_credential() -> None:
    """A server that echoes the key does not get it into a text of ours."""
    for data in (b'{"error": {"message": "bad key sk-1"}}', b"sk-1 is no JSON"):
        with pytest.raises(ProviderError) as caught:
            ChatDecoder(secrets=("sk-1",)).feed(data)
        assert "sk-1" not in f"{caught.value}{caught.value!r}{vars(caught.value)}"


def test_a_plugin_may_know_better_what_an_error_means() -> None:
    """`refine` is asked before the default."""

    def refine(failure: Failure) -> ProviderError | None:
        return failure.error(ModelNotFoundError) if failure.code == "our_own" else None

    with pytest.raises(ModelNotFoundError):
        ChatDecoder(refine=refine).feed(b'{"error": {"message": "no", "code": "our_own"}}')


def test_pieces_that_say_nothing_are_no_event() -> None:
    """Pings and empty lists of choices are liveness."""
    assert decode(b'{"type": "ping"}', b'{"choices": []}', chunk({"content": "Hi"}), DONE)[0] == TextDelta("Hi")


def test_the_route_comes_first_with_the_answers_id() -> None:
    """The id of the first chunk is taken where the headers gave none."""
    data = b'{"id": "chatcmpl-1", "choices": [{"delta": {"content": "Hi"}}]}'
    assert decode(data, DONE, decoder=ChatDecoder(route=Route("acme", "m")))[0] == Route(
        "acme", "m", upstream_id="chatcmpl-1"
    )
    given = Route("acme", "m", upstream_id="req-1")
    assert decode(data, DONE, decoder=ChatDecoder(route=given))[0] == given


def test_two_answers_at_once_are_an_error() -> None:
    """They would be mixed into one text."""
    with pytest.raises(ProtocolError, match="several"):
        decode(chunk({"content": "a"}), b'{"choices": [{"index": 1, "delta": {"content": "b"}}]}')


def test_a_whole_answer_is_read_like_a_stream() -> None:
    """The parts of a `message` become events in order."""
    message = {
        "role": "assistant",
        "reasoning_content": "hm",
        "content": "Ah",
        "tool_calls": [{"id": 0, "function": {"name": "x", "arguments": {"a": 1}}}],
    }
    body = {"id": "", "choices": [{"index": 0, "message": message, "finish_reason": "eos_token"}], "usage": COUNTS}
    decoder = ChatDecoder()
    events = [*decoder.read_body(json.dumps(body).encode()), *decoder.end()]
    assert events == [
        ReasoningDelta("hm"),
        TextDelta("Ah"),
        ToolCallDelta(0, "0", "x", '{"a": 1}'),
        Usage(5, 7, reasoning=2, cached=3),
        Finish("tool_calls", raw="eos_token"),
    ]


def test_a_body_without_an_answer_is_a_protocol_error() -> None:
    """JSON of some other kind is none."""
    for body in (b"{}", b'{"id": "x"}', b'{"choices": []}'):
        with pytest.raises(ProtocolError, match="no chat answer"):
            ChatDecoder().read_body(body)


def test_completions_are_read_too() -> None:
    """The older endpoint has `text` where the newer has a delta."""
    pieces = (b'{"choices":[{"index":0,"text":"Hi"}]}', b'{"choices":[{"text":"","finish_reason":"length"}]}')
    assert decode(*pieces) == [TextDelta("Hi"), Finish("length", raw="length")]
