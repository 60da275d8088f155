"""The provider plugin for Hugging Face Inference Providers (router wire-compatible as of 2026-11)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar

from attrs import define, evolve, field

from core_chat import (
    About,
    ChatRequest,
    Event,
    Finish,
    ModelInfo,
    ModelQuery,
    ProviderError,
    hookimpl,
    read_options,
)
from core_chat.events import CONTENT
from core_chat.http import check_base_url, client_for, credential
from core_chat.openai import list_models
from core_huggingface._aliases import BUNDLED, DEFAULT_CHAT, expand, split_suffix
from core_huggingface._call import Call, Options, check_payer, with_vision
from core_huggingface._hub import DEFAULT_ORIGIN, TEXT_TO_IMAGE, Hub, default_hub
from core_huggingface._router import TOKENS, refine, router_model
from core_huggingface._token import TOKEN_VARIABLE, find_token

if TYPE_CHECKING:
    from aiohttp import ClientSession

VENDOR_URL = f"{DEFAULT_ORIGIN}/v1"
_TASKS = ("chat", TEXT_TO_IMAGE)
_BEGUN = frozenset({*CONTENT, Finish})


@define(eq=False)
class HuggingFace:
    """Chat and pictures by way of Hugging Face's router, or chat with any OpenAI-compatible server.

    Args:
        token: A Hugging Face token; by default the one that `hf auth login` or `HF_TOKEN` left.
        base_url: Of the OpenAI-style API. With another one than the router's, no key is needed.
        hub_url: Of the Hub, which knows who serves a model; by default `HF_ENDPOINT` or the vendor's, and with another
            `base_url` none: then there is no fallback, and names of models are sent as they are.
        bill_to: The organisation that pays for calls that name no other.
    """

    about: ClassVar[About] = About(
        label="Hugging Face",
        home="https://huggingface.co/inference",
        key_page=TOKENS,
        key_variable=TOKEN_VARIABLE,
        needs_key=True,
        terms="https://huggingface.co/terms-of-service",
        default_model=DEFAULT_CHAT,
        models=tuple(BUNDLED),
    )
    token: str | None = field(factory=find_token, repr=False)
    base_url: str = field(default=VENDOR_URL, converter=check_base_url)
    hub_url: str | None = field()
    bill_to: str | None = field(default=None, validator=check_payer)
    _hub: Hub | None = field(init=False, repr=False)

    @hub_url.default
    def _default_hub_url(self) -> str | None:
        return default_hub() if self.base_url == VENDOR_URL else None

    @_hub.default
    def _make_hub(self) -> Hub | None:
        return None if self.hub_url is None else Hub(self.hub_url, self.base_url)

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        """Claim every id; those behind the aliases are known."""
        wanted = expand(name or DEFAULT_CHAT) if self._hub else name or DEFAULT_CHAT
        known = BUNDLED.get(split_suffix(wanted)[0]) if self._hub else None
        return ModelInfo(wanted, known=not name) if known is None else evolve(known, name=wanted)

    @hookimpl
    async def list_models(self, query: ModelQuery, session: "ClientSession") -> AsyncGenerator[ModelInfo, None]:
        """List the router's chat models, and those of the Hub that some inference provider makes pictures with."""
        failed: ProviderError | None = None
        for task in (task for task in _TASKS if query.task in (None, task)):
            try:
                async with aclosing(self._list(task, query, session)) as models:
                    async for model in models:
                        yield model
            except ProviderError as error:
                failed = failed or error
                for model in BUNDLED.values() if self._hub else ():
                    if task in (model.tasks or ()):
                        yield model
        if failed is not None:
            raise failed

    async def _list(self, task: str, query: ModelQuery, session: "ClientSession") -> AsyncGenerator[ModelInfo, None]:
        token = query.api_key or self.token
        if task == "chat":
            client = client_for(session, query, base_url=self.base_url, token=token, refine=refine)
            for model in await list_models(client, read=router_model):
                yield evolve(model, is_default=model.name == DEFAULT_CHAT)
        elif self._hub is not None:
            client = self._hub.client(session, query, token=token)
            async with aclosing(self._hub.models(client, task=task, search=query.search)) as models:
                async for model in models:
                    yield model

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: "ClientSession") -> AsyncGenerator[Event, None]:
        """Ask the router, and other inference providers where one fails before its first content."""
        request, notices = with_vision(request)
        call = self._call(request, session)
        fallback = call.fallback()
        fallback.pictures = await call.wants_picture()
        for notice in () if fallback.pictures else (*notices, *call.notices):
            yield notice
        while not fallback.pictures:
            async with aclosing(call.chat(fallback)) as events:
                try:
                    beginning = await _beginning(events)
                except ProviderError as error:
                    await fallback.failed(error)
                    continue
                for event in fallback.told(beginning):
                    yield event
                async for event in events:
                    yield event
                return
        async with aclosing(await call.picture()) as events:
            async for event in events:
                yield event

    def _call(self, request: ChatRequest, session: "ClientSession") -> Call:
        options = read_options(Options, request)
        about = self.about if self.base_url == VENDOR_URL else evolve(self.about, needs_key=False)
        return Call(
            request,
            evolve(options, bill_to=options.bill_to or self.bill_to),
            session,
            base_url=self.base_url,
            hub=self._hub,
            token=credential(request, self.token, about=about),
        )


async def _beginning(events: AsyncGenerator[Event, None]) -> list[Event]:
    """Return the events up to the first piece of content, or the end; the rest stays where it is."""
    begun: list[Event] = []
    async for event in events:
        begun.append(event)
        if type(event) in _BEGUN:
            break
    return begun
