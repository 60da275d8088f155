"""One row of the service's model list, in v4's spelling or v5's, and what it allows."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from attrs import field, frozen

from core_allenai._bundled import DEFAULT
from core_chat.errors import InvalidRequestError, ProtocolError
from core_chat.models import ModelInfo
from core_chat.requests import ChatRequest

LIMITED = ("temperature", "top_p", "max_tokens")


def camel(name: str) -> str:
    """Return a snake_case name in camelCase."""
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


@frozen(kw_only=True)
class Entry:
    """What the list says of a model; None means that it does not say.

    Attributes:
        tools: Names of the tools the service runs itself.
        file_types: Media types, with `*` for anything.
        require_file: "first_message", "all_messages" or "no_requirement".
        max_bytes: Of all files of a message together.
        limits: Lowest and highest value per parameter.
    """

    id: str
    title: str | None = None
    host: str | None = None
    is_visible: bool = True
    is_deprecated: bool = False
    internal: bool = False
    files_only: bool = False
    can_call_tools: bool = False
    can_think: bool = False
    tools: tuple[str, ...] = ()
    accepts_files: bool = False
    file_types: tuple[str, ...] = ()
    max_files: int | None = None
    max_bytes: int | None = None
    require_file: str = "no_requirement"
    files_in_followups: bool = False
    limits: Mapping[str, tuple[float | None, float | None]] = field(factory=dict)

    @property
    def usable(self) -> bool:
        """Whether a person can chat with it."""
        return self.is_visible and not (self.is_deprecated or self.internal or self.files_only)

    @property
    def takes_images(self) -> bool:
        """Whether pictures are among the files it looks at."""
        return self.accepts_files and any(kind.startswith(("image", "*")) for kind in self.file_types)

    def info(self) -> ModelInfo:
        """Return the model as the core shows it."""
        flags = {"images": self.takes_images, "tools": self.can_call_tools, "reasoning": self.can_think}
        highest = self.limits.get("max_tokens", (None, None))[1]
        return ModelInfo(
            self.id,
            title=self.title,
            max_output=None if highest is None else int(highest),
            features=[name for name, has in flags.items() if has],
            tasks={"chat"},
            backends=None if self.host is None else (self.host,),
            is_default=self.id == DEFAULT,
            source="live",
        )

    def check_parameters(self, request: ChatRequest) -> None:
        """Compare a request's parameters with the limits.

        Raises:
            InvalidRequestError: One is outside.
        """
        for name in LIMITED:
            value = getattr(request, name)
            low, high = self.limits.get(name, (None, None))
            if value is not None and ((low is not None and value < low) or (high is not None and value > high)):
                span = f"from {_bound(low)} to {_bound(high)}"
                raise InvalidRequestError(f"{name} for {self.id} goes {span}, not {value:g}", parameter=name)

    def accepts(self, media_type: str) -> bool:
        """Whether files of this type are looked at."""
        return any(fnmatchcase(media_type, kind) for kind in self.file_types)


def _bound(value: float | None) -> str:
    return "anything" if value is None else f"{value:g}"


def read_entries(data: Any) -> tuple[Entry, ...]:
    """Return the rows of a model list.

    Raises:
        ProtocolError: It is no list of models.
    """
    if not isinstance(data, list):
        raise ProtocolError("the model list is no list", got=type(data).__name__)
    return tuple(_read_entry(row) for row in data if isinstance(row, Mapping) and isinstance(row.get("id"), str))


def _read_entry(row: Mapping[str, Any]) -> Entry:
    def get(name: str) -> Any:
        return row.get(camel(name), row.get(name))

    return Entry(
        id=row["id"],
        title=_text(get("name")),
        host=_text(get("host")),
        is_visible=get("is_visible") is not False,
        is_deprecated=bool(get("is_deprecated")),
        internal=bool(get("internal")),
        files_only=get("prompt_type") == "files_only",
        can_call_tools=bool(get("can_call_tools")),
        can_think=bool(get("can_think")),
        tools=tuple(_names(get("available_tools"))),
        accepts_files=bool(get("accepts_files")),
        file_types=tuple(kind for kind in get("accepted_file_types") or () if isinstance(kind, str)),
        max_files=_whole(get("max_files_per_message")),
        max_bytes=_whole(get("max_total_file_size")),
        require_file=_text(get("require_file_to_prompt")) or "no_requirement",
        files_in_followups=bool(get("allow_files_in_followups")),
        limits={name: (_number(get(f"{name}_lower")), _number(get(f"{name}_upper"))) for name in LIMITED},
    )


def _names(tools: Any) -> Iterable[str]:
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, Mapping) and isinstance(tool.get("name"), str):
            yield tool["name"]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
