"""Notices that several providers give, in the same words."""

from collections.abc import Collection, Iterator

from core_chat.events import Notice
from core_chat.requests import PARAMETERS, ChatRequest

UNSUPPORTED = "unsupported_parameter"
"""The code of a notice about a parameter that the upstream does not take."""

_NOT_THE_MODELS = frozenset({"max_input_chars", "headers", "options", "extra"})


def unsupported(request: ChatRequest, *, taken: Collection[str]) -> Iterator[Notice]:
    """Yield a notice for everything a request asks for that is not among the parameters a provider takes.

    Pictures in the messages count as "images". What `extra` sets under the parameter's own name counts as taken.
    """
    provider = request.model.provider
    for name in PARAMETERS:
        if name in _NOT_THE_MODELS or name in taken or name in request.extra:
            continue
        if getattr(request, name) not in (None, ()):
            yield Notice(UNSUPPORTED, f"{provider} takes no {name}; it was not sent", parameter=name)
    if "images" not in taken and any(message.images for message in request.messages):
        yield Notice(UNSUPPORTED, f"{provider} takes no images; they were not sent", parameter="messages")
