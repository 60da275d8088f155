"""The decoder of the text-generation wire."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_chat.errors import (
    IncompleteStreamError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    RequestRejectedError,
    UnavailableError,
)
from core_chat.events import Event, Finish, TextDelta, Usage
from core_chat.http import SSEDecoder
from core_chat.openai import ChatDecoder
from core_huggingface.textgen import TextDecoder, decoder_for

RECORDED = Path(__file__).parents[2].parent / "shared/recorded/huggingface"
needs_recordings = pytest.mark.skipif(not RECORDED.exists(), reason="the recorded bodies are not here")


def _piece(text: str, **more: Any) -> dict[str, Any]:
    token = {"id": 1, "text": text, "logprob": -0.1, "special": more.pop("special", False)}
    return {"index": 1, "token": token, "generated_text": None, "details": None, **more}


def _stream(*pieces: dict[str, Any], ends: str = "\n") -> bytes:
    return "".join(f"data:{json.dumps(piece)}{ends}{ends}" for piece in pieces).encode()


def _decode(body: bytes, *cuts: int) -> list[Event]:
    """Decode a stream that arrives in pieces."""
    text, lines = TextDecoder(), SSEDecoder()
    events: list[Event] = []
    places = [0, *sorted(cuts), len(body)]
    for start, stop in itertools.pairwise(places):
        for sent in lines.feed(body[start:stop]):
            events.extend(text.feed(sent.data, sent.event))
    return [*events, *text.end()]


DETAILS = {"finish_reason": "eos_token", "generated_tokens": 4, "seed": 7, "input_length": 3}
ANSWER = (
    _piece(" "),
    _piece("Hé"),
    _piece("\u2028\n"),
    _piece(""),
    _piece("</s>", special=True, generated_text=" Hé\u2028\n", details=DETAILS),
)
EVENTS = [TextDelta(" "), TextDelta("Hé"), TextDelta("\u2028\n"), Usage(3, 4), Finish("stop", raw="eos_token")]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_a_stream_gives_the_same_events_at_every_split(ends: str) -> None:
    """Each token's text is an event, exactly as sent; empty and special tokens are none; the details make the end."""
    body = _stream(*ANSWER, ends=ends) + (b"\n" if ends == "\r" else b"")
    for cut in range(len(body) + 1):
        assert _decode(body, cut) == EVENTS


@needs_recordings
@pytest.mark.parametrize("name", ["textgen_stream_tgi_llama2.txt", "textgen_stream_tgi_flan_t5_noindex.txt"])
def test_recorded_streams_give_their_text_at_every_split(name: str) -> None:
    """Two real answers, one of them from before tokens had an index; neither tells why it ended."""
    body = (RECORDED / name).read_bytes()
    expected = json.loads((RECORDED / "expected_streams.json").read_text(encoding="utf-8"))[name]
    whole = _decode(body)
    text = "".join(event.text for event in whole if isinstance(event, TextDelta))
    assert len(text) == expected["content_len"]
    assert expected["tgi_generated_text"].endswith(text.lstrip())
    assert whole[-1] == Finish("stop")
    assert len(whole) == expected["json_events"] - expected["tgi_special_tokens"] + 1
    for cut in range(len(body) + 1):
        assert _decode(body, cut) == whole
    assert _decode(body, *range(len(body))) == whole


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=8), st.data())
def test_any_text_survives_any_split(texts: list[str], data: st.DataObject) -> None:
    """Nothing is lost, merged or changed, whatever the text and wherever the bytes are cut."""
    body = _stream(*map(_piece, texts), _piece("", generated_text="".join(texts), details=DETAILS))
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    assert _decode(body, *cuts)[:-2] == [TextDelta(text) for text in texts]


@pytest.mark.parametrize(
    ("raw", "reason"), [("length", "length"), ("eos_token", "stop"), ("stop_sequence", "stop"), ("new_word", "other")]
)
def test_the_reason_comes_from_the_details(raw: str, reason: str) -> None:
    """The upstream's own word is kept, and brought to ours."""
    body = _stream(_piece("a", generated_text="a", details={"finish_reason": raw}))
    assert _decode(body) == [TextDelta("a"), Finish(reason, raw=raw)]  # type: ignore[arg-type]  # a parameter


def test_text_that_stands_in_the_last_piece_comes_before_the_end() -> None:
    """A piece may hold a token and the end at once."""
    assert _decode(_stream(_piece("a", generated_text="a", details=DETAILS)))[0] == TextDelta("a")


def test_what_comes_after_the_end_does_not_count() -> None:
    """The first end is the end."""
    assert _decode(_stream(*ANSWER, _piece("more"))) == EVENTS


@pytest.mark.parametrize("kept", range(4))
def test_a_stream_without_its_end_is_incomplete(kept: int) -> None:
    """A connection that closes early is no complete answer, whatever came before."""
    with pytest.raises(IncompleteStreamError):
        _decode(_stream(*ANSWER[:kept]))


ERRORS = [
    ({"error": "Model is overloaded", "error_type": "overloaded"}, RateLimitError, "Model is overloaded"),
    ({"error": "Input validation error: bad", "error_type": "validation"}, RequestRejectedError, "Input validation"),
    ({"error": "Request failed", "error_type": "generation"}, UnavailableError, "Request failed"),
    ({"error": "Incomplete", "error_type": "incomplete_generation"}, UnavailableError, "Incomplete"),
    ({"error": {"message": "no", "http_status_code": 422}}, RequestRejectedError, "no"),
    ({"error": ["a", "b"]}, UnavailableError, "a; b"),
]


@pytest.mark.parametrize(("value", "kind", "text"), ERRORS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_errors_inside_a_good_status_are_raised(
    value: Any, kind: type[ProviderError], text: str, *, wrapped: bool
) -> None:
    """In a stream as in a whole body, which may be a list, an error is an error."""
    with pytest.raises(kind, match=text):
        _decode(_stream(_piece("a"), value))
    with pytest.raises(kind, match=text):
        TextDecoder().read_body(json.dumps([value] if wrapped else value).encode())


def test_an_error_event_is_an_error_whatever_it_holds() -> None:
    """The name of the event tells."""
    with pytest.raises(UnavailableError, match="gone"):
        TextDecoder().feed(b'{"message": "gone"}', "error")
    with pytest.raises(UnavailableError, match="gone"):
        TextDecoder().feed(b"gone", "error")


@pytest.mark.parametrize("data", [b"", b"hello", b"[1]", b'{"token": 5}', b'{"x": 1}', b'{"token": null}', b"null"])
def test_what_is_no_piece_is_a_protocol_error(data: bytes) -> None:
    """Unknown things are never skipped."""
    with pytest.raises(ProtocolError):
        TextDecoder().feed(data)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'[{"summary": 1}]', b'"text"', b'[{"generated_text": ["a"]}]']
)
def test_what_is_no_answer_is_a_protocol_error(body: bytes) -> None:
    """A body without a generated text is no answer."""
    with pytest.raises(ProtocolError):
        TextDecoder().read_body(body)


def test_several_answers_are_refused() -> None:
    """A stream holds one answer."""
    with pytest.raises(ProtocolError, match="2 answers"):
        TextDecoder().read_body(b'[{"generated_text": "a"}, {"generated_text": "b"}]')


def test_a_key_that_an_upstream_repeats_is_cut_out() -> None:
    """Neither the text nor what came instead shows a credential."""
    decoder = TextDecoder(secrets=("hf_canary",))
    with pytest.raises(ProtocolError) as odd:
        decoder.feed(b"hf_canary")
    assert "hf_canary" not in f"{odd.value} {odd.value.got}"
    with pytest.raises(ProviderError) as told:
        decoder.feed(b'{"error": "bad key hf_canary"}')
    assert "hf_canary" not in str(told.value)


@pytest.mark.parametrize(
    "body", ['{"generated_text": " two"}', '[{"generated_text": " two"}]', '[[{"generated_text": " two"}]]']
)
def test_a_pipeline_answers_with_an_object_or_a_list_of_one(body: str) -> None:
    """Both shapes are one answer; why it ended is not told, so it has stopped."""
    decoder = TextDecoder()
    assert [*decoder.read_body(body.encode()), *decoder.end()] == [TextDelta(" two"), Finish("stop")]


def test_a_pipeline_that_repeats_the_prompt_has_it_cut_off() -> None:
    """Only what was generated is the answer."""
    decoder = TextDecoder(prompt="One")
    assert decoder.read_body(b'[{"generated_text": "One two"}]') == [TextDelta(" two")]


@needs_recordings
def test_a_recorded_answer_with_details() -> None:
    """An empty answer is no text, and its details tell the usage and the reason."""
    decoder = TextDecoder()
    body = (RECORDED / "textgen_nonstream_tgi_details.json").read_bytes()
    assert [*decoder.read_body(body), *decoder.end()] == [Usage(None, 1), Finish("length", raw="length")]


@needs_recordings
def test_a_recorded_completion() -> None:
    """An answer with choices is read as a completion."""
    body = (RECORDED / "completions_nonstream_together.json").read_bytes()
    decoder = decoder_for(body)
    events = [*decoder.read_body(body), *decoder.end()]
    assert events == [
        TextDelta(" a city of love, and it’s also"),  # noqa: RUF001 - as recorded
        Usage(3, 10),
        Finish("length", raw="length"),
    ]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"choices": [{"text": "a"}]}', ChatDecoder),
        (b'{"token": {"text": "\\"choices\\""}}', TextDecoder),
        (b'[{"generated_text": "a"}]', TextDecoder),
        (b"not json", TextDecoder),
    ],
)
def test_the_decoder_is_chosen_by_what_was_answered(data: bytes, kind: type) -> None:
    """Not by what was asked."""
    assert isinstance(decoder_for(data), kind)
