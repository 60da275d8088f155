"""The hooks a provider plugin implements, and the marker to implement them with."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy

from core_chat.events import Event
from core_chat.models import ModelInfo
from core_chat.reply import Conversation
from core_chat.requests import ChatRequest, ModelQuery

if TYPE_CHECKING:
    from aiohttp import ClientSession

PROJECT = "core_chat"
PROVIDERS = "core_chat.providers"
SANDBOXES = "core_chat.sandboxes"

F = TypeVar("F", bound=Callable[..., Any])

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class ProviderHooks:
    """What a provider can do; the first two hooks are required.

    A hook may leave out parameters it does not need, but not rename them.
    """

    @hookspec(firstresult=True)
    def resolve_model(self, name: str) -> ModelInfo | None:
        """Claim a model name, or return None; no I/O. The empty name asks for the default model.

        `known=False` says "I may serve it, but it is on no list of mine": such a claim counts only when the caller
        named this provider.

        ```python
        @hookimpl
        def resolve_model(self, name: str) -> ModelInfo | None:
            return ModelInfo(name or "echo-1") if name in ("", "echo-1") else None
        ```
        """

    @hookspec(firstresult=True)
    def stream_chat(self, request: ChatRequest, session: "ClientSession") -> AsyncGenerator[Event, None]:
        """Answer a request: any number of events, then exactly one `Finish`, last. An async generator function.

        What cannot be honoured is told in a `Notice(parameter=…)` before the generating request is sent. The session
        is the host's: send through `core_chat.http.Client`, which applies the request's timeouts, and never close it.

        ```python
        @hookimpl
        async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
            read_options(NoOptions, request)
            yield TextDelta(request.messages[-1].text)
            yield Finish("stop")
        ```
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def list_models(self, query: ModelQuery, session: "ClientSession") -> AsyncGenerator[ModelInfo, None]:
        """List models (optional). An async generator function; what it yields before it raises is kept.

        ```python
        @hookimpl
        async def list_models(self) -> AsyncGenerator[ModelInfo, None]:
            yield ModelInfo("echo-1", title="Echo", source="bundled")
        ```
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def delete_conversation(self, conversation: Conversation, session: "ClientSession") -> Awaitable[None]:
        """Delete what the upstream keeps of a conversation (optional). A coroutine function.

        ```python
        @hookimpl
        async def delete_conversation(self, conversation: Conversation) -> None:
            self.threads.pop(conversation.state["echo"], None)
        ```
        """
        raise NotImplementedError


def marked(function: object) -> dict[str, Any] | None:
    """Return the options `hookimpl` left on a function, or None."""
    return cast("dict[str, Any] | None", getattr(function, f"{PROJECT}_impl", None))
