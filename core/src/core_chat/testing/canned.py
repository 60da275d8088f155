"""A provider with prepared answers, for the tests of applications that use core-chat."""

import copy
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import ClassVar, TypeAlias

from attrs import define, field

from core_chat.errors import ProviderError
from core_chat.events import Event, Finish, TextDelta
from core_chat.hooks import hookimpl
from core_chat.models import About, ModelInfo
from core_chat.reply import Conversation
from core_chat.requests import ChatRequest, NoOptions, read_options

Item: TypeAlias = str | Event | BaseException
Answer: TypeAlias = "Item | Iterable[Item] | Callable[[ChatRequest], Answer]"

_WORD = re.compile(r"\s*\S+|\s+$")


@define(eq=False, init=False)
class Canned:
    """An in-process provider that answers what it is told to; no network, no key, always the same.

    ```python
    registry.register(Canned("Hello!"), "canned")
    ```

    Args:
        answers: Given in order, one to a call; the last one is given again and again. A text is streamed word by word,
            a list of texts piece by piece; events go out as they are, and `Finish("stop")` follows where there is
            none; an exception is raised, in a list after what stands before it; a function is called with the request
            and returns any of these.
        models: The names it knows; the first is the default. Any other name is accepted after `provider:`.
        delay: Seconds of the registry's clock before each event.

    Attributes:
        requests: Every request that was answered, oldest first.
        deleted: Every conversation that was deleted, oldest first.
    """

    about: ClassVar = About(label="Canned answers")
    models: tuple[str, ...]
    delay: float
    requests: list[ChatRequest]
    deleted: list[Conversation]
    _answers: deque[Answer] = field(repr=False)

    def __init__(self, *answers: Answer, models: Iterable[str] = ("canned-1",), delay: float = 0) -> None:
        if not answers:
            raise TypeError("Canned needs at least one answer")
        self.__attrs_init__(tuple(models), delay, [], [], deque(answers))

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo:
        """Know the given models; take any other name as it is."""
        wanted = name or self.models[0]
        return ModelInfo(wanted, known=wanted in self.models, is_default=wanted == self.models[0])

    @hookimpl
    async def list_models(self) -> AsyncGenerator[ModelInfo, None]:
        """List the given models."""
        for name in self.models:
            yield self.resolve_model(name)

    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Record the request and give the next answer."""
        read_options(NoOptions, request)
        self.requests.append(request)
        answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        for event in _events(answer, request):
            if self.delay:
                await request.clock.sleep(self.delay)
            yield event

    @hookimpl
    async def delete_conversation(self, conversation: Conversation) -> None:
        """Record the conversation."""
        self.deleted.append(conversation)


def _events(answer: Answer, request: ChatRequest) -> Iterator[Event]:
    """Yield the events of an answer, and raise its exceptions at their place."""
    event: Event | None = None
    for item in _items(answer, request):
        if isinstance(item, BaseException):
            # A copy, since the core notes in a ProviderError what had come before it in this one call.
            raise copy.copy(item) if isinstance(item, ProviderError) else item
        event = TextDelta(item) if isinstance(item, str) else item
        yield event
    if not isinstance(event, Finish):
        yield Finish("stop")


def _items(answer: Answer, request: ChatRequest) -> Iterable[Item]:
    if isinstance(answer, str):
        return _WORD.findall(answer)
    if isinstance(answer, BaseException | Event):
        return (answer,)
    if callable(answer):
        return _items(answer(request), request)
    return [item for item in answer if item != ""]
