"""What a model takes and gives, from the OpenAPI schema its model object carries."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import frozen

Output: TypeAlias = Literal["text", "files", "unknown"]
MAX_TOKENS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "max_length")
SYSTEM = ("system_prompt", "system_instruction", "instructions")
IMAGES = ("image_input", "images", "image_inputs", "input_images", "image", "input_image", "img")
_DEEPEST = 4


@frozen
class Property:
    """One input of a model."""

    type: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()
    is_uri: bool = False
    order: int = 0


@frozen
class Schema:
    """The inputs of a model by name, and the kind of its output."""

    inputs: Mapping[str, Property]
    output: Output = "unknown"
    required: frozenset[str] = frozenset()

    def first(self, names: Iterable[str]) -> str | None:
        """Return the first of these names that is an input."""
        return next((name for name in names if name in self.inputs), None)

    @property
    def prompt_key(self) -> str | None:
        """The input for the prompt: `prompt`, or else the first text that is required."""
        if "prompt" in self.inputs:
            return "prompt"
        texts = [
            (item.order, name)
            for name, item in self.inputs.items()
            if item.type == "string" and name in self.required and not item.choices and not item.is_uri
        ]
        return min(texts)[1] if texts else None

    @property
    def is_usable(self) -> bool:
        """Whether some input can take the words of a request."""
        return self.takes_messages or self.prompt_key is not None

    @property
    def takes_messages(self) -> bool:
        """Whether there is an input for a list of messages."""
        return "messages" in self.inputs and self.inputs["messages"].type == "array"


FALLBACK = Schema({name: Property() for name in ("prompt", "system_prompt", "max_tokens", "temperature", "top_p")})
"""What most language models take; used when a model's own schema cannot be had."""


def read_schema(version: object) -> Schema | None:
    """Return the schema in a version object (`latest_version` of a model), or None where there is no usable one."""
    openapi = version.get("openapi_schema") if isinstance(version, Mapping) else None
    components = openapi.get("components") if isinstance(openapi, Mapping) else None
    schemas = components.get("schemas") if isinstance(components, Mapping) else None
    if not isinstance(schemas, Mapping) or not isinstance(schemas.get("Input"), Mapping):
        return None
    properties = schemas["Input"].get("properties")
    if not isinstance(properties, Mapping):
        return None
    inputs = {str(name): _property(_resolve(item, schemas)) for name, item in properties.items()}
    required = schemas["Input"].get("required")
    names = frozenset(map(str, required)) if isinstance(required, list) else frozenset()
    schema = Schema(inputs, _output(_resolve(schemas.get("Output"), schemas), schemas), names)
    return schema if schema.is_usable else None


def _resolve(item: object, schemas: Mapping[str, Any], *, depth: int = 0) -> dict[str, Any]:
    """Return a schema with those it refers to laid in.

    `allOf` with a `$ref` is how enums are written, `anyOf` with null how a value is made optional. What a schema says
    itself counts before what it refers to.
    """
    if not isinstance(item, Mapping) or depth > _DEEPEST:
        return {}
    found = dict(item)
    name = str(item.get("$ref", "")).rpartition("/")[2]
    for part in (schemas.get(name), *_parts(item, "allOf"), *_parts(item, "anyOf")):
        laid_in = _resolve(part, schemas, depth=depth + 1)
        if laid_in.get("type") != "null":
            found = laid_in | found
    if isinstance(found.get("type"), list):
        found["type"] = next((kind for kind in found["type"] if kind != "null"), None)
    return found


def _parts(item: Mapping[str, Any], key: str) -> list[Any]:
    parts = item.get(key)
    return parts if isinstance(parts, list) else []


def _property(item: Mapping[str, Any]) -> Property:
    choices = item.get("enum")
    kind = item.get("type")
    return Property(
        type=kind if isinstance(kind, str) else None,
        minimum=_number(item.get("minimum")),
        maximum=_number(item.get("maximum")),
        choices=tuple(choice for choice in choices if choice is not None) if isinstance(choices, list) else (),
        is_uri=item.get("format") == "uri",
        order=item["x-order"] if isinstance(item.get("x-order"), int) else 0,
    )


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    return None


def _output(item: Mapping[str, Any], schemas: Mapping[str, Any]) -> Output:
    if item.get("type") == "array":
        item = _resolve(item.get("items"), schemas)
    if item.get("type") == "string":
        return "files" if item.get("format") == "uri" else "text"
    return "unknown"
