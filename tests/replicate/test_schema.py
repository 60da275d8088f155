"""Reading a model's own schema, whole or with pieces missing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_replicate._schema import FALLBACK, Property, Schema, read_schema
from core_replicate.sandbox.catalogue import WORKING

TEXT = {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"}


def version(properties: Any, output: Any = TEXT, *, required: Any = (), **schemas: Any) -> dict[str, Any]:
    """Return a version object with a schema like cog's."""
    given = {"type": "object", "properties": properties, "required": list(required)}
    return {"id": "v", "openapi_schema": {"components": {"schemas": {"Input": given, "Output": output, **schemas}}}}


def read(properties: Any, output: Any = TEXT, **more: Any) -> Schema:
    """Read a schema that is usable."""
    schema = read_schema(version({"prompt": {"type": "string"}, **properties}, output, **more))
    assert schema is not None
    return schema


def test_limits_and_orders_are_read() -> None:
    """Types, limits, formats and orders are kept; what is missing is unknown."""
    schema = read(
        {
            "top_k": {"type": "integer", "minimum": 0.0, "maximum": 100, "x-order": 3},
            "image": {"type": "string", "format": "uri"},
            "anything": {},
        }
    )
    assert schema.inputs["top_k"] == Property("integer", minimum=0, maximum=100, order=3)
    assert schema.inputs["image"] == Property("string", is_uri=True)
    assert schema.inputs["anything"] == Property()
    assert schema.output == "text"


@pytest.mark.parametrize(
    "written",
    [
        {"allOf": [{"$ref": "#/components/schemas/ratio"}], "default": "1:1"},
        {"$ref": "#/components/schemas/ratio"},
        {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/ratio"}]},
        {"anyOf": [{"allOf": [{"$ref": "#/components/schemas/ratio"}]}, {"type": "null"}]},
        {"type": "string", "enum": ["1:1", "16:9", None]},
    ],
)
def test_choices_are_found_behind_references(written: dict[str, Any]) -> None:
    """Choices are read however cog's versions write them: directly, by reference, or as optional."""
    schema = read({"ratio": written}, ratio={"type": "string", "enum": ["1:1", "16:9"], "title": "ratio"})
    assert schema.inputs["ratio"] == Property("string", choices=("1:1", "16:9"))


@pytest.mark.parametrize(
    "written",
    [
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 1}]},
        {"type": ["null", "integer"], "minimum": 1},
        {"type": "integer", "nullable": True, "minimum": 1},
    ],
)
def test_optional_values_have_the_type_beside_null(written: dict[str, Any]) -> None:
    """A value that may be null is of its other type."""
    assert read({"seed": written}).inputs["seed"] == Property("integer", minimum=1)


def test_what_a_property_says_itself_counts() -> None:
    """Limits at the property override those of what it refers to."""
    schema = read({"n": {"$ref": "#/n", "maximum": 2}}, n={"type": "integer", "maximum": 9, "minimum": 1})
    assert schema.inputs["n"] == Property("integer", minimum=1, maximum=2)


def test_limits_that_are_no_numbers_are_none() -> None:
    """A limit that cannot be kept to is left out."""
    odd = {"type": "integer", "minimum": float("nan"), "maximum": float("inf")}
    assert read({"a": odd, "b": {"type": "integer", "minimum": True, "maximum": "9"}}).inputs["a"] == Property(
        "integer"
    )


def test_references_in_circles_end() -> None:
    """A schema that refers to itself is read all the same."""
    schema = read({"a": {"$ref": "#/a"}}, a={"allOf": [{"$ref": "#/b"}]}, b={"$ref": "#/a", "type": "integer"})
    assert schema.inputs["a"].type == "integer"


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        (TEXT, "text"),
        ({"type": "string"}, "text"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/piece"}}, "text"),
        ({"$ref": "#/components/schemas/pictures"}, "files"),
        ({"type": "string", "format": "uri"}, "files"),
        ({"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]}, "files"),
        ({"type": "object"}, "unknown"),
        ({"type": "array"}, "unknown"),
        ({}, "unknown"),
        (None, "unknown"),
    ],
)
def test_kinds_of_output(output: Any, kind: str) -> None:
    """Text, one or in pieces, is told from files, and both from what cannot be known."""
    pictures = {"type": "array", "items": {"type": "string", "format": "uri"}}
    assert read({}, output, piece={"type": "string"}, pictures=pictures).output == kind


@pytest.mark.parametrize(
    ("properties", "required", "key"),
    [
        ({"prompt": {"type": "string"}, "a": {"type": "string", "x-order": 0}}, ["a"], "prompt"),
        ({"b": {"type": "string", "x-order": 2}, "a": {"type": "string", "x-order": 5}}, ["a", "b"], "b"),
        ({"b": {"type": "string", "x-order": 2}, "a": {"type": "string", "x-order": 5}}, ["a"], "a"),
        ({"i": {"type": "string", "format": "uri"}, "q": {"type": "string", "x-order": 1}}, ["i", "q"], "q"),
        ({"e": {"type": "string", "enum": ["x"]}, "q": {"type": "string", "x-order": 1}}, ["e", "q"], "q"),
    ],
)
def test_the_prompt_goes_into_the_first_text_that_is_needed(
    properties: dict[str, Any], required: list[str], key: str
) -> None:
    """Without an input `prompt` the first required text that is neither a choice nor a file takes it."""
    schema = read_schema(version(properties, required=required))
    assert schema is not None
    assert schema.prompt_key == key


@pytest.mark.parametrize(
    "given",
    [
        None,
        "text",
        {},
        {"openapi_schema": None},
        {"openapi_schema": {"components": []}},
        {"openapi_schema": {"components": {"schemas": {}}}},
        {"openapi_schema": {"components": {"schemas": {"Input": {"properties": []}}}}},
        version({}),
        version({"name": {"type": "string"}, "name_file": {"type": "string", "format": "uri"}}),
        version({"messages": {"type": "string"}}),
    ],
)
def test_schemas_that_tell_nothing(given: Any) -> None:
    """A schema that is missing, broken, or knows neither a prompt nor messages is none."""
    assert read_schema(given) is None


def test_messages_alone_are_enough() -> None:
    """A model that takes only a list of messages can be used."""
    schema = read_schema(version({"messages": {"type": "array", "items": {"type": "object"}}}))
    assert schema is not None
    assert schema.takes_messages
    assert schema.prompt_key is None


def test_the_fallback_has_the_usual_inputs() -> None:
    """Without a schema the inputs that most models take are used, whatever their limits."""
    assert list(FALLBACK.inputs) == ["prompt", "system_prompt", "max_tokens", "temperature", "top_p"]
    assert set(FALLBACK.inputs.values()) == {Property()}


@pytest.mark.parametrize("model", WORKING, ids=lambda model: model.id)
def test_every_family_of_the_sandbox_can_be_read(model: Any) -> None:
    """The schemas of all families are usable."""
    assert read_schema(model.version_json("v")) is not None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["#/a", "string", "array", "null"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "enum", "allOf", "anyOf", "$ref", "items", "minimum", "x-order", "prompt"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values, json_values, json_values)
def test_no_schema_is_an_error(properties: Any, output: Any, other: Any) -> None:
    """Whatever JSON a schema is made of, reading it gives a schema or None."""
    read_schema({"openapi_schema": {"components": {"schemas": {"Input": properties, "Output": output}}}})
    read_schema(version({"prompt": properties, "a": other}, output, a=other))
