"""One post as the form that the service reads."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiohttp import FormData
from attrs import field, frozen

from core_allenai._entries import LIMITED, camel
from core_allenai._files import File
from core_allenai._turns import Post
from core_chat.errors import InvalidRequestError
from core_chat.requests import ChatRequest


@frozen(kw_only=True)
class Settings:
    """What of a form depends on the generation of the API and on the provider's own settings."""

    generation: str = ""
    private: bool | None = None
    host: str | None = None
    tool_definitions: str = field(default="", repr=False)
    selected_tools: tuple[str, ...] = ()


def form_fields(request: ChatRequest, post: Post, *, parent: str | None, settings: Settings) -> list[tuple[str, str]]:
    """Return the fields of a post, in order, `extra` last; a name that comes twice is a list.

    Raises:
        InvalidRequestError: A value of `extra` cannot stand in a form.
    """
    oldest = settings.generation == "v4-message"
    fields: list[tuple[str, Any]] = [
        ("model", request.model.name),
        ("host", settings.host if oldest else None),
        ("role", None if oldest and post.role == "user" else post.role),
        ("content", post.content),
        ("parent", parent),
        ("private", settings.private if settings.generation != "v5" else None),
        ("toolCallId", post.tool_call_id),
        ("enableToolCalling", True if settings.tool_definitions or settings.selected_tools else None),
        ("toolDefinitions", settings.tool_definitions or None),
        ("selectedTools", settings.selected_tools),
        ("stop", request.stop),
        *((name if oldest else camel(name), getattr(request, name)) for name in LIMITED if name not in request.extra),
    ]
    kept = [(name, value) for name, value in fields if name not in request.extra]
    return [(name, text) for name, value in (*kept, *request.extra.items()) for text in _texts(name, value)]


def _texts(name: str, value: Any) -> Iterable[str]:
    match value:
        case None:
            return []
        case str():
            return [value]
        case bool():
            return ["true" if value else "false"]
        case int() | float():
            return [repr(value)]
        case Mapping():
            return [_as_json(name, dict(value))]
        case list() | tuple():
            return [text for item in value for text in _texts(name, item)]
        case _:
            raise InvalidRequestError(
                f"extra[{name!r}]: {type(value).__name__} cannot stand in a form", parameter="extra"
            )


def _as_json(name: str, value: dict[str, Any]) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"extra[{name!r}] cannot be written as JSON: {error}", parameter="extra") from error


def form_data(fields: Sequence[tuple[str, str]], files: Sequence[File]) -> FormData:
    """Return the multipart body; it can be sent once."""
    form = FormData(default_to_multipart=True)
    for name, value in fields:
        form.add_field(name, value)
    for file in files:
        form.add_field("files", file.data, filename=file.name, content_type=file.media_type)
    return form
