"""The reader of answers: every generation by its shape, no text lost, no failure taken for an end."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.allenai.wires import (
    ANSWER,
    ASKED,
    END,
    GENERATIONS,
    QUESTION,
    ROOT,
    ROUTE,
    START,
    answer,
    call,
    chunk,
    encoded,
    message,
    nested,
    read,
    thread,
)

from core_allenai._wire import ThreadReader
from core_chat import (
    ContextLengthError,
    Finish,
    IncompleteStreamError,
    ModelNotFoundError,
    Notice,
    ProtocolError,
    ProviderError,
    RateLimitError,
    ReasoningDelta,
    RequestRejectedError,
    TextDelta,
    ToolCallDelta,
    UnavailableError,
)

pieces_of_text = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), max_size=6)


def error_line(code: str, text: str, *, severity: str = "error") -> dict[str, Any]:
    """A typed error line."""
    told = {"errorCode": code, "errorDescription": text, "errorSeverity": severity}
    return {"message": "msg_NEVERTOLD0", "type": "error", **told}


@pytest.mark.parametrize("generation", GENERATIONS)
@given(pieces=pieces_of_text, ascii_only=st.booleans(), data=st.data())
def test_any_text_arrives_piece_by_piece_at_any_split(
    *, generation: str, pieces: list[str], ascii_only: bool, data: st.DataObject
) -> None:
    """One event per piece with exactly its text, wherever the bytes are cut."""
    body = encoded(answer(pieces, generation=generation), ascii_only=ascii_only)
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=8))
    assert read(body, cuts=cuts) == [ROUTE, *map(TextDelta, pieces), Finish("stop")]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_ids_are_learnt(generation: str) -> None:
    """The thread, the assistant's message that the next turn continues, and the last message of all."""
    reader = ThreadReader(model="olmo")
    read(encoded(answer(["Hi"], generation=generation)), reader=reader)
    assert (reader.root, reader.answer, reader.last, reader.complete) == (ROOT, ANSWER, ANSWER, True)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("missing", [1, 2])
def test_an_answer_without_its_end_is_incomplete(generation: str, missing: int) -> None:
    """Whichever lines are missing at the end."""
    lines = answer(["Hi", " you"], generation=generation)
    with pytest.raises(IncompleteStreamError, match="closing line"):
        read(encoded(lines[: len(lines) - missing]))


def test_with_a_system_prompt_the_answer_is_still_found() -> None:
    """The oldest generation nests it two levels deep."""
    reader = ThreadReader(model="olmo")
    chain = message(ROOT, "system", "Be brief"), message(ASKED, "user", "Hello"), message(ANSWER, "assistant")
    read(encoded([START, nested(*chain), chunk("Hi"), nested(*chain), END]), reader=reader)
    assert (reader.root, reader.answer) == (ROOT, ANSWER)


def test_thinking_is_reasoning_in_chunks_and_in_the_first_state() -> None:
    """v5 puts the first thought into the message, as it does with text."""
    first = thread(message(ANSWER, "assistant", thinking="Let me "), kind="addMessage")
    lines = [START, thread(QUESTION, kind="startThread"), first, chunk("see.", kind="thinking"), chunk("Hi"), END]
    thoughts = [ReasoningDelta("Let me "), ReasoningDelta("see.")]
    assert read(encoded(lines)) == [ROUTE, *thoughts, TextDelta("Hi"), Finish("stop")]


def test_text_that_no_chunk_brought_is_taken_from_the_last_state() -> None:
    """The rest of the stored text is given out; a stored text that differs is not."""
    final = message(ANSWER, "assistant", "Hi you", final=True)
    assert read(encoded([START, chunk("Hi"), thread(final), END]))[1:-1] == [TextDelta("Hi"), TextDelta(" you")]
    other = message(ANSWER, "assistant", "Something else", final=True)
    assert read(encoded([START, chunk("Hi"), thread(other), END]))[1:-1] == [TextDelta("Hi")]


def test_what_came_before_this_turn_is_no_part_of_the_answer() -> None:
    """A state that shows the whole thread gives out only what stands below the parent."""
    history = message(ROOT, "user", "One"), message("msg_OLD0000000", "assistant", "Old", final=True)
    new = message(ASKED, "user", "Two"), message(ANSWER, "assistant", "New")
    reader = ThreadReader(model="olmo", after="msg_OLD0000000")
    assert read(encoded([START, thread(*history, *new), END]), reader=reader)[1:-1] == [TextDelta("New")]


def test_a_route_is_told_even_without_a_state() -> None:
    """Then with what is known: the model that was asked for."""
    first = read(encoded([START, chunk("Hi"), END]))[0]
    assert first == ROUTE.__class__("allenai", "olmo", upstream_id=ROOT)


@pytest.mark.parametrize(
    "arguments",
    [["", '{"city": ', '"Rome"}'], [None, '{"city": "Rome"}'], [{"city": "Rome"}], ['{"city": "Rome"}', ""]],
)
def test_tool_calls_of_the_caller_come_in_pieces(arguments: list[Any]) -> None:
    """Texts, objects and nothing are arguments; the deltas after the first name neither tool nor source."""
    first, *rest = arguments
    chunks = [call(first, name="weather", source="user_defined"), *map(call, rest)]
    events = read(encoded([START, thread(QUESTION), *chunks, END]))
    deltas = [event for event in events if isinstance(event, ToolCallDelta)]
    assert (deltas[0].index, deltas[0].id, deltas[0].name) == (0, "call_1", "weather")
    assert all((delta.id, delta.name) == (None, None) and delta.arguments for delta in deltas[1:])
    assert "".join(delta.arguments for delta in deltas) == '{"city": "Rome"}'
    assert events[-1] == Finish("tool_calls")


def test_two_tool_calls_keep_apart() -> None:
    """Each has an index of its own."""
    chunks = [call("{}", name="a"), call("{}", name="b", call_id="call_2")]
    deltas = [event for event in read(encoded([START, *chunks, END])) if isinstance(event, ToolCallDelta)]
    assert [(delta.index, delta.id, delta.name) for delta in deltas] == [(0, "call_1", "a"), (1, "call_2", "b")]


def test_a_tool_call_that_only_the_stored_message_has_is_given_out() -> None:
    """Once, though the state may come twice."""
    told = {"toolCallId": "call_1", "toolName": "weather", "toolSource": "user_defined", "args": {"city": "Rome"}}
    final = thread(message(ANSWER, "assistant", final=True, toolCalls=[told]))
    events = read(encoded([START, final, final, END]))
    assert events[1:] == [ToolCallDelta(0, "call_1", "weather", '{"city": "Rome"}'), Finish("tool_calls")]


@pytest.mark.parametrize("source", ["internal", "model_context_protocol"])
def test_tools_the_service_runs_itself_are_only_told(source: str) -> None:
    """No call reaches the caller, who could not answer it, and the answer goes on."""
    stored = {"toolCallId": "call_1", "toolName": "dice", "toolSource": source, "args": {}}
    ran = thread(
        message(ANSWER, "assistant", final=True, toolCalls=[stored]), message("msg_R", "tool_call_result", "7")
    )
    chunks = [call("", name="dice", source=source), call("{}"), ran, chunk("Seven", message_id="msg_SECOND0000")]
    events = read(encoded([START, *chunks, END]))
    assert [type(event) for event in events[1:]] == [Notice, TextDelta, Finish]
    assert events[-1] == Finish("stop")


@pytest.mark.parametrize(
    ("reason", "text", "kind"),
    [
        ("length", "This model's maximum context length is 4096 tokens.", ContextLengthError),
        ("value error", "max_tokens is too large", RequestRejectedError),
        ("Model http error", "http error: status_code: 429, model_name: m, body: {}", RateLimitError),
        ("Model http error", "http error: status_code: 400, model_name: m, body: {}", RequestRejectedError),
        ("Model http error", "http error: status_code: 503, model_name: m, body: {}", UnavailableError),
        ("Model http error", "http error: status_code: 401, model_name: m, body: {}", UnavailableError),
        ("Unknown error", "Unknown Error Unsupported model host: inferd", ModelNotFoundError),
        ("Unknown error", "Unknown Error", UnavailableError),
        ("unclosed stream", "", IncompleteStreamError),
        ("model overloaded", "", UnavailableError),
        ("tool error", "Call exceed the max tool call limit of 10.", ProviderError),
        ("finalization failure", "failed to finalize message msg_1", UnavailableError),
    ],
)
def test_a_failure_without_a_type_ends_the_answer_at_once(reason: str, text: str, kind: type[ProviderError]) -> None:
    """The body is cut after it, so nothing more is waited for."""
    reader = ThreadReader(model="olmo")
    with pytest.raises(kind) as caught:
        reader.feed(encoded([{"error": text, "message": ANSWER, "reason": reason}]))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("otherError", "status_code: 429, model_name: m, body: {}", RateLimitError),
        ("otherError", "This model's maximum context length is 4096 tokens.", ContextLengthError),
        ("otherError", "OperationalError", UnavailableError),
        ("toolCallError", "Could not find tool 'x'.", ProviderError),
    ],
)
@pytest.mark.parametrize("pieces", [[], ["Hi", " you"]])
def test_a_typed_failure_is_raised_at_the_end(
    *, code: str, text: str, kind: type[ProviderError], pieces: list[str]
) -> None:
    """After all the text that stands before it, and not taken back by the states and the end line that follow."""
    whole = message(ANSWER, "assistant", "".join(pieces), final=True)
    reader = ThreadReader(model="olmo")
    body = [START, thread(QUESTION), *map(chunk, pieces), error_line(code, text), thread(QUESTION, whole)]
    events = [event for line in body for event in reader.feed(encoded([line]))]
    assert events == [ROUTE, *map(TextDelta, pieces)]
    with pytest.raises(kind) as caught:
        reader.feed(encoded([END]))
    assert type(caught.value) is kind


def test_a_typed_failure_is_raised_too_where_the_end_is_missing() -> None:
    """The failure is the news."""
    with pytest.raises(RateLimitError):
        read(encoded([START, error_line("otherError", "status_code: 429")]))


@pytest.mark.parametrize(
    "goes_on", [chunk("Sorry."), thread(message(ANSWER, "assistant", "Sorry."), kind="addMessage")]
)
def test_a_tool_call_that_failed_is_forgiven_when_the_model_goes_on(goes_on: dict[str, Any]) -> None:
    """It is told in a notice; any other failure stays one."""
    failed = error_line("toolCallError", "Wrong arguments.")
    events = read(encoded([START, thread(QUESTION), failed, goes_on, END]))
    assert events[1:] == [Notice("tool_call_failed", "Wrong arguments."), TextDelta("Sorry."), Finish("stop")]
    with pytest.raises(UnavailableError):
        read(encoded([START, thread(QUESTION), error_line("otherError", "boom!"), goes_on, END]))


def test_a_mere_warning_is_a_notice() -> None:
    """It does not end the answer."""
    warned = error_line("otherError", "Slow today.", severity="warning")
    assert read(encoded([START, warned, chunk("Hi"), END]))[0] == Notice("upstream_warning", "Slow today.")


@pytest.mark.parametrize(
    ("stored", "finish"),
    [
        ({"finishReason": "stop"}, Finish("stop", raw="stop")),
        ({"finishReason": "length"}, Finish("length", raw="length")),
        ({"isLimitReached": True}, Finish("length", raw="length")),
        ({"finishReason": "something new"}, Finish("other", raw="something new")),
    ],
)
def test_the_stored_reason_is_told(stored: dict[str, Any], finish: Finish) -> None:
    """In the service's own word too."""
    final = message(ANSWER, "assistant", "Hi", final=True, **stored)
    assert read(encoded([START, chunk("Hi"), thread(final), END]))[-1] == finish


@pytest.mark.parametrize(
    ("stored", "kind"),
    [
        ({"finishReason": "aborted"}, IncompleteStreamError),
        ({"finishReason": "model overloaded"}, UnavailableError),
        ({"errorCode": "otherError", "errorDescription": "status_code: 429"}, RateLimitError),
    ],
)
def test_a_failure_that_only_the_stored_message_tells_is_one(stored: dict[str, Any], kind: type[ProviderError]) -> None:
    """A finished line does not make a finished answer."""
    final = message(ANSWER, "assistant", "Hi", final=True, **stored)
    with pytest.raises(kind):
        read(encoded([START, chunk("Hi"), thread(final), END]))


def test_no_room_for_any_answer_is_a_context_error() -> None:
    """An empty answer that ended on its length had no room to begin with."""
    final = message(ANSWER, "assistant", final=True, finishReason="length")
    with pytest.raises(ContextLengthError):
        read(encoded([START, thread(final), END]))


@pytest.mark.parametrize("line", [b"<html>", b"[1]", b"null", b"\xff\xfe", b'{"type": "modelResponse", "content": 1}'])
def test_what_is_no_line_of_the_protocol_is_an_error(line: bytes) -> None:
    """It says what came instead."""
    with pytest.raises(ProtocolError) as caught:
        ThreadReader(model="olmo").feed(line)
    assert caught.value.got


def test_unknown_lines_are_passed_over() -> None:
    """A newer service may say more."""
    assert read(encoded([START, {"type": "usage", "message": ROOT}, chunk("Hi"), END]))[1:-1] == [TextDelta("Hi")]


def test_half_a_surrogate_pair_does_not_end_the_answer() -> None:
    """Python's servers write it, and no other JSON reader takes it."""
    body = encoded([START]) + b'{"type": "modelResponse", "message": "m", "content": "\\ud83d"}\n' + encoded([END])
    assert read(body)[1:-1] == [TextDelta("\ud83d")]


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: encoded([v]))
)
def test_nonsense_raises_nothing_but_provider_errors(line: bytes) -> None:
    """Whatever the bytes are."""
    with contextlib.suppress(ProviderError):
        ThreadReader(model="olmo").feed(line)


@given(
    st.dictionaries(
        st.sampled_from(["type", "message", "content", "messages", "id", "role", "children", "error", "toolCalls"]),
        st.sampled_from(["modelResponse", "toolCall", "error", "end", "assistant"])
        | st.none()
        | st.integers()
        | st.lists(
            st.dictionaries(st.sampled_from(["id", "role", "children", "toolCalls", "final"]), st.text() | st.none())
        ),
    )
)
def test_odd_shapes_raise_nothing_but_provider_errors(data: dict[str, Any]) -> None:
    """Fields of other kinds than expected are no crash."""
    with contextlib.suppress(ProviderError):
        ThreadReader(model="olmo").feed(encoded([data]))
