"""Reading predictions: their state, output, usage, errors and files."""

import base64
import json
from typing import Any

import pytest

from core_chat import (
    ContentFilteredError,
    ContextLengthError,
    IncompleteStreamError,
    Media,
    ProtocolError,
    ProviderError,
    UnavailableError,
    Usage,
)
from core_replicate._predictions import (
    Prediction,
    as_media,
    failure_of,
    output_pieces,
    read_prediction,
    usage_of,
)


def prediction(**fields: Any) -> Prediction:
    """Return a prediction with these fields."""
    return read_prediction({"id": "abc", **fields})


def test_a_fresh_prediction_needs_only_an_id() -> None:
    """Whatever is missing or null is unknown."""
    for data in ({"id": "a1-B_2"}, dict.fromkeys(("status", "output", "error", "logs", "urls", "metrics"), None)):
        read = read_prediction({"id": "a1-B_2", **data})
        assert (read.id, read.status, read.output, read.error, read.logs) == ("a1-B_2", "starting", None, None, "")
        assert (read.stream_url, dict(read.metrics), read.final) == (None, {}, False)


@pytest.mark.parametrize(
    "data",
    [None, [], "id", {}, {"id": None}, {"id": ""}, {"id": 7}, {"id": "../models"}, {"id": "a?b"}, {"id": "a" * 101}],
)
def test_what_is_no_prediction(data: Any) -> None:
    """Without an id that can stand in a path there is no prediction."""
    with pytest.raises(ProtocolError, match="no prediction id"):
        read_prediction(data)


def test_final_states() -> None:
    """The four final states end a prediction, `aborted` too; an unknown one does not."""
    states = ["starting", "processing", "queued", "succeeded", "failed", "canceled", "aborted"]
    assert [status for status in states if prediction(status=status).final] == states[3:]


@pytest.mark.parametrize(
    ("urls", "stream"),
    [
        ({"stream": "https://stream.replicate.com/v1/x"}, "https://stream.replicate.com/v1/x"),
        ({"stream": ""}, None),
        ({"stream": None}, None),
        ({"get": "https://x"}, None),
        ([], None),
    ],
)
def test_stream_urls(urls: Any, stream: str | None) -> None:
    """A model streams where its prediction has a URL for it."""
    assert prediction(urls=urls).stream_url == stream


@pytest.mark.parametrize(
    ("output", "pieces"),
    [
        (None, []),
        ("one text", ["one text"]),
        (["a", "", "\n"], ["a", "", "\n"]),
        ([], []),
        ({"text": "said", "json_output": None}, ["said"]),
        (["a", {"b": 1}, 2], ["a", '{"b": 1}', "2"]),
        ({"grüße": 1}, ['{"grüße": 1}']),
        (7, ["7"]),
    ],
)
def test_outputs_are_pieces(output: Any, pieces: list[str]) -> None:
    """A text, a list, an object with a text and any other JSON give the pieces they are made of."""
    assert output_pieces(prediction(output=output, status="succeeded")) == pieces


def test_an_object_is_shown_only_when_it_is_whole() -> None:
    """An object that may still change is no piece yet; a text in it is."""
    assert output_pieces(prediction(output={"a": 1}, status="processing")) == []
    assert output_pieces(prediction(output={"text": "a"}, status="processing")) == ["a"]


@pytest.mark.parametrize(
    ("metrics", "logs", "usage"),
    [
        ({"input_token_count": 32, "output_token_count": 141}, "", Usage(32, 141)),
        ({"input_token_count": 0, "output_token_count": 2.0}, "", Usage(0, 2)),
        ({"output_token_count": 3}, "", Usage(None, 3)),
        ({}, "x\nInput token count: 263\nOutput token count: 515\n", Usage(263, 515)),
        ({"output_token_count": 1}, "Input token count: 2\r\nOutput token count: 9\r\n", Usage(2, 1)),
        ({"predict_time": 1.5}, "Input token count: many", None),
        ({"input_token_count": "3", "output_token_count": True}, "", None),
        ({"input_token_count": float("nan"), "output_token_count": float("inf")}, "", None),
        ({"input_token_count": -1}, f"Output token count: {'9' * 5000}", None),
        (None, None, None),
    ],
)
def test_usage(metrics: Any, logs: str | None, usage: Usage | None) -> None:
    """Tokens are in the metrics, else in the lines of the log; what is no count is none."""
    assert usage_of(prediction(metrics=metrics, logs=logs)) == usage


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        ("failed", "The model ran out of memory (E1001)", UnavailableError),
        ("failed", None, UnavailableError),
        ("failed", "The input or output was flagged as sensitive (E005)", ContentFilteredError),
        ("failed", "NSFW content detected", ContentFilteredError),
        ("failed", "This model's maximum context length is 8192 tokens", ContextLengthError),
        ("canceled", None, IncompleteStreamError),
        ("aborted", None, UnavailableError),
    ],
)
def test_failures(status: str, error: str | None, kind: type[ProviderError]) -> None:
    """The error tells the prediction's id, state and own words, and is never one to try again."""
    failure = failure_of(prediction(status=status, error=error))
    assert type(failure) is kind
    assert failure.request_id == "abc"
    assert not failure.retryable
    assert str(failure).startswith(f"prediction abc {status}" + (f": {error}" if error else ""))


def test_the_streams_words_are_used_where_the_prediction_has_none() -> None:
    """The prediction's own error counts before what its stream said."""
    assert "from the stream" in str(failure_of(prediction(status="failed"), detail="from the stream"))
    both = failure_of(prediction(status="failed", error="from the prediction"), detail="from the stream")
    assert "from the stream" not in str(both)
    assert "from the prediction" in str(both)


def test_the_end_of_the_log_is_a_note() -> None:
    """The last lines of the log stand below the error; all of it would be too much."""
    logs = "\n".join(f"line {number}" for number in range(50)) + "\n"
    (note,) = failure_of(prediction(status="failed", logs=logs)).__notes__
    assert note.endswith("line 40\nline 41\nline 42\nline 43\nline 44\nline 45\nline 46\nline 47\nline 48\nline 49")
    (note,) = failure_of(prediction(status="failed", logs="x" * 10**6)).__notes__
    assert len(note) < 3000
    assert not hasattr(failure_of(prediction(status="failed", logs=" \n")), "__notes__")
    assert len(str(failure_of(prediction(status="failed", error="x" * 10**6)))) < 3000


def test_a_token_that_the_upstream_repeats_is_cut_out() -> None:
    """Neither the error nor the log shows a secret."""
    told = prediction(status="failed", error="bad token r8_canary", logs="token=r8_canary")
    failure = failure_of(told, detail="r8_canary", secret="r8_canary")
    assert "r8_canary" not in f"{failure!r} {failure} {failure.__notes__}"
    assert "bad token [redacted]" in str(failure)


PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("link", "media"),
    [
        ("https://replicate.delivery/x/out-0.png", Media(url="https://replicate.delivery/x/out-0.png")),
        ("https://replicate.delivery/out.webp?sig=1", Media(url="https://replicate.delivery/out.webp?sig=1")),
        ("http://127.0.0.1:1/out", Media(url="http://127.0.0.1:1/out")),
        (f"data:image/png;base64,{base64.b64encode(PNG).decode()}", Media(data=PNG)),
        ("data:text/plain;charset=utf-8;base64,aGk=", Media(data=b"hi")),
        ("data:text/plain,a%20b", Media(data=b"a b")),
        ("data:;base64,", Media(data=b"")),
    ],
)
def test_files(link: str, media: Media) -> None:
    """A file is its bytes, or the URL where it is."""
    found = as_media(link)
    assert (found.url, found.data) == (media.url, media.data)


def test_types_of_files() -> None:
    """The type is what the data URI says, or what the URL's name tells."""
    links = ["https://x/a.png?b", "https://x/a.mp4", "https://x/a", "data:image/webp;base64,", "data:,x"]
    assert [as_media(link).media_type for link in links] == ["image/png", "video/mp4", None, "image/webp", None]


@pytest.mark.parametrize(
    "link",
    ["", "text", "ftp://x/y", "file:///etc/passwd", "https://", "http://[", "data:", "data:image/png;base64,%%%"],
)
def test_what_is_no_file(link: str) -> None:
    """Anything else where a file should be is an error."""
    with pytest.raises(ProtocolError):
        as_media(link)


def test_predictions_survive_json_that_python_reads() -> None:
    """Numbers that only Python's JSON has do not break the reading."""
    read = read_prediction(json.loads('{"id": "a", "metrics": {"output_token_count": NaN}, "output": Infinity}'))
    assert usage_of(read) is None
