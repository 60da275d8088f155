"""The parts that the models' OpenAPI schemas are put together from, as cog writes them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

TEXT_STREAM: Schema = {
    "type": "array",
    "items": {"type": "string"},
    "title": "Output",
    "x-cog-array-type": "iterator",
    "x-cog-array-display": "concatenate",
}
TEXT: Schema = {"type": "string", "title": "Output"}
FILES: Schema = {"type": "array", "items": {"type": "string", "format": "uri"}, "title": "Output"}
OBJECT: Schema = {"type": "object", "title": "Output"}


def string(**more: Any) -> Schema:
    """Return the schema of a text."""
    return {"type": "string", **more}


def uri(**more: Any) -> Schema:
    """Return the schema of a file, given as a URL or a data URI."""
    return {"type": "string", "format": "uri", **more}


def integer(**more: Any) -> Schema:
    """Return the schema of a whole number."""
    return {"type": "integer", **more}


def number(**more: Any) -> Schema:
    """Return the schema of a number."""
    return {"type": "number", **more}


def boolean(default: bool) -> Schema:  # noqa: FBT001 - the value itself is the argument
    """Return the schema of a yes or no."""
    return {"type": "boolean", "default": default}


def array(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items, "default": []}


def one_of(*values: str, default: str) -> Schema:
    """Return the schema of a choice; `document` turns it into the reference that cog writes."""
    return {"enum": list(values), "type": "string", "default": default}


def document(properties: Mapping[str, Schema], *, required: tuple[str, ...], output: Schema) -> Schema:
    """Return an `openapi_schema`: choices become references, `x-order` is the order given."""
    components: Schema = {}
    inputs: Schema = {}
    for order, (name, given) in enumerate(properties.items()):
        title = name.replace("_", " ").title()
        if "enum" in given:
            components[name] = {"enum": given["enum"], "type": given["type"], "title": name}
            inputs[name] = {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "default": given["default"]}
        else:
            inputs[name] = {**given, "title": title}
        inputs[name]["x-order"] = order
    schema: Schema = {"type": "object", "title": "Input", "properties": inputs}
    if required:
        schema["required"] = list(required)
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": {},
        "components": {"schemas": {"Input": schema, "Output": output, **components}},
    }


def text_stream(properties: Mapping[str, Schema], *, required: tuple[str, ...] = ("prompt",)) -> Schema:
    """Return the `openapi_schema` of a model that streams text."""
    return document(properties, required=required, output=TEXT_STREAM)


PROMPT: Schema = {"prompt": string()}
TOP_P: Schema = number(default=0.9, minimum=0, maximum=1)
