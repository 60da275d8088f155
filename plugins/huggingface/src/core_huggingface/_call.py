"""One call of the provider `huggingface`: its settings, its attempts, and whether it is a picture that is asked for."""

from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen
from yarl import URL

from core_chat import ChatRequest, Event, InvalidRequestError, Notice, ProviderError
from core_chat.http import client_for
from core_chat.notices import UNSUPPORTED
from core_chat.openai import Body, chat_body, stream_chat
from core_chat.requests import Timeouts
from core_huggingface._aliases import DEFAULT_VISION, split_suffix
from core_huggingface._fallback import Fallback
from core_huggingface._hub import TEXT_TO_IMAGE, Hub, Offers
from core_huggingface._options import IMAGE_ONLY, ImageOptions
from core_huggingface._router import BACKEND_HEADER, BILL_TO_HEADER, POLICIES, refine

if TYPE_CHECKING:
    from aiohttp import ClientSession

_LOOK_UP_SECONDS = 10.0


def _providers(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value or ())
    for name in names:
        if not isinstance(name, str) or not name or any(sign.isspace() or sign in ":/" for sign in name):
            raise InvalidRequestError(f"{name!r} cannot be an inference provider's name", parameter="options")
    return names


def check_payer(_instance: Any, _attribute: Any, value: Any) -> None:
    """Validate, for attrs: None, or a text that can be sent in a header."""
    if value is not None and not (isinstance(value, str) and value.strip() and value.isprintable()):
        raise InvalidRequestError(f"bill_to must be the name of an organisation, not {value!r}", parameter="bill_to")


@frozen(kw_only=True)
class Options(ImageOptions):
    """The provider's own settings of a call, beside those of a picture.

    Attributes:
        providers: Inference providers to ask, one after the other, and no others; one name or a list.
        bill_to: The organisation, or the resource group, that pays.
    """

    providers: tuple[str, ...] = field(default=(), converter=_providers)
    bill_to: str | None = field(default=None, validator=check_payer)


@define(eq=False)
class Call:
    """One call; `model` and `suffix` are what its model's name consists of."""

    request: ChatRequest
    options: Options
    session: "ClientSession" = field(repr=False)
    base_url: str = field(kw_only=True)
    hub: Hub | None = field(kw_only=True)
    token: str | None = field(kw_only=True, repr=False)
    model: str = field(init=False)
    suffix: str = field(init=False)
    _body: Body = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        name = str(self.request.extra.get("model", self.request.model.name))
        has_suffix = self.hub is not None or bool(self.options.providers)
        self.model, self.suffix = split_suffix(name) if has_suffix else (name, "")
        if self.suffix and self.options.providers:
            raise InvalidRequestError(f"{name!r} and the option providers both say whom to ask", parameter="options")
        self._body = chat_body(self.request)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What has to be told before a chat is sent."""
        idle = [
            Notice(UNSUPPORTED, f"the option {name} means nothing to a chat", parameter="options")
            for name in _given(self.options, ("prompt", *IMAGE_ONLY))
        ]
        return (*idle, *self._body.notices)

    @property
    def _pinned(self) -> bool:
        return bool(self.suffix) and self.suffix not in POLICIES

    def fallback(self) -> Fallback:
        """Return the attempts of this call."""
        find = None if self.hub is None else self._hasty_offers
        return Fallback(self.model, self.suffix, self.options.providers, find)

    def chat(self, fallback: Fallback) -> AsyncGenerator[Event, None]:
        """Return the answer of one attempt to chat."""
        return stream_chat(
            fallback.shown(self.request),
            client_for(self.session, self.request, base_url=self.base_url, token=self.token, refine=fallback.refine),
            body=Body(self._body.asking(fallback.target)),
            headers=self._headers,
            backend_header=BACKEND_HEADER,
        )

    @property
    def _headers(self) -> dict[str, str]:
        return {BILL_TO_HEADER: self.options.bill_to} if self.options.bill_to else {}

    async def wants_picture(self) -> bool:
        """Whether this is for a model that makes pictures; the Hub is asked only where the request looks like it."""
        tasks = self.request.model.tasks
        if tasks is not None or self.hub is None:
            return TEXT_TO_IMAGE in (tasks or ())
        looks = (*_given(self.request, ("width", "height", "aspect_ratio")), *_given(self.options, IMAGE_ONLY))
        if not looks:
            return False
        try:
            return (await self._hasty_offers()).only(TEXT_TO_IMAGE)
        except ProviderError:
            return False

    async def picture(self) -> AsyncGenerator[Event, None]:
        """Return the answer of the inference providers that make pictures with this model."""
        from core_huggingface.images import router_places, stream_image

        offers = await self._hasty_offers()
        wanted = (self.suffix,) if self._pinned else self.options.providers
        servings = [serving for serving in offers.live(TEXT_TO_IMAGE) if not wanted or serving.provider in wanted]
        return stream_image(
            self.request,
            client_for(self.session, self.request, base_url=self.base_url, token=self.token, refine=refine),
            places=router_places(servings, origin=str(URL(self.base_url).origin())),
            options=self.options,
            model=offers.model,
            headers=self._headers,
        )

    async def _hasty_offers(self) -> Offers:
        """Return who serves the model; nothing should wait long for that."""
        if self.hub is None:
            return Offers(self.model, ())
        hasty = evolve(self.request, timeouts=_hasty(self.request.timeouts))
        return await self.hub.offers(self.model, self.hub.client(self.session, hasty, token=self.token))


def _given(source: object, names: Iterable[str]) -> list[str]:
    return [name for name in names if getattr(source, name) is not None]


def _hasty(timeouts: Timeouts) -> Timeouts:
    seconds = min(_LOOK_UP_SECONDS, timeouts.headers or _LOOK_UP_SECONDS)
    return evolve(timeouts, headers=seconds, idle=seconds)


def with_vision(request: ChatRequest) -> tuple[ChatRequest, tuple[Notice, ...]]:
    """Choose the model for looking at pictures, where there are some and the caller named no model."""
    unnamed = request.model.is_default and request.model.source != "live"
    if not unnamed or not any(message.images for message in request.messages):
        return request, ()
    told = f"no model was named and there are pictures: {DEFAULT_VISION} is asked"
    return evolve(request, model=evolve(request.model, name=DEFAULT_VISION)), (Notice("vision_model", told),)
