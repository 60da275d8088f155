"""A posted form, as each part of the service reads it."""

import json
from typing import Any

from aiohttp import web
from attrs import field, frozen

from core_allenai.sandbox._models import camel
from core_allenai.sandbox._refusals import Refused

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
JSON = "application/json"
_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "off", "f", "n"})


@frozen
class Upload:
    """One file of a form."""

    name: str
    media_type: str
    data: bytes = field(repr=lambda value: f"<{len(value)} bytes>")


@frozen
class Form:
    """The fields of a form, each with all its values, and its files; a body of another type leaves it empty."""

    fields: dict[str, list[str]] = field(factory=dict)
    files: list[Upload] = field(factory=list)

    def many(self, name: str) -> list[str]:
        """Return all values of a list field, which is known by its camelCase name only."""
        return self.fields.get(camel(name), [])

    def one(self, name: str) -> str | None:
        """Return a field, by its camelCase or snake_case name."""
        values = self.fields.get(camel(name)) or self.fields.get(name)
        return values[-1] if values else None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a field as a truth value."""
        value = self.one(name)
        if value is None:
            return default
        if value.lower() in _TRUE or value.lower() in _FALSE:
            return value.lower() in _TRUE
        raise Refused("invalid", "Input should be a valid boolean, unable to interpret input", [camel(name)])

    def number(self, name: str) -> float | None:
        """Return a field as a number."""
        value = self.one(name)
        if value is None:
            return None
        try:
            return int(value) if name == "max_tokens" else float(value)
        except ValueError:
            raise Refused("invalid", "Input should be a valid number", [camel(name)]) from None

    def json(self, name: str) -> Any:
        """Return a field that holds JSON text."""
        value = self.one(name)
        try:
            return None if value is None else json.loads(value)
        except ValueError:
            raise Refused("invalid", "Invalid JSON", [camel(name)]) from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


async def read_form(request: web.Request, *, accepts: frozenset[str]) -> Form:
    """Return the posted form; a content type that is not accepted is not read, as the service does not read it."""
    if request.content_type not in accepts:
        return Form()
    if request.content_type == JSON:
        body = await request.json()
        return Form(
            {key: [_text(v) for v in (value if isinstance(value, list) else [value])] for key, value in body.items()}
        )
    form = Form()
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            with value.file:
                if name == "files":
                    form.files.append(Upload(value.filename, value.content_type, value.file.read()))
        else:
            form.fields.setdefault(name, []).append(str(value))
    return form
