"""The form of a post, per generation."""

import json
from typing import Any

import pytest

from core_allenai._files import File
from core_allenai._form import Settings, form_data, form_fields
from core_allenai._turns import Post
from core_chat import ChatRequest, InvalidRequestError, Message, ModelInfo


def fields(
    generation: str, *, post: Post | None = None, settings: Any = None, **parameters: Any
) -> dict[str, list[str]]:
    """The fields of a form, by name."""
    request = ChatRequest(model=ModelInfo("olmo"), messages=(Message("user", "Hi"),), **parameters)
    found: dict[str, list[str]] = {}
    chosen = Settings(generation=generation, **(settings or {}))
    for name, value in form_fields(request, post or Post(content="Hi"), parent=None, settings=chosen):
        found.setdefault(name, []).append(value)
    return found


def test_only_what_was_asked_for_is_sent() -> None:
    """No empty parent, no private, no host, no captcha token."""
    new = {"model": ["olmo"], "role": ["user"], "content": ["Hi"]}
    assert fields("v5") == new
    assert fields("v4") == new
    assert fields("v4-message", settings={"host": "modal"}) == {"model": ["olmo"], "host": ["modal"], "content": ["Hi"]}


def test_parameters_have_the_names_of_their_time() -> None:
    """camelCase, and snake_case in the oldest generation; zeros are sent, lists are repeated."""
    asked: dict[str, Any] = {"temperature": 0, "top_p": 0.5, "max_tokens": 9, "stop": ["a", "b"]}
    expected = {"temperature": ["0"], "topP": ["0.5"], "maxTokens": ["9"], "stop": ["a", "b"]}
    assert fields("v5", **asked).items() >= expected.items()
    oldest = fields("v4-message", **asked)
    assert (oldest["top_p"], oldest["max_tokens"], oldest["stop"]) == (["0.5"], ["9"], ["a", "b"])


def test_private_is_sent_where_it_means_something() -> None:
    """v5 stores no visibility, and the second turn would be refused."""
    assert fields("v4", settings={"private": False})["private"] == ["false"]
    assert fields("v4-message", settings={"private": True})["private"] == ["true"]
    assert "private" not in fields("v5", settings={"private": True})


def test_tools_are_switched_on() -> None:
    """The caller's, the service's, or both."""
    both = fields("v5", settings={"tool_definitions": "[]", "selected_tools": ("a", "b")})
    assert both["enableToolCalling"] == ["true"]
    assert both["toolDefinitions"] == ["[]"]
    assert both["selectedTools"] == ["a", "b"]
    assert fields("v5", settings={"selected_tools": ("a",)})["enableToolCalling"] == ["true"]


def test_a_tool_result_names_its_call() -> None:
    """And its role, in every generation."""
    post = Post(role="tool_call_result", content="7", tool_call_id="call_1")
    for generation in ("v5", "v4", "v4-message"):
        found = fields(generation, post=post)
        assert (found["role"], found["toolCallId"]) == (["tool_call_result"], ["call_1"])


def test_extra_goes_last_and_in_the_place_of_the_own_field() -> None:
    """Texts as they are, the rest as a form has it."""
    extra = {"content": "Other", "flag": True, "number": 1.5, "list": [1, "x"], "json": {"a": None}, "none": None}
    found = fields("v5", extra=extra)
    assert list(found)[-5:] == ["content", "flag", "number", "list", "json"]
    assert (found["content"], found["flag"], found["number"]) == (["Other"], ["true"], ["1.5"])
    assert found["list"] == ["1", "x"]
    assert json.loads(found["json"][0]) == {"a": None}
    assert "maxTokens" not in fields("v5", max_tokens=7, extra={"max_tokens": 8})


@pytest.mark.parametrize("value", [b"bytes", {"x": object()}, object()])
def test_what_cannot_stand_in_a_form_is_refused(value: Any) -> None:
    """By the name of its field."""
    with pytest.raises(InvalidRequestError, match="odd"):
        fields("v5", extra={"odd": value})


def test_a_form_is_multipart_also_without_files() -> None:
    """The service reads no other kind in every generation."""
    form = form_data([("content", "日本 🐕")], [])
    assert form().content_type.startswith("multipart/form-data")
    with_file = form_data([], [File(name="a.png", media_type="image/png", data=b"1")])
    assert with_file().content_type.startswith("multipart/form-data")
