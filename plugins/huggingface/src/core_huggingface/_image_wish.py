"""From a request to the picture it asks for, and to what has to be told before it is made."""

from core_chat.errors import InvalidRequestError
from core_chat.events import Notice
from core_chat.messages import Message
from core_chat.notices import UNSUPPORTED, asked
from core_chat.requests import ChatRequest
from core_huggingface._image_requests import Wish, size_for
from core_huggingface._options import ImageOptions

_WITH_MEANING = frozenset({"seed", "width", "height", "aspect_ratio"})


def read_wish(request: ChatRequest, options: ImageOptions, *, model: str) -> tuple[Wish, list[Notice]]:
    """Return the picture that a request asks for, and what has to be told before it is.

    Raises:
        InvalidRequestError: There is no text that says what it is to show.
    """
    message = next((turn for turn in reversed(request.messages) if turn.role == "user"), None)
    prompt = options.prompt or (message.text if message else "")
    if not prompt.strip():
        raise InvalidRequestError("a picture needs a user message that says what it is to show", parameter="messages")
    notices = [*_meaningless(request), *_unread(request, options, message=message)]
    width, height = request.width, request.height
    if request.aspect_ratio is not None and None in (width, height):
        width, height = size_for(request.aspect_ratio, width=width, height=height)
    elif request.aspect_ratio is not None:
        told = "width and height were given, so the aspect ratio was left out"
        notices.append(Notice(UNSUPPORTED, told, parameter="aspect_ratio"))
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
        Notice(UNSUPPORTED, f"{name} means nothing to a model that makes pictures", parameter=name)
        for name in asked(request)
        if name not in _WITH_MEANING
    ]


def _unread(request: ChatRequest, options: ImageOptions, *, message: Message | None) -> list[Notice]:
    """Tell what of the messages has no part in the picture."""
    notices = []
    if message is not None and message.images:
        told = "this model makes pictures from text; the pictures in the message were left out"
        notices.append(Notice("images_ignored", told, parameter="messages"))
    if len(request.messages) > 1 or options.prompt is not None:
        told = "options={'prompt': …}" if options.prompt is not None else "the last user message"
        notices.append(Notice("prompt_only", f"{told} alone says what the picture shows"))
    return notices
