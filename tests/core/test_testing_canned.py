"""The canned provider, used as a host application's tests use it."""

import pytest

from core_chat import (
    ChatRequest,
    Conversation,
    Finish,
    InvalidRequestError,
    ModelInfo,
    RateLimitError,
    Registry,
    TextDelta,
    UnavailableError,
    Usage,
)
from core_chat.testing import Canned, ManualClock


async def test_a_text_is_streamed_word_by_word() -> None:
    """A text comes in several pieces that join to exactly it, and ends lawfully."""
    text = " Hello,\n\nworld \u2028 and  all! \n"
    async with Registry(only=()) as registry:
        registry.register(Canned(text), "canned")
        async with registry.stream("canned:", "Hi") as stream:
            events = [event async for event in stream]
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert pieces[:2] == [" Hello,", "\n\nworld"]
    assert "".join(pieces) == text
    assert events[-1] == Finish("stop")


async def test_answers_come_in_order_and_the_last_stays() -> None:
    """Each call gets the next answer; the last one is given from then on."""
    async with Registry(only=()) as registry:
        registry.register(Canned("one", "two"), "canned")
        assert [(await registry.chat("canned:", "Hi")).text for _ in range(4)] == ["one", "two", "two", "two"]


async def test_pieces_and_events_go_out_as_they_are() -> None:
    """A list's texts are one event each, its events pass, and its own Finish is the end."""
    async with Registry(only=()) as registry:
        registry.register(Canned(["Hel", "", "lo", Usage(3, 2), Finish("length", raw="max")]), "canned")
        async with registry.stream("canned:", "Hi") as stream:
            events = [event async for event in stream]
    assert events == [TextDelta("Hel"), TextDelta("lo"), Usage(3, 2), Finish("length", raw="max")]


async def test_one_event_is_an_answer() -> None:
    """An event alone is a whole answer; an empty text is one without words."""
    async with Registry(only=()) as registry:
        registry.register(Canned(Usage(1), ""), "canned")
        assert (await registry.chat("canned:", "Hi")).usage == Usage(1)
        assert (await registry.chat("canned:", "Hi")).finish == Finish("stop")


async def test_errors_are_raised_where_they_stand() -> None:
    """An exception in a list comes after what stands before it, with that as its partial reply, the same every time."""
    async with Registry(only=()) as registry:
        registry.register(Canned(["Hel", UnavailableError("gone"), "lo"]), "canned")
        for _ in range(2):
            with pytest.raises(UnavailableError, match="canned: gone") as caught:
                await registry.chat("canned:", "Hi")
            assert caught.value.partial is not None
            assert caught.value.partial.text == "Hel"


async def test_retries_can_be_rehearsed() -> None:
    """A rate limit and then an answer: the registry waits on the test's clock and tries again."""
    clock = ManualClock()
    canned = Canned(RateLimitError("slow down", retry_after=20), "Hello!")
    async with Registry(only=(), clock=clock) as registry:
        registry.register(canned, "canned")
        assert (await registry.chat("canned:", "Hi")).text == "Hello!"
    assert len(canned.requests) == 2
    assert clock.time() >= 20


async def test_delays_take_the_clocks_time() -> None:
    """`delay` passes before each event, on the registry's clock."""
    clock = ManualClock()
    async with Registry(only=(), clock=clock) as registry:
        registry.register(Canned(["a", "b"], delay=2), "canned")
        await registry.chat("canned:", "Hi")
    assert clock.sleeps == [2, 2, 2]


async def test_a_function_sees_the_request() -> None:
    """A function answers with anything that is an answer, by what was asked."""

    def shout(request: ChatRequest) -> str:
        return request.messages[-1].text.upper()

    canned = Canned(shout)
    async with Registry(only=()) as registry:
        registry.register(canned, "canned")
        reply = await registry.chat("canned:big", "hi there", temperature=0.5)
        assert reply.text == "HI THERE"
        assert (await registry.chat("canned:", "more", conversation=reply.conversation)).text == "MORE"
    first, second = canned.requests
    assert (first.temperature, first.model.name, first.model.known) == (0.5, "big", False)
    assert [message.text for message in second.messages] == ["hi there", "HI THERE", "more"]


async def test_models_are_listed_and_conversations_deleted() -> None:
    """The names given are listed and resolved, the first is the default, and deletions are recorded."""
    canned = Canned("Hello!", models=["small", "large"])
    async with Registry(only=()) as registry:
        registry.register(canned, "canned")
        catalog = await registry.models("canned")
        assert [(model.full_name, model.is_default) for model in catalog.models] == [
            ("canned:small", True),
            ("canned:large", False),
        ]
        assert registry.resolve("large") == ModelInfo("large", provider="canned")
        kept = Conversation(state={"canned": {"id": 1}})
        assert await registry.delete(kept) == ("canned",)
    assert canned.deleted == [kept]


async def test_bad_input_is_refused() -> None:
    """There is no answer to give without one, and no option to take."""
    with pytest.raises(TypeError, match="at least one answer"):
        Canned()
    canned = Canned("Hello!")
    async with Registry(only=()) as registry:
        registry.register(canned, "canned")
        with pytest.raises(InvalidRequestError, match="no option 'color'"):
            await registry.chat("canned:", "Hi", options={"color": "red"})
    assert canned.requests == []
