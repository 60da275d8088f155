"""Tool definitions as the service keeps them: it stores a small part of JSON Schema and drops the rest unsaid."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from core_chat.errors import InvalidRequestError
from core_chat.messages import Tool

_KEPT = ("type", "description", "required")
_SAYS_NOTHING = frozenset({"$schema", "$id", "title", "examples", "additionalProperties"})
"""Keywords whose loss changes nothing that a model is told."""


@frozen
class ToolForm:
    """What goes into the form, and the JSON Schema keywords that had to be left out."""

    definitions: str
    dropped: tuple[str, ...] = ()


def tool_form(tools: Sequence[Tool]) -> ToolForm:
    """Return the field `toolDefinitions` for some tools.

    Raises:
        InvalidRequestError: A schema has a part without a single type, which the service refuses.
    """
    dropped: set[str] = set()
    listed = [
        {
            "name": tool.name,
            "description": tool.description,
            "parameters": _reduced(tool.schema, dropped, where=tool.name),
        }
        for tool in tools
    ]
    return ToolForm(json.dumps(listed, ensure_ascii=False), tuple(sorted(dropped)))


def _reduced(schema: Mapping[str, Any], dropped: set[str], *, where: str) -> dict[str, Any]:
    if not isinstance(schema.get("type"), str):
        raise InvalidRequestError(f"tool schema {where}: the Playground needs one type as a text", parameter="tools")
    reduced = {key: schema[key] for key in _KEPT if key in schema}
    if isinstance(schema.get("properties"), Mapping):
        reduced["properties"] = {
            name: _reduced(part, dropped, where=f"{where}.{name}") for name, part in schema["properties"].items()
        }
    dropped.update(key for key in schema if key not in _KEPT and key != "properties" and key not in _SAYS_NOTHING)
    return reduced


def digest(definitions: str, selected: Iterable[str]) -> str:
    """Return what stands for a set of tools in a conversation's state; empty for none."""
    chosen = sorted(selected)
    if not definitions and not chosen:
        return ""
    return hashlib.blake2b(json.dumps([definitions, chosen]).encode(), digest_size=8).hexdigest()
