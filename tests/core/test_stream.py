"""What a stream shows, and how it fails."""

import asyncio
import logging
from collections.abc import AsyncGenerator

import pytest
from tests.core.players import DONE, Play, Player, endless, events, failure, opened, read

from core_chat import (
    ChatRequest,
    ChatStream,
    CoreError,
    Event,
    Finish,
    IncompleteStreamError,
    InvalidRequestError,
    Media,
    ModelInfo,
    Notice,
    PluginError,
    ProviderError,
    ReasoningDelta,
    RegistryClosedError,
    RequestRejectedError,
    Retry,
    Route,
    TextDelta,
    TimedOutError,
    ToolCallDelta,
    UnavailableError,
    Usage,
)
from core_chat._guard import Guard

# What comes through


async def test_events_come_through_as_they_are_and_in_order() -> None:
    """Every event of a provider reaches the caller unchanged, unmerged and unsplit, and the reply is their fold."""
    answer: list[Event] = [
        Route("p", "model", backend="there"),
        Notice("note", "something to know"),
        ReasoningDelta("hm"),
        TextDelta(" "),
        TextDelta("\n"),
        TextDelta("\u2028a"),
        ToolCallDelta(0, id="1", name="f", arguments="{"),
        ToolCallDelta(0, arguments="}"),
        Media(url="https://example.org/a.png"),
        Usage(1, 2),
        Finish("tool_calls", raw="tool_use", state={"id": 1}),
    ]
    async with opened(Player([events(*answer)])) as registry, registry.stream("p:", "hi") as stream:
        assert [event async for event in stream] == answer
        reply = await stream.reply()
    assert (reply.text, reply.reasoning, reply.usage) == (" \n\u2028a", "hm", Usage(1, 2))
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [("1", "f", "{}")]
    assert reply.conversation.state == {"p": {"id": 1}}


async def test_text_gives_only_the_pieces_of_text() -> None:
    """`stream.text()` yields the text pieces and nothing else."""
    player = Player([events(Route("p", "m"), ReasoningDelta("r"), TextDelta("a"), TextDelta("b"), DONE)])
    async with opened(player) as registry, registry.stream("p:", "hi") as stream:
        assert [piece async for piece in stream.text()] == ["a", "b"]


async def test_a_reply_holds_what_was_read_before_it_was_asked_for() -> None:
    """`reply()` reads the rest; what was read before is in it, and it can be asked for after the block."""
    async with opened(Player([events(TextDelta("a"), TextDelta("b"), TextDelta("c"), DONE)])) as registry:
        async with registry.stream("p:", "hi") as stream:
            assert await anext(stream) == TextDelta("a")
            reply = await stream.reply()
            assert [event async for event in stream] == []
        assert reply.text == (await stream.reply()).text == "abc"


async def test_a_reply_after_leaving_early_is_refused() -> None:
    """An answer that was left before its end is no reply."""
    async with opened(Player([events(TextDelta("a"), TextDelta("b"), DONE)])) as registry:
        async with registry.stream("p:", "hi") as stream:
            await anext(stream)
        with pytest.raises(RegistryClosedError, match="the stream is closed"):
            await stream.reply()


async def test_a_route_is_stamped_with_the_providers_name() -> None:
    """A plugin cannot speak for another: `Route.provider` is the name it is installed under."""
    async with opened(Player([events(Route("other", "m", "b", "id"), DONE)])) as registry:
        found = await read(registry.stream("p:", "hi"))
    assert found[0] == Route("p", "m", "b", "id")


async def test_nothing_happens_before_the_first_event_is_asked_for() -> None:
    """Making and entering a stream runs nothing of the provider, and leaving it then closes nothing."""
    player = Player([events(DONE)])
    async with opened(player) as registry:
        stream = registry.stream("p:", "hi")
        async with stream:
            assert player.begun == 0
        with pytest.raises(RegistryClosedError, match="the stream is closed"):
            await anext(stream)
    assert (player.begun, player.closed) == (0, 0)


async def test_a_stream_has_to_be_entered_and_only_once() -> None:
    """Iterating without `async with`, and entering twice, are told from other mistakes."""
    async with opened(Player([events(DONE)])) as registry:
        stream = registry.stream("p:", "hi")
        with pytest.raises(RegistryClosedError, match="enter the stream first"):
            await anext(stream)
        async with stream:
            with pytest.raises(RegistryClosedError, match="entered once"):
                await stream.__aenter__()


async def test_its_repr_shows_no_request() -> None:
    """A stream's repr names the model and the state alone."""
    async with opened(Player([events(DONE)])) as registry:
        assert repr(registry.stream("p:m", "private", api_key="secret")) == "<ChatStream p:m new>"


async def test_streams_run_side_by_side() -> None:
    """A hundred streams of one registry at once keep apart."""

    async def echo(request: ChatRequest) -> AsyncGenerator[Event, None]:
        for character in request.messages[-1].text:
            await asyncio.sleep(0)
            yield TextDelta(character)
        yield DONE

    async with opened(Player([echo])) as registry:
        replies = await asyncio.gather(*(registry.chat("p:", f"message {number}") for number in range(100)))
    assert [reply.text for reply in replies] == [f"message {number}" for number in range(100)]


# The stream law


@pytest.mark.parametrize("items", [[], [TextDelta("a")], [Route("p", "m"), Usage(1, 1)]])
async def test_a_stream_without_finish_is_incomplete(items: list[Event]) -> None:
    """Ending without `Finish` is an error that holds what had come."""
    async with opened(Player([events(*items)])) as registry:
        error = await failure(registry.stream("p:", "hi"))
    assert isinstance(error, IncompleteStreamError)
    assert error.provider == "p"
    assert error.partial is not None
    assert error.partial.text == "".join(item.text for item in items if isinstance(item, TextDelta))
    assert error.partial.finish is None


@pytest.mark.parametrize("late", [Finish("stop"), TextDelta("a"), Usage(1, 1)])
@pytest.mark.parametrize("before", [[], [TextDelta("a")]])
async def test_nothing_comes_after_finish(before: list[Event], late: Event) -> None:
    """An event after `Finish` is a plugin's error; the caller does not see the `Finish` either."""
    player = Player([events(*before, DONE, late)])
    async with opened(player) as registry:
        error = await failure(registry.stream("p:", "hi"))
    assert isinstance(error, PluginError)
    assert str(error) == f"p yielded {type(late).__name__} after Finish"
    assert (player.begun, player.closed) == (1, 1)


@pytest.mark.parametrize("wrong", ["text", None, {"text": "a"}, TextDelta, object()])
@pytest.mark.parametrize("before", [[], [TextDelta("a")]])
async def test_what_is_no_event_is_refused(before: list[Event], wrong: object) -> None:
    """A provider that yields something else breaks the contract, and its generator is closed."""
    player = Player([events(*before, wrong, DONE)])  # type: ignore[arg-type]  # the mistake
    async with opened(player) as registry:
        error = await failure(registry.stream("p:", "hi"))
    assert isinstance(error, PluginError)
    assert str(error) == f"p yielded {type(wrong).__name__}, which is no event"
    assert (error.plugin, player.closed) == ("p", 1)


async def test_a_finish_has_a_known_reason_and_a_state_of_json() -> None:
    """What a conversation keeps has to be JSON, and a reason one that hosts can match on."""
    bad: list[tuple[Finish, str]] = [
        (Finish("eos"), "content_filter, length, other, stop, tool_calls"),  # type: ignore[arg-type]  # the mistake
        (Finish("stop", state={1, 2}), "a state that is no JSON data"),
        (Finish("stop", state=float("nan")), "a state that is no JSON data"),
    ]
    for finish, told in bad:
        async with opened(Player([events(TextDelta("a"), finish)])) as registry:
            error = await failure(registry.stream("p:", "hi"))
        assert isinstance(error, PluginError)
        assert told in str(error)


async def test_an_error_after_finish_counts() -> None:
    """The answer is complete once the provider has really ended; an error until then is raised."""
    async with opened(Player([events(TextDelta("a"), DONE, UnavailableError("the end was missing"))])) as registry:
        error = await failure(registry.stream("p:", "hi"))
    assert isinstance(error, UnavailableError)
    assert error.partial is not None
    assert (error.partial.text, error.partial.finish) == ("a", None)


# Errors


@pytest.mark.parametrize(
    ("raised", "kind", "told"),
    [
        (KeyError("x"), PluginError, "p failed with KeyError"),
        (SystemExit(3), PluginError, "p failed with SystemExit"),
        (StopIteration(1), PluginError, "p failed with RuntimeError"),
        (ExceptionGroup("two", [ValueError(), ValueError()]), PluginError, "p failed with ExceptionGroup"),
        (ExceptionGroup("one", [KeyError()]), PluginError, "p failed with KeyError"),
        (ExceptionGroup("one", [RequestRejectedError("no")]), RequestRejectedError, "p: no"),
        (TimeoutError(), TimedOutError, "p: the upstream took too long"),
        (ConnectionResetError(), UnavailableError, "p: the upstream closed the connection before it answered"),
        (InvalidRequestError("bad option"), InvalidRequestError, "bad option"),
        (RequestRejectedError("no", status=400, provider="other"), RequestRejectedError, "p: no (status 400)"),
    ],
)
@pytest.mark.parametrize("before", [[], [TextDelta("a")]])
async def test_whatever_a_provider_raises_is_an_error_of_the_tree(
    before: list[Event], raised: BaseException, *, kind: type[CoreError], told: str
) -> None:
    """Any exception of a provider is raised as the core's, its own as the cause, and the attempt is closed."""
    player = Player([events(*before, raised)])
    async with opened(player) as registry:
        error = await failure(registry.stream("p:", "hi"))
    assert type(error) is kind
    assert str(error) == told
    assert isinstance(raised, CoreError | ExceptionGroup) or type(error.__cause__) in (type(raised), RuntimeError)
    if isinstance(error, ProviderError):
        assert error.partial is not None
        assert error.partial.text == "".join(event.text for event in before if isinstance(event, TextDelta))
    assert player.closed == 1


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), asyncio.CancelledError()])
@pytest.mark.parametrize("before", [[], [TextDelta("a")]])
async def test_what_ends_a_task_passes(before: list[Event], raised: BaseException) -> None:
    """`KeyboardInterrupt` and a cancellation are nobody's error: they go through as they are."""
    stream = ChatStream(
        lambda _request: guard(events(*before, raised)),
        ChatRequest(model=ModelInfo("m", provider="p"), messages=()),
        retry=Retry(),
    )
    with pytest.raises(type(raised)):
        await read(stream)
    with pytest.raises(RegistryClosedError):
        await anext(stream)


def guard(play: Play) -> Guard:
    """A provider's guarded events, without a registry."""
    return Guard(play(ChatRequest(model=ModelInfo("m", provider="p"), messages=())), provider="p")


@pytest.mark.parametrize("before", [[], [TextDelta("a")], [Route("p", "m"), Notice("n", "of a failed attempt")]])
async def test_after_an_error_there_is_nothing_more(before: list[Event]) -> None:
    """A failed stream never passes for a complete one, and shows nothing of the failed attempt."""
    async with (
        opened(Player([events(*before, RequestRejectedError("no"))])) as registry,
        registry.stream("p:", "hi") as stream,
    ):
        with pytest.raises(RequestRejectedError):
            await stream.reply()
        for again in (stream.reply(), anext(stream)):
            with pytest.raises(RegistryClosedError, match="the stream has failed"):
                await again


async def test_a_failing_cleanup_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A provider that fails while it is closed is logged; neither an answer nor an error is lost by it."""

    def fail() -> None:
        raise KeyError("secret")

    caplog.set_level(logging.DEBUG, "core_chat")
    player = Player([endless], at_close=fail)
    async with opened(player) as registry, registry.stream("p:", "hi") as stream:
        assert await anext(stream) == TextDelta("a")
    assert "p failed while it was closed: KeyError" in caplog.text
    assert "secret" not in caplog.text


async def test_errors_are_logged_at_debug_by_kind_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The log of a failure names the model and the error's class, not its text."""
    caplog.set_level(logging.DEBUG, "core_chat")
    async with opened(Player([events(RequestRejectedError("the secret"))])) as registry:
        await failure(registry.stream("p:m", "hi"))
    assert [(record.name, record.levelname, record.message) for record in caplog.records] == [
        ("core_chat.p", "DEBUG", "p:m failed: RequestRejectedError")
    ]


# Strict


async def test_a_strict_call_refuses_what_is_not_honoured() -> None:
    """With `strict`, a notice that names a parameter is an error, and the provider's generator is closed at it."""
    notice = Notice("unsupported", "no top_k here", parameter="top_k")
    player = Player([events(Route("p", "m"), notice, TextDelta("a"), DONE)])
    async with opened(player) as registry:
        error = await failure(registry.stream("p:", "hi", strict=True))
        assert isinstance(error, InvalidRequestError)
        assert (str(error), error.parameter) == ("p: no top_k here", "top_k")
        assert (player.begun, player.closed) == (1, 1)
        reply = await registry.chat("p:", "hi")
    assert reply.notices == (notice,)


async def test_information_is_never_fatal() -> None:
    """A notice without a parameter passes in a strict call."""
    notice = Notice("moved", "another model answers")
    async with opened(Player([events(notice, TextDelta("a"), DONE)])) as registry:
        assert (await registry.chat("p:", "hi", strict=True)).notices == (notice,)
