"""Where text generation may be found, and what each wire is sent."""

from typing import Any

import pytest

from core_chat.errors import InvalidRequestError, ModelNotFoundError, ProviderError, RequestRejectedError
from core_chat.messages import Message
from core_chat.models import ModelInfo
from core_chat.requests import ChatRequest
from core_huggingface._wires import (
    Shape,
    body_for,
    leads_on,
    lost_notices,
    lost_parameters,
    shapes,
    unknown_parameters,
)

TGI = Shape("", "tgi")
COMPLETIONS = Shape("v1/completions", "completions")


def _request(**parameters: Any) -> ChatRequest:
    model = ModelInfo("org/m", provider="huggingface-inference")
    return ChatRequest(model=model, messages=(Message("user", "Hi"),), **parameters)


@pytest.mark.parametrize(
    ("base_url", "paths"),
    [
        ("https://router.huggingface.co/hf-inference", ["models/org/m", "models/org/m/v1/completions"]),
        ("http://host/v1", ["completions"]),
        ("http://host/models/org/m", ["", "v1/completions"]),
        ("http://host", ["models/org/m", "", "v1/completions", "models/org/m/v1/completions"]),
    ],
)
def test_the_paths_follow_from_the_base_url(base_url: str, paths: list[str]) -> None:
    """A model's own endpoint has no path for models; a server of one's own may have any layout."""
    assert [shape.path for shape in shapes(base_url, "org/m")] == paths


def test_a_models_id_is_quoted_in_the_path() -> None:
    """Odd signs stay in the path."""
    assert shapes("http://host/hf-inference", "a b/c?d#e")[0].path == "models/a%20b/c%3Fd%23e"


@pytest.mark.parametrize("name", ["../secret", "a/../b", "a/./b", "a//b", "/a", "a/"])
def test_a_models_id_cannot_lead_elsewhere(name: str) -> None:
    """It is refused before anything is sent."""
    with pytest.raises(InvalidRequestError, match="cannot be a model's id"):
        shapes("http://host/hf-inference", name)


def test_tgi_is_sent_its_own_names() -> None:
    """Only what was asked for is sent, explicit zeros too, and the details that tell why the text ended."""
    request = _request(max_tokens=9, temperature=0, top_p=0.5, top_k=3, stop=["a", "b"], seed=7, frequency_penalty=0.25)
    assert body_for(TGI, request, prompt="Hi") == {
        "inputs": "Hi",
        "parameters": {
            "return_full_text": False,
            "details": True,
            "max_new_tokens": 9,
            "temperature": 0,
            "top_p": 0.5,
            "top_k": 3,
            "stop": ["a", "b"],
            "seed": 7,
            "frequency_penalty": 0.25,
        },
        "stream": True,
    }
    assert body_for(TGI, _request(), prompt="Hi")["parameters"] == {"return_full_text": False, "details": True}


def test_a_schema_becomes_a_grammar() -> None:
    """TGI knows JSON of a schema, but has no word for JSON of any shape."""
    schema = {"type": "object"}
    asked = _request(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert body_for(TGI, asked, prompt="")["parameters"]["grammar"] == {"type": "json", "value": schema}
    assert lost_parameters(TGI, asked) == []
    assert lost_parameters(TGI, _request(response_format="json")) == ["response_format"]


def test_extra_goes_among_the_parameters_of_tgi() -> None:
    """Except for what the wire has beside them."""
    extra = {"typical_p": 0.9, "options": {"use_cache": False}, "parameters": {"details": False}, "stream": False}
    assert body_for(TGI, _request(extra=extra), prompt="Hi") == {
        "inputs": "Hi",
        "parameters": {"return_full_text": False, "details": False, "typical_p": 0.9},
        "stream": False,
        "options": {"use_cache": False},
    }


def test_completions_are_sent_their_own_names() -> None:
    """The model comes first, and usage is asked for."""
    request = _request(max_tokens=9, temperature=0, stop=["a"], presence_penalty=1, extra={"top_k": 3})
    body = body_for(COMPLETIONS, request, prompt="Hi")
    assert next(iter(body)) == "model"
    assert body == {
        "model": "org/m",
        "prompt": "Hi",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 9,
        "temperature": 0,
        "stop": ["a"],
        "presence_penalty": 1,
        "top_k": 3,
    }


@pytest.mark.parametrize(
    ("shape", "lost"),
    [
        (TGI, ["presence_penalty", "reasoning_effort", "width"]),
        (COMPLETIONS, ["top_k", "reasoning_effort", "width"]),
        (Shape("", "tgi", frozenset({"stop"})), ["stop", "presence_penalty", "reasoning_effort", "width"]),
    ],
)
def test_what_a_wire_cannot_be_told_is_named(shape: Shape, lost: list[str]) -> None:
    """Each has a notice with its parameter."""
    request = _request(top_k=3, presence_penalty=1, reasoning_effort="low", width=8, stop=["x"])
    assert sorted(lost_parameters(shape, request)) == sorted(lost)
    assert {notice.parameter for notice in lost_notices(shape, request)} == set(lost)


def test_an_extra_parameter_that_the_model_does_not_know_is_told() -> None:
    """It was asked for, so it is not dropped silently."""
    shape = Shape("", "tgi", frozenset({"watermark", "details"}))
    request = _request(extra={"watermark": True})
    assert [notice.parameter for notice in lost_notices(shape, request)] == ["extra"]
    assert body_for(shape, request, prompt="")["parameters"] == {"return_full_text": False}


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (404, "Not Found", True),
        (404, "", True),
        (405, "Method Not Allowed", True),
        (501, "no", True),
        (404, "Model x does not exist", False),
        (422, "body.prompt: Field required", True),
        (422, "Failed to deserialize: missing field `messages` at line 1", True),
        (422, "Input validation error: `temperature` must be strictly positive", False),
        (400, "Model not supported by provider hf-inference", False),
        (500, "Not Found", False),
        (None, "Not Found", False),
    ],
)
def test_only_a_missing_path_or_wire_leads_on(status: int | None, text: str, expected: bool) -> None:  # noqa: FBT001 - a parameter
    """A request that was understood and refused is not sent again elsewhere."""
    kind = ModelNotFoundError if status == 404 else RequestRejectedError
    assert leads_on(kind(text, status=status)) is expected


def test_the_parameters_that_a_pipeline_refuses_are_read_from_its_words() -> None:
    """They stand in the text of the error, and nowhere else."""
    told = (
        "The following `model_kwargs` are not used by the model: ['watermark', 'stop'] (note: typos in the generate "
        "arguments will also show up in this list)"
    )
    assert unknown_parameters(RequestRejectedError(told, status=400)) == {"watermark", "stop"}
    assert unknown_parameters(RequestRejectedError("bad", status=400)) == frozenset()
    assert unknown_parameters(ProviderError(told, status=500)) == frozenset()
