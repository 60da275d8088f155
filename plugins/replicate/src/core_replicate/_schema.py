"""What a model takes and gives, from the OpenAPI schema its model object carries."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import frozen

Output: TypeAlias = Literal["text", "files", "unknown"]
MAX_TOKENS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "max_length")
SYSTEM = ("system_prompt", "system_instruction", "instructions")
IMAGE_LISTS = ("image_input", "images", "image_inputs", "input_images")
IMAGES = ("image", "input_image", "img")


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
    def prompt_key(self) -> str:
        """The input for the prompt: `prompt`, or else the first text that is required."""
        if "prompt" in self.inputs:
            return "prompt"
        texts = [
            (item.order, name)
            for name, item in self.inputs.items()
            if item.type == "string" and name in self.required and not item.choices and not item.is_uri
        ]
        return min(texts)[1] if texts else "prompt"

    @property
    def is_usable(self) -> bool:
        """Whether some input can take the words of a request."""
        return self.takes_messages or self.prompt_key in self.inputs

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
    schema = Schema(inputs, _output(_resolve(schemas.get("Output"), schemas)), names)
    return schema if schema.is_usable else None


def _resolve(item: object, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return a property with the schemas it refers to laid in (`allOf` with a `$ref` is how enums are written)."""
    if not isinstance(item, Mapping):
        return {}
    found = dict(item)
    for reference in (item, *(item.get("allOf") or ()), *(item.get("anyOf") or ())):
        if isinstance(reference, Mapping):
            name = str(reference.get("$ref", "")).rpartition("/")[2]
            target = schemas.get(name) if name else reference
            if isinstance(target, Mapping):
                found = {**target, **found}
    return found


def _property(item: Mapping[str, Any]) -> Property:
    choices = item.get("enum")
    return Property(
        type=item.get("type") if isinstance(item.get("type"), str) else None,
        minimum=_number(item.get("minimum")),
        maximum=_number(item.get("maximum")),
        choices=tuple(choices) if isinstance(choices, list) else (),
        is_uri=item.get("format") == "uri",
        order=item["x-order"] if isinstance(item.get("x-order"), int) else 0,
    )


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _output(item: Mapping[str, Any]) -> Output:
    if item.get("type") == "array":
        inner = item.get("items")
        item = inner if isinstance(inner, Mapping) else {}
    if item.get("type") == "string":
        return "files" if item.get("format") == "uri" else "text"
    return "unknown"
