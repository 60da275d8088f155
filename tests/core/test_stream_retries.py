"""When a call is tried again, in virtual time."""

from collections.abc import AsyncGenerator

import pytest
from tests.core.players import DONE, Player, events, failure, opened, waiting

from core_chat import (
    ChatRequest,
    Event,
    IncompleteStreamError,
    Media,
    ProviderError,
    RateLimitError,
    ReasoningDelta,
    RequestRejectedError,
    Retry,
    Route,
    TextDelta,
    TimedOutError,
    Timeouts,
    ToolCallDelta,
    UnavailableError,
)
from core_chat.testing import Canned, ManualClock


async def test_a_retry_waits_as_long_as_the_upstream_asked_and_a_little_more() -> None:
    """`retry_after` is honoured; the jitter only adds."""
    clock = ManualClock()
    plays = [events(RateLimitError("slow down", retry_after=7)), events(TextDelta("a"), DONE)]
    async with opened(Player(plays), clock=clock) as registry:
        assert (await registry.chat("p:", "hi")).text == "a"
    assert len(clock.sleeps) == 1
    assert 7 <= clock.sleeps[0] <= 7.7


async def test_without_a_hint_the_waits_double() -> None:
    """Half a second, one, two: each half to one and a half times that."""
    clock = ManualClock()
    player = Player([events(UnavailableError("busy", retryable=True))])
    async with opened(player, clock=clock, retry=Retry(attempts=5)) as registry:
        error = await failure(registry.stream("p:", "hi"))
    assert isinstance(error, UnavailableError)
    assert player.begun == 5
    assert len(error.attempts) == 5
    for wait, middle in zip(clock.sleeps, (0.5, 1, 2, 4), strict=True):
        assert middle * 0.5 <= wait <= middle * 1.5


async def test_a_wait_beyond_the_budget_raises_at_once() -> None:
    """Nobody sleeps for a wait that ends beyond the budget: the error comes at once, with what was tried."""
    clock = ManualClock()
    plays = [
        events(RateLimitError("first", retry_after=40, status=429)),
        events(RateLimitError("then", retry_after=30)),
    ]
    player = Player(plays)
    async with opened(player, clock=clock) as registry:
        error = await failure(registry.stream("p:m", "hi"))
    assert isinstance(error, RateLimitError)
    assert str(error) == "p: then (retry after 30 s, 2 attempts)"
    assert [(attempt.target, attempt.error, attempt.status, attempt.text) for attempt in error.attempts] == [
        ("p:m", "RateLimitError", 429, "first"),
        ("p:m", "RateLimitError", None, "then"),
    ]
    assert player.begun == 2
    assert len(clock.sleeps) == 1


async def test_waiting_never_exceeds_the_budget() -> None:
    """Jitter included, all waits together stay within the budget."""
    clock = ManualClock()
    player = Player([events(RateLimitError("slow down", retry_after=10))])
    async with opened(player, clock=clock, retry=Retry(attempts=100, budget=20)) as registry:
        await failure(registry.stream("p:", "hi"))
    assert 10 <= sum(clock.sleeps) <= 20


@pytest.mark.parametrize("seed", range(8))
async def test_the_jitter_stays_within_the_budget(seed: int) -> None:
    """A wait that just fits is not spread beyond the budget."""
    clock = ManualClock(seed=seed)
    player = Player([events(RateLimitError("slow down", retry_after=10)), events(TextDelta("a"), DONE)])
    async with opened(player, clock=clock, retry=Retry(budget=10.1)) as registry:
        assert (await registry.chat("p:", "hi")).text == "a"
    assert 10 <= clock.time() <= 10.1


async def test_waiting_to_retry_takes_of_the_total() -> None:
    """A wait that is longer than what `total` leaves is not begun."""
    clock = ManualClock()
    player = Player([events(RateLimitError("slow down", retry_after=4))])
    async with opened(player, clock=clock, retry=Retry(attempts=10)) as registry:
        error = await failure(registry.stream("p:", "hi", timeouts=Timeouts(total=10)))
    assert isinstance(error, RateLimitError)
    assert player.begun == 3
    assert clock.time() < 10


@pytest.mark.parametrize("content", [TextDelta("a"), ReasoningDelta("a"), ToolCallDelta(0), Media(url="https://e.x/a")])
async def test_after_content_nothing_is_tried_again(content: Event) -> None:
    """Once a piece of the answer has been seen, a retryable error is raised all the same."""
    player = Player([events(Route("p", "m"), content, RateLimitError("slow down"))])
    async with opened(player) as registry:
        error = await failure(registry.stream("p:", "hi"))
    assert isinstance(error, RateLimitError)
    assert player.begun == 1
    assert error.attempts == ()


@pytest.mark.parametrize(
    "error", [UnavailableError("down"), TimedOutError("slow"), RequestRejectedError("no"), IncompleteStreamError("cut")]
)
async def test_what_is_not_retryable_is_not_retried(error: ProviderError) -> None:
    """Other errors may have done or paid something: they are raised at the first attempt."""
    player = Player([events(error)])
    async with opened(player) as registry:
        assert await failure(registry.stream("p:", "hi")) is error
    assert player.begun == 1


async def test_retries_can_be_switched_off() -> None:
    """`Retry(attempts=1)` and `Retry(budget=0)` make one attempt."""
    for retry in (Retry(attempts=1), Retry(budget=0)):
        player = Player([events(RateLimitError("slow down"))])
        async with opened(player, retry=retry) as registry:
            await failure(registry.stream("p:", "hi"))
        assert player.begun == 1


async def test_a_failure_after_a_retry_tells_of_the_earlier_ones() -> None:
    """An answer that breaks off in the second attempt names both."""
    plays = [events(RateLimitError("busy")), events(TextDelta("a"))]
    async with opened(Player(plays)) as registry:
        error = await failure(registry.stream("p:", "hi"))
    assert isinstance(error, IncompleteStreamError)
    assert [attempt.error for attempt in error.attempts] == ["RateLimitError", "IncompleteStreamError"]
    assert error.partial is not None
    assert error.partial.text == "a"


async def test_each_attempt_has_the_whole_time_for_its_first_piece() -> None:
    """`first_event` begins anew with each attempt."""
    busy = RateLimitError("busy", retry_after=1)

    async def late(request: ChatRequest) -> AsyncGenerator[Event, None]:
        await request.clock.sleep(8)
        if busy.retryable:
            raise busy
        yield DONE

    plays = [late, late, waiting(8.0, TextDelta("a"), DONE)]
    async with opened(Player(plays)) as registry:
        assert (await registry.chat("p:", "hi", timeouts=Timeouts(first_event=10))).text == "a"


async def test_a_canned_provider_is_retried_as_any_other() -> None:
    """The provider for host apps' tests goes through the same order."""
    clock = ManualClock()
    async with opened(Canned(RateLimitError("busy", retry_after=3), "Hello there"), clock=clock) as registry:
        assert (await registry.chat("p:", "hi")).text == "Hello there"
    assert clock.time() >= 3


@pytest.mark.parametrize("nonsense", [float("nan"), -5.0])
async def test_a_wait_that_is_no_time_is_ignored(nonsense: float) -> None:
    """A provider that reads nonsense out of an answer does not make the caller sleep for it."""
    clock = ManualClock()
    plays = [events(RateLimitError("busy", retry_after=nonsense)), events(TextDelta("a"), DONE)]
    async with opened(Player(plays), clock=clock) as registry:
        assert (await registry.chat("p:", "hi")).text == "a"
    assert 0.25 <= clock.time() <= 0.75


async def test_the_longest_wait_is_half_a_minute() -> None:
    """Waits stop doubling, however often a call is tried."""
    clock = ManualClock()
    player = Player([events(UnavailableError("down", retryable=True))])
    async with opened(player, clock=clock, retry=Retry(attempts=40, budget=1e6)) as registry:
        await failure(registry.stream("p:", "hi"))
    assert player.begun == 40
    assert max(clock.sleeps) <= 45
