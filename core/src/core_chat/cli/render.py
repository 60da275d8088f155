"""The events of an answer, shown to a person or written as JSON lines for a script."""

import base64
import json
import re
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

import attrs
import click
from attrs import define, field

from core_chat.cli.terminal import Screen, one_line
from core_chat.events import Event, Media, Notice, ReasoningDelta, Route, TextDelta
from core_chat.reply import Reply

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_ENDINGS = {
    "length": "the answer was cut off at its greatest length; --max-tokens sets it",
    "content_filter": "the upstream's content filter ended the answer",
    "other": "the answer ended for an unusual reason",
}


class Renderer(Protocol):
    """Shows one answer."""

    def show(self, event: Event) -> None:
        """Show an event as it comes."""
        ...

    def finish(self, reply: Reply) -> None:
        """Say what is left to say of a complete answer."""
        ...

    def end(self) -> None:
        """Leave the terminal tidy, whether the answer is complete or not."""
        ...


@define(eq=False)
class TextRenderer:
    """Text to standard output as it comes; the route, notices and (if wanted) reasoning to standard error.

    Attributes:
        quiet: Whether the route and notices are hidden.
        reasoning: Whether reasoning is shown.
        keeps_media: Whether pictures go to a file.
    """

    quiet: bool = False
    reasoning: bool = False
    keeps_media: bool = False
    screen: Screen = field(factory=Screen)
    _route: str = field(default="", init=False)

    def show(self, event: Event) -> None:
        """Show an event as it comes."""
        match event:
            case TextDelta(text):
                self.screen.text(text)
            case ReasoningDelta(text) if self.reasoning:
                self.screen.aside(text)
            case Notice():
                self._say(event.text)
            case Route():
                self._show_route(event)
            case Media() if not self.keeps_media:
                self._show_media(event)
            case _:
                pass

    def _say(self, text: str) -> None:
        if not self.quiet:
            self.screen.say(one_line(text))

    def _show_route(self, route: Route) -> None:
        backend = f" by {route.backend}" if route.backend else ""
        text = f"{route.provider}:{route.model}{backend}"
        if text != self._route:
            self._route = text
            self._say(text)

    def _show_media(self, media: Media) -> None:
        """Print a link; of a picture without one say how to keep it, however quiet we are to be."""
        if media.url is not None and not media.url.startswith("data:"):
            self.screen.line(one_line(media.url))
        else:
            self.screen.say(f"{one_line(media.media_type or 'a file')} came and is not shown; -o FILE keeps it")

    def finish(self, reply: Reply) -> None:
        """Say how the answer ended, unless it just did, and which tools the model wants."""
        for call in reply.tool_calls:
            self._say(f"the model calls the tool {call.name} with {call.arguments}")
        reason, raw = (reply.finish.reason, reply.finish.raw) if reply.finish else ("stop", None)
        if reason in _ENDINGS:
            self._say(_ENDINGS[reason] + (f" ({raw})" if reason == "other" and raw else ""))

    def end(self) -> None:
        """End the lines that are open."""
        self.screen.end()


@define(eq=False)
class JsonRenderer:
    """One JSON object per event and line, on standard output."""

    def show(self, event: Event) -> None:
        """Write an event with all its fields but the provider's opaque state, which a saved conversation holds."""
        name = _CAPITAL.sub("_", type(event).__name__).lower()
        values = attrs.asdict(event, recurse=False)
        values.pop("state", None)
        write_json({"type": name, **values})

    def finish(self, reply: Reply) -> None:
        """The events have said it all."""

    def end(self) -> None:
        """Every line is whole."""


def write_json(value: Any) -> None:
    """Write a JSON value as one line and flush it; bytes become base64, sets sorted lists, attrs objects objects.

    Only ASCII is written, so that every character survives every encoding and line reader.
    """
    click.echo(json.dumps(value, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, AbstractSet):
        return sorted(value)
    if attrs.has(type(value)):
        return attrs.asdict(value, recurse=False)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
