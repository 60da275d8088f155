"""Notices that several providers give, in the same words."""

from collections.abc import Collection, Iterator

from core_chat.events import Notice
from core_chat.requests import PARAMETERS, ChatRequest

UNSUPPORTED = "unsupported_parameter"
"""The code of a notice about a parameter that the upstream does not take."""

_NOT_THE_MODELS = frozenset({"max_input_chars", "headers", "options", "extra"})


def asked(request: ChatRequest) -> list[str]:
    """Return the names of the parameters that a request sets; what `extra` sets in their stead is not among them."""
    return [
        name
        for name in PARAMETERS
        if name not in _NOT_THE_MODELS and name not in request.extra and getattr(request, name) not in (None, ())
    ]


def unsupported(request: ChatRequest, *, taken: Collection[str]) -> Iterator[Notice]:
    """Yield a notice for everything a request asks for that is not among the parameters a provider takes.

    Pictures in the messages count as "images".
    """
    provider = request.model.provider
    for name in asked(request):
        if name not in taken:
            yield Notice(UNSUPPORTED, f"{provider} takes no {name}; it was not sent", parameter=name)
    if "images" not in taken and any(message.images for message in request.messages):
        yield Notice(UNSUPPORTED, f"{provider} takes no images; they were not sent", parameter="messages")
