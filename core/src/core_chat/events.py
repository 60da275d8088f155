"""The typed events of a streamed answer; a host app matches on them.

Events are plain slotted classes at run time and frozen to the type checker: creating one costs a third of a frozen
one, and one is created for every piece of text.
"""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from attrs import frozen as _event
else:
    _event = attrs.define(eq=True, unsafe_hash=True)

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "other"]


@_event
class Route:
    """Who really serves this answer.

    `backend` is the party behind the provider (an inference provider, a deployment); `upstream_id` is the id under
    which the upstream knows this answer, for its support or its dashboard.
    """

    provider: str
    model: str
    backend: str | None = None
    upstream_id: str | None = None


@_event
class Notice:
    """Something the caller should know; `parameter` names what was asked for and could not be honoured.

    With `strict=True` a notice that names a parameter becomes an `InvalidRequestError`; `parameter=None` is
    information and never fatal.
    """

    code: str
    text: str
    parameter: str | None = None


@_event
class TextDelta:
    """A piece of the answer's text, exactly as the upstream sent it; never empty."""

    text: str


@_event
class ReasoningDelta:
    """A piece of the model's reasoning; never empty."""

    text: str


@_event
class ToolCallDelta:
    """A piece of one tool call.

    `index` says of which; `id` and `name` come once, `arguments` is the next piece of JSON text.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@_event
class Media:
    """A picture or other file the model made: its bytes, or the URL where the upstream keeps it for a time."""

    data: bytes | None = attrs.field(
        default=None, repr=lambda value: "None" if value is None else f"<{len(value)} bytes>"
    )
    url: str | None = None
    media_type: str | None = None


@_event
class Usage:
    """Tokens billed for this answer, cumulative; a later one replaces an earlier one."""

    input: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cached: int | None = None


@_event
class Finish:
    """The end of every complete answer: why it ended, the upstream's own word for it, and the provider's opaque state.

    `state` is JSON data that continues the conversation on the provider's side; it reaches the caller inside
    `Reply.conversation`.
    """

    reason: FinishReason
    raw: str | None = None
    state: Any = attrs.field(default=None, repr=False, hash=False)


Event: TypeAlias = Route | Notice | TextDelta | ReasoningDelta | ToolCallDelta | Media | Usage | Finish

CONTENT: tuple[type, ...] = (TextDelta, ReasoningDelta, ToolCallDelta, Media)
"""The events that are part of the answer itself: after the first of them a call is never repeated."""
