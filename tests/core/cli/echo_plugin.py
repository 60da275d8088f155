"""A provider and its sandbox for the tests of the command line; the name of the model says how it behaves."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from attrs import define, field, fields

from core_chat import (
    About,
    ChatRequest,
    Event,
    Finish,
    Media,
    MissingCredentialError,
    ModelInfo,
    Notice,
    ReasoningDelta,
    Route,
    TextDelta,
    ToolCallDelta,
    Usage,
    env,
    hookimpl,
)

PNG = b"\x89PNG\r\n\x1a\n-a-picture"
PIECES = ("Grüße\r\n", "\u2028 ", "\t", "end")
CONTROLS = "red \x1b[31m bell \a done"
_MARK = "ECHO_MARK"


def _as_text(request: ChatRequest) -> str:
    """Return what was asked for, as JSON text."""
    left_out = ("model", "messages", "new_messages", "conversation", "timeouts", "api_key", "clock")
    asked = {item.name: getattr(request, item.name) for item in fields(ChatRequest) if item.name not in left_out}
    turns = [[turn.role, turn.text, len(turn.images)] for turn in request.messages]
    return json.dumps({**asked, "messages": turns, "new": len(request.new_messages), "total": request.timeouts.total})


_ANSWERS: dict[str, tuple[Event, ...]] = {
    "pieces": (*(TextDelta(piece) for piece in PIECES), Finish("stop")),
    "controls": (TextDelta(CONTROLS), Finish("stop")),
    "thinking": (ReasoningDelta("hm"), ReasoningDelta("m"), TextDelta("42"), Finish("stop")),
    "picture": (TextDelta("Here: "), Media(data=PNG, media_type="image/png"), Finish("stop")),
    "pictures": (Media(data=PNG, media_type="image/png"), Media(data=PNG + b"2"), Finish("stop")),
    "link": (Media(url="https://pictures.invalid/cat.png", media_type="image/png"), Finish("stop")),
    "long": (TextDelta("cut o"), Usage(3, 4), Finish("length")),
    "tool": (ToolCallDelta(0, "id", "clock", '{"zone": "UTC"}'), Finish("tool_calls")),
    "noticed": (Notice("no_seed", "seed is not taken", parameter="seed"), TextDelta("ok"), Finish("stop")),
    "broken-off": (TextDelta("half an "),),
}


@define(eq=False)
class Echo:
    """Answers as the model's name says."""

    about: ClassVar = About(
        label="Echo",
        key_variable="ECHO_KEY",
        key_page="https://echo.invalid/keys",
        needs_key=True,
        default_model="mirror",
        terms="Be nice.",
    )
    token: str | None = field(factory=env("ECHO_KEY"), repr=False)
    base_url: str = "https://echo.invalid"

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo:
        """Know the models of the list, and let any other name through."""
        return ModelInfo(name or "mirror", known=name in ("", "mirror"), is_default=name in ("", "mirror"))

    @hookimpl
    async def list_models(self) -> AsyncGenerator[ModelInfo, None]:
        """List two models, then miss the key."""
        yield ModelInfo("mirror", title="Mirror\x1b[2J", context=4096, tasks=["chat"], is_default=True)
        yield ModelInfo("picture", tasks=["text-to-image"])
        self._check()

    def _check(self) -> None:
        if self.token is None:
            raise MissingCredentialError(variable=self.about.key_variable, page=self.about.key_page)

    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Answer."""
        name = request.model.name
        self._check()
        yield Route("echo", name, backend=None if self.base_url == "https://echo.invalid" else "sandbox")
        if name in ("stuck", "endless"):
            async for event in _endless(stuck=name == "stuck"):
                yield event
        elif name in _ANSWERS:
            for event in _ANSWERS[name]:
                yield event
        elif name == "crash":
            raise KeyError(self.token)
        else:
            yield TextDelta(_as_text(request))
            yield Finish("stop", state={"turns": len(request.messages)})


def _leave_mark() -> None:
    Path(os.environ[_MARK]).write_text("closed", encoding="utf-8")


async def _endless(*, stuck: bool) -> AsyncGenerator[Event, None]:
    """Yield text, then wait for ever or go on; on being closed leave a mark."""
    try:
        yield TextDelta("begun\n")
        while not stuck:
            await asyncio.sleep(0)
            yield TextDelta("more\n" * 1000)
        await asyncio.Event().wait()
    finally:
        _leave_mark()


@asynccontextmanager
async def sandbox(*, port: int = 0) -> AsyncIterator[Mapping[str, Mapping[str, Any]]]:
    """Yield settings that no real provider has; there is nothing to serve."""
    yield {"echo": {"token": "sandbox-token", "base_url": f"http://127.0.0.1:{port}"}}
