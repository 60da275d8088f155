"""Pictures from text, at any inference provider: one request, its answer in whichever shape, the bytes in the end."""

from collections.abc import AsyncGenerator, Mapping, Sequence

from attrs import define, evolve, field, frozen

from core_chat.errors import ModelNotFoundError, ProviderError
from core_chat.events import Event, Finish, Media, Notice, Route
from core_chat.http import Client
from core_chat.notices import UNSUPPORTED
from core_chat.requests import PARAMETERS, ChatRequest
from core_huggingface._fallback import may_work_elsewhere
from core_huggingface._hub import Serving
from core_huggingface._image_job import Job
from core_huggingface._image_requests import (
    BUILDERS,
    Builder,
    Order,
    Wish,
    endpoint,
    hf_inference,
    openai,
)
from core_huggingface._image_wish import read_wish
from core_huggingface._options import ImageOptions
from core_huggingface._wires import HF_INFERENCE, leads_on

TEXT_TO_IMAGE = "text-to-image"
_ATTEMPTS = 4


@frozen(kw_only=True)
class Place:
    """Where a picture can be made: an offer of the model, the URL its paths are below, the way to ask there."""

    serving: Serving
    base: str
    build: Builder


def router_places(servings: Sequence[Serving], *, origin: str) -> list[Place]:
    """Return where the router's host at `origin` can have a picture made; unknown inference providers are left out."""
    return [
        Place(serving=serving, base=f"{origin}/{serving.provider}", build=BUILDERS[serving.provider])
        for serving in servings
        if serving.provider in BUILDERS
    ]


def endpoint_places(model: str, *, base_url: str) -> list[Place]:
    """Return where a picture can be made below the base URL of hf-inference, or of a server of one's own."""
    own = Serving(provider=HF_INFERENCE, provider_id=model, task=TEXT_TO_IMAGE)
    root = evolve(own, provider="")
    if base_url.endswith(f"/{HF_INFERENCE}"):
        return [Place(serving=own, base=base_url, build=hf_inference)]
    if base_url.endswith("/v1"):
        return [Place(serving=root, base=base_url, build=openai)]
    rooted = [
        Place(serving=root, base=base_url, build=endpoint),
        Place(serving=root, base=f"{base_url}/v1", build=openai),
    ]
    return rooted if "/models/" in base_url else [Place(serving=root, base=base_url, build=hf_inference), *rooted]


async def stream_image(
    request: ChatRequest,
    client: Client,
    *,
    places: Sequence[Place],
    options: ImageOptions,
    model: str | None = None,
    headers: Mapping[str, str] | None = None,
    one_server: bool = False,
) -> AsyncGenerator[Event, None]:
    """Answer a request with pictures of its last user message; use it under `aclosing`.

    The token of `client` goes to the origin of its base URL and nowhere else. The places are tried in their order, but
    those first that can be told everything; the next one only where it may help, or, with `one_server`, where a path
    is not there. `model` is its id on the Hub, where it is another than the request's.

    Raises:
        InvalidRequestError: There is no prompt.
        ProviderError: No place made a picture: the first failure, with all that was tried.
    """
    model = model or request.model.name
    wish, notices = read_wish(request, options, model=model)
    for notice in notices:
        yield notice
    tries = _Tries(model, one_server=one_server)
    for place, order in _in_order(places, wish):
        for notice in _lost(order, place.serving.provider or "this server"):
            yield notice
        try:
            made = await Job(client, place.base).make(order, headers={**(headers or {}), **request.headers})
        except ProviderError as error:
            tries.failed(place, error)
            continue
        yield Route(request.model.provider, model, place.serving.provider or None, made.upstream_id)
        for data, media_type in made.pictures:
            yield Media(data=data, media_type=media_type)
        yield Finish("stop")
        return
    raise tries.verdict()


@define(eq=False)
class _Tries:
    """What has failed so far."""

    model: str
    one_server: bool = field(kw_only=True)
    _failures: list[tuple[str, ProviderError]] = field(init=False, factory=list)

    def failed(self, place: Place, error: ProviderError) -> None:
        """Take in a failure.

        Raises:
            ProviderError: Another place would not help.
        """
        if self.one_server and not leads_on(error):
            raise error
        self._failures.append((f"{self.model}:{place.serving.provider}", error))
        if not self.one_server and not may_work_elsewhere(error):
            raise self.verdict()

    def verdict(self) -> ProviderError:
        """Return the first failure, with all that was tried."""
        if not self._failures:
            return ModelNotFoundError(f"no inference provider that is known here makes pictures with {self.model}")
        first = self._failures[0][1]
        if len(self._failures) > 1:
            first.attempts = tuple(error.as_attempt(target) for target, error in self._failures)
            first.retryable = all(error.retryable for _, error in self._failures)
        return first


def _in_order(places: Sequence[Place], wish: Wish) -> list[tuple[Place, Order]]:
    """Return the places with their requests: those first that can be told everything, else in the order given."""
    orders = [(place, place.build(wish, place.serving)) for place in places]
    return sorted(orders, key=lambda pair: len(pair[1].lost))[:_ATTEMPTS]


def _lost(order: Order, provider: str) -> list[Notice]:
    return [
        Notice(UNSUPPORTED, f"{provider} cannot be told {name}; it was left out", parameter=_parameter(name))
        for name in order.lost
    ]


def _parameter(name: str) -> str:
    return name if name in PARAMETERS else "options"
