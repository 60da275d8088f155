"""Pictures from text, at any inference provider: one request, its answer in whichever shape, the bytes in the end."""

from collections.abc import AsyncGenerator, Mapping, Sequence

from attrs import evolve, frozen

from core_chat.errors import InvalidRequestError, ModelNotFoundError, ProviderError
from core_chat.events import Event, Finish, Media, Notice, Route
from core_chat.http import Client
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
    size_for,
)
from core_huggingface._options import ImageOptions
from core_huggingface._wires import HF_INFERENCE, leads_on

TEXT_TO_IMAGE = "text-to-image"
_ATTEMPTS = 4
_WITHOUT_MEANING = (
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "response_format",
    "tools",
    "tool_choice",
)


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
    """Answer a request with pictures; use it under `aclosing`.

    Args:
        request: What is asked; its last user message is the prompt.
        client: Where it is sent; its token goes to the origin of its base URL and nowhere else.
        places: Tried in this order, those first that can be told everything; the next one only where it may help.
        options: The further settings.
        model: The model's id on the Hub, where it is not the one in the request.
        headers: Sent before the request's own.
        one_server: Whether the places are only paths of one server, so that the next one is for where a path is not
            there, and not for where making the picture failed.

    Raises:
        InvalidRequestError: There is no prompt.
        ProviderError: No place made a picture: the first failure, with all that was tried.
    """
    model = model or request.model.name
    wish, notices = read_wish(request, options, model=model)
    for notice in notices:
        yield notice
    failures: list[tuple[str, ProviderError]] = []
    for place, order in _in_order(places, wish):
        for notice in _lost(order, place.serving.provider or "this server"):
            yield notice
        job = Job(client, place.base)
        try:
            made = await job.make(order, headers={**(headers or {}), **request.headers})
        except ProviderError as error:
            if one_server and not leads_on(error):
                raise
            failures.append((f"{model}:{place.serving.provider}", error))
            if not one_server and not may_work_elsewhere(error):
                break
            continue
        backend = place.serving.provider or None
        yield Route(request.model.provider, model, backend=backend, upstream_id=made.upstream_id)
        for data, media_type in made.pictures:
            yield Media(data=data, media_type=media_type)
        yield Finish("stop")
        return
    raise _verdict(failures, model)


def read_wish(request: ChatRequest, options: ImageOptions, *, model: str) -> tuple[Wish, list[Notice]]:
    """Return the picture that a request asks for, and what has to be told before it is.

    Raises:
        InvalidRequestError: There is no text that says what it is to show.
    """
    message = next((turn for turn in reversed(request.messages) if turn.role == "user"), None)
    prompt = options.prompt or (message.text if message else "")
    if not prompt.strip():
        raise InvalidRequestError("a picture needs a user message that says what it is to show", parameter="messages")
    notices = [*_meaningless(request), *_unread(request, options)]
    width, height = request.width, request.height
    if request.aspect_ratio is not None and None in (width, height):
        width, height = size_for(request.aspect_ratio, width=width, height=height)
    elif request.aspect_ratio is not None:
        told = "width and height were given, so the aspect ratio was left out"
        notices.append(Notice("parameter_ignored", told, parameter="aspect_ratio"))
    wish = Wish(
        model=model,
        prompt=prompt,
        negative_prompt=options.negative_prompt,
        width=width,
        height=height,
        seed=request.seed,
        num_inference_steps=options.num_inference_steps,
        guidance_scale=options.guidance_scale,
        extra=request.extra,
    )
    return wish, notices


def _meaningless(request: ChatRequest) -> list[Notice]:
    return [
        Notice("parameter_ignored", f"{name} means nothing to a model that makes pictures", parameter=name)
        for name in _WITHOUT_MEANING
        if getattr(request, name) not in (None, ())
    ]


def _unread(request: ChatRequest, options: ImageOptions) -> list[Notice]:
    """Tell what of the messages has no part in the picture."""
    notices = []
    if any(turn.images for turn in request.messages):
        told = "this model makes pictures from text; the pictures in the messages were left out"
        notices.append(Notice("images_ignored", told, parameter="messages"))
    if len(request.messages) > 1 or options.prompt is not None:
        told = "options={'prompt': …}" if options.prompt is not None else "the last user message"
        notices.append(Notice("prompt_only", f"{told} alone says what the picture shows"))
    return notices


def _in_order(places: Sequence[Place], wish: Wish) -> list[tuple[Place, Order]]:
    """Return the places with their requests: those first that can be told everything, else in the order given."""
    orders = [(place, place.build(wish, place.serving)) for place in places]
    return sorted(orders, key=lambda pair: len(pair[1].lost))[:_ATTEMPTS]


def _lost(order: Order, provider: str) -> list[Notice]:
    return [
        Notice("parameter_ignored", f"{provider} cannot be told {name}; it was left out", parameter=_parameter(name))
        for name in order.lost
    ]


def _parameter(name: str) -> str:
    return name if name in PARAMETERS else "options"


def _verdict(failures: list[tuple[str, ProviderError]], model: str) -> ProviderError:
    """Return the first failure, with all that was tried."""
    if not failures:
        return ModelNotFoundError(f"no inference provider that is known here makes pictures with {model}")
    first = failures[0][1]
    if len(failures) > 1:
        first.attempts = tuple(error.as_attempt(target) for target, error in failures)
        first.retryable = all(error.retryable for _, error in failures)
    return first
