"""Checks of request bodies and model inputs; faults carry the words of the upstream's JSON Schema validator."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from attrs import frozen

from core_replicate.sandbox.schemas import Schema

_TYPES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}
_BODY = {
    "version": "string",
    "input": "object",
    "stream": "boolean",
    "webhook": "string",
    "webhook_completed": "string",
    "webhook_events_filter": "array",
}


@frozen
class Fault:
    """One thing wrong with a body; `field` is empty for the body itself."""

    type: str
    field: str
    description: str

    @property
    def line(self) -> str:
        """The fault as a line of the answer's `detail`."""
        return f"- {self.field}: {self.description}\n" if self.field else f"- {self.description}\n"

    def as_json(self) -> dict[str, str]:
        """Return the fault as an item of the answer's `invalid_fields`."""
        return {"type": self.type, "field": self.field or "(root)", "description": self.description}


def check_body(body: Mapping[str, Any], *, required: Iterable[str], allowed: Collection[str]) -> list[Fault]:
    """Return the faults of a create request's top level, where unknown keys are refused."""
    faults = [Fault("required", "", f"{name} is required") for name in required if name not in body]
    unknown = sorted(body.keys() - set(allowed))
    faults += [
        Fault("additional_property_not_allowed", "", f"Additional property {name} is not allowed") for name in unknown
    ]
    faults += [
        _wrong_type(name, kind, body[name])
        for name, kind in _BODY.items()
        if name in body and name in allowed and not _is(body[name], kind)
    ]
    return faults


def check_input(given: Mapping[str, Any], schema: Schema | None) -> list[Fault]:
    """Return the faults of a model's input; keys the model does not know are ignored, as the upstream does."""
    if schema is None:
        return []
    schemas = schema["components"]["schemas"]
    inputs = schemas["Input"]
    faults = [
        Fault("required", "input", f"{name} is required") for name in inputs.get("required", ()) if name not in given
    ]
    for name, rule in inputs["properties"].items():
        if name in given:
            faults += _check(f"input.{name}", given[name], rule=_resolved(rule, schemas))
    return faults


def _resolved(rule: Schema, schemas: Schema) -> Schema:
    if "allOf" not in rule:
        return rule
    reference: str = rule["allOf"][0]["$ref"]
    found: Schema = schemas[reference.rsplit("/", 1)[1]]
    return found


def _check(field: str, value: Any, *, rule: Schema) -> list[Fault]:
    if not _is(value, rule.get("type")):
        return [_wrong_type(field, rule["type"], value)]
    faults = []
    if "minimum" in rule and value < rule["minimum"]:
        told = f"Must be greater than or equal to {_plain(rule['minimum'])}"
        faults.append(Fault("number_gte", field, told))
    if "maximum" in rule and value > rule["maximum"]:
        faults.append(Fault("number_lte", field, f"Must be less than or equal to {_plain(rule['maximum'])}"))
    if "enum" in rule and value not in rule["enum"]:
        choices = ", ".join(f'"{choice}"' for choice in rule["enum"])
        faults.append(Fault("enum", field, f"{field} must be one of the following: {choices}"))
    if rule.get("format") == "uri" and ":" not in value:
        faults.append(Fault("format", field, "Does not match format 'uri'"))
    for index, item in enumerate(value if "items" in rule else ()):
        faults += _check(f"{field}.{index}", item, rule=rule["items"])
    return faults


def _is(value: Any, kind: str | None) -> bool:
    if kind is None:
        return True
    if kind == "integer":
        return not isinstance(value, bool) and (isinstance(value, int) or (_is_float(value) and value.is_integer()))
    if kind == "number":
        return not isinstance(value, bool) and isinstance(value, int | float)
    return _TYPES[type(value)] == kind


def _is_float(value: Any) -> bool:
    return isinstance(value, float)


def _wrong_type(field: str, expected: str, value: Any) -> Fault:
    return Fault("invalid_type", field, f"Invalid type. Expected: {expected}, given: {_TYPES[type(value)]}")


def _plain(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)
