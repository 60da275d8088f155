"""The shared notices: what a request sets, and what of it an upstream does not take."""

from typing import Any

import pytest

from core_chat import ChatRequest, Image, Message, ModelInfo, Notice, Tool
from core_chat.notices import UNSUPPORTED, asked, unsupported
from core_chat.requests import PARAMETERS

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


def request(*parts: Any, **parameters: Any) -> ChatRequest:
    """A request with these parts and parameters."""
    messages = (Message("user", ["hi", *parts]),)
    return ChatRequest(model=ModelInfo("m", provider="p"), messages=messages, **parameters)


def test_only_what_is_set_was_asked_for() -> None:
    """Explicit zeros count, Nones and empty lists do not, and neither do the settings that are no parameters."""
    assert asked(request()) == []
    assert asked(request(stop=[], tools=None, top_k=None)) == []
    given = {"temperature": 0, "top_k": 0, "stop": "\n", "seed": 0, "tools": [Tool("f")], "response_format": "json"}
    assert set(asked(request(**given))) == set(given)
    assert asked(request(headers={"A": "b"}, options={"a": 1}, extra={"b": 2}, max_input_chars=5)) == []
    assert asked(request(temperature=1, top_p=1, extra={"temperature": 2})) == ["top_p"]


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name not in ("headers", "options", "extra")])
def test_what_is_not_taken_is_told_by_name(name: str) -> None:
    """Each parameter that is set and not taken has a notice that names it, which `strict` makes an error."""
    values: dict[str, Any] = {
        "tools": [Tool("f")],
        "tool_choice": "auto",
        "stop": "a",
        "reasoning_effort": "low",
        "response_format": "json",
        "aspect_ratio": "1:1",
    }
    asking = request(**{name: values.get(name, 1)})
    told = list(unsupported(asking, taken=()))
    if name == "max_input_chars":
        assert told == []
    else:
        assert told == [Notice(UNSUPPORTED, f"p takes no {name}; it was not sent", parameter=name)]
    assert list(unsupported(asking, taken=PARAMETERS)) == []


def test_pictures_are_told_once() -> None:
    """However many there are, and not where they are taken."""
    asking = request(Image(PNG), Image(PNG))
    (notice,) = unsupported(asking, taken=())
    assert (notice.parameter, notice.text) == ("messages", "p takes no images; they were not sent")
    assert list(unsupported(asking, taken=("images",))) == []
