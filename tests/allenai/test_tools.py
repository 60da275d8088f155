"""Tool definitions, reduced to what the service keeps."""

import json
from typing import Any

import pytest

from core_allenai._tools import digest, tool_form
from core_chat import InvalidRequestError, Tool

CITY = {"type": "string", "description": "Where"}


def test_what_the_service_keeps_is_sent() -> None:
    """Type, description, required names and properties, at every depth."""
    inner = {"type": "object", "properties": {"city": CITY}, "required": ["city"]}
    form = tool_form([Tool("weather", "Tells the weather", {"type": "object", "properties": {"place": inner}})])
    assert json.loads(form.definitions) == [
        {
            "name": "weather",
            "description": "Tells the weather",
            "parameters": {"type": "object", "properties": {"place": inner}},
        }
    ]
    assert form.dropped == ()


def test_what_it_drops_is_named() -> None:
    """Constraints a model would want to know; not the words that say nothing to it."""
    city = {**CITY, "enum": ["Rome"], "default": "Rome", "title": "City"}
    schema = {"type": "object", "properties": {"city": city}, "additionalProperties": False, "$schema": "x"}
    form = tool_form([Tool("weather", "", schema)])
    assert form.dropped == ("default", "enum")
    assert json.loads(form.definitions)[0]["parameters"]["properties"] == {"city": CITY}


@pytest.mark.parametrize("part", [{}, {"type": ["string", "null"]}, {"anyOf": [CITY]}])
def test_a_part_without_one_type_is_refused_here(part: dict[str, Any]) -> None:
    """The service would refuse it, and the error says where it stands."""
    with pytest.raises(InvalidRequestError, match=r"weather\.city"):
        tool_form([Tool("weather", "", {"type": "object", "properties": {"city": part}})])


def test_a_digest_tells_sets_of_tools_apart() -> None:
    """The order of the service's own tools does not matter."""
    assert digest("", ()) == ""
    assert digest("[]", ("a", "b")) == digest("[]", ("b", "a")) != digest("[]", ("a",))
