"""The provider plugin for Hugging Face Inference Providers (router wire-compatible as of 2026-11)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, evolve, field, frozen

from core_chat import (
    About,
    ChatRequest,
    Event,
    Finish,
    InvalidRequestError,
    ModelInfo,
    ModelQuery,
    Notice,
    ProviderError,
    hookimpl,
    read_options,
)
from core_chat.events import CONTENT
from core_chat.http import check_base_url, client_for, credential
from core_chat.openai import Body, chat_body, list_models, stream_chat
from core_chat.requests import Timeouts, text
from core_huggingface._aliases import (
    BUNDLED,
    DEFAULT_CHAT,
    DEFAULT_VISION,
    expand,
    split_suffix,
)
from core_huggingface._fallback import Fallback
from core_huggingface._hub import Hub, default_hub
from core_huggingface._router import BACKEND_HEADER, BILL_TO_HEADER, POLICIES, TOKENS, refine, router_model
from core_huggingface._token import TOKEN_VARIABLE, find_token

if TYPE_CHECKING:
    from aiohttp import ClientSession

VENDOR_URL = "https://router.huggingface.co/v1"
_LOOK_UP_SECONDS = 10.0
_TASKS = ("chat", "text-to-image")
_BEGUN = frozenset({*CONTENT, Finish})


def _providers(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value or ())
    for name in names:
        if not isinstance(name, str) or not name or any(sign.isspace() or sign in ":/" for sign in name):
            raise InvalidRequestError(f"{name!r} cannot be an inference provider's name", parameter="options")
    return names


@frozen(kw_only=True)
class Options:
    """The provider's own settings of a call.

    Attributes:
        providers: Inference providers to ask, one after the other, and no others; one name or a list.
        bill_to: The organisation, or its resource group, that pays.
    """

    providers: tuple[str, ...] = field(default=(), converter=_providers)
    bill_to: str | None = field(default=None, validator=text())


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
    bill_to: str | None = field(default=None, validator=text())
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
            hub = self._hub.client(session, query, token=token)
            async with aclosing(self._hub.models(hub, task=task, search=query.search)) as models:
                async for model in models:
                    yield model

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: "ClientSession") -> AsyncGenerator[Event, None]:
        """Ask the router, and other inference providers where one fails before its first content."""
        options = read_options(Options, request)
        token = credential(request, self.token, about=self._about())
        request, notices = _with_vision(request)
        body = chat_body(request)
        for notice in (*notices, *body.notices):
            yield notice
        fallback = self._fallback(request, session, options=options, token=token)
        client = client_for(session, request, base_url=self.base_url, token=token, refine=fallback.refine)
        headers = self._headers(options)
        while True:
            answer = stream_chat(
                fallback.shown(request),
                client,
                body=Body(body.asking(fallback.target)),
                headers=headers,
                backend_header=BACKEND_HEADER,
            )
            async with aclosing(answer) as events:
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

    def _about(self) -> About:
        return self.about if self.base_url == VENDOR_URL else evolve(self.about, needs_key=False)

    def _headers(self, options: Options) -> dict[str, str]:
        payer = options.bill_to or self.bill_to
        return {BILL_TO_HEADER: payer} if payer else {}

    def _fallback(
        self, request: ChatRequest, session: "ClientSession", *, options: Options, token: str | None
    ) -> Fallback:
        hub = self._hub
        model, suffix = split_suffix(request.model.name) if hub or options.providers else (request.model.name, "")
        if suffix and options.providers:
            raise InvalidRequestError(
                f"the model's name and the option providers both name one: {request.model.name}", parameter="options"
            )
        if hub is None or (suffix and suffix not in POLICIES):
            return Fallback(model, suffix, options.providers)
        hasty = evolve(request, timeouts=_hasty(request.timeouts))
        looker = hub.client(session, hasty, token=token)
        return Fallback(model, suffix, options.providers, lambda: hub.offers(model, looker))


async def _beginning(events: AsyncGenerator[Event, None]) -> list[Event]:
    """Return the events up to the first piece of content, or the end; the rest stays where it is."""
    begun: list[Event] = []
    async for event in events:
        begun.append(event)
        if type(event) in _BEGUN:
            break
    return begun


def _with_vision(request: ChatRequest) -> tuple[ChatRequest, tuple[Notice, ...]]:
    """Choose the model for pictures where there are some and the caller named no model."""
    unnamed = request.model.is_default and request.model.source != "live"
    if not unnamed or not any(message.images for message in request.messages):
        return request, ()
    told = f"no model was named and there are pictures: {DEFAULT_VISION} is asked"
    return evolve(request, model=evolve(request.model, name=DEFAULT_VISION)), (Notice("vision_model", told),)


def _hasty(timeouts: Timeouts) -> Timeouts:
    """Return timeouts for looking something up after a failure: the failure should not wait long for it."""
    seconds = min(_LOOK_UP_SECONDS, timeouts.headers or _LOOK_UP_SECONDS)
    return evolve(timeouts, headers=seconds, idle=seconds)
