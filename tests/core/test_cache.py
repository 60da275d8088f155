"""The expiring cache: one load in flight per key, and what a cancellation leaves behind."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core_chat import RateLimitError, Reply
from core_chat.cache import ExpiringCache, key_of
from core_chat.testing import ManualClock


class Loads:
    """Loads that are counted, and end when the test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.go = asyncio.Event()

    async def __call__(self) -> str:
        self.begun += 1
        number = self.begun
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return f"value {number}"


def _fail() -> None:
    raise KeyError("in the clean-up")


def returning(value: str, count: list[int] | None = None) -> Callable[[], Awaitable[str]]:
    """A load that returns at once."""

    async def load() -> str:
        if count is not None:
            count.append(1)
        return value

    return load


async def test_a_value_is_kept_for_its_time() -> None:
    """Within `seconds` the kept value is given; after that, or on `refresh`, it is loaded anew."""
    clock, count = ManualClock(), list[int]()
    cache: ExpiringCache[str, str] = ExpiringCache(seconds=10)
    for _ in range(3):
        assert await cache.get("a", returning("x", count), clock=clock) == "x"
    assert len(count) == 1
    clock.advance(9.9)
    await cache.get("a", returning("x", count), clock=clock)
    assert len(count) == 1
    clock.advance(0.1)
    assert await cache.get("a", returning("y", count), clock=clock) == "y"
    assert await cache.get("a", returning("z", count), clock=clock, refresh=True) == "z"
    assert len(count) == 3
    assert cache.last("a") == "z"


async def test_callers_at_the_same_time_share_one_load() -> None:
    """Ten callers, one load; another key is another load; a refresh joins the load under way."""
    cache: ExpiringCache[str, str] = ExpiringCache()
    loads, other = Loads(), Loads()
    tasks = [asyncio.ensure_future(cache.get("a", loads, refresh=bool(number % 2))) for number in range(10)]
    tasks.append(asyncio.ensure_future(cache.get("b", other)))
    await asyncio.sleep(0)
    loads.go.set()
    other.go.set()
    assert await asyncio.gather(*tasks) == ["value 1"] * 11
    assert (loads.begun, other.begun) == (1, 1)


@pytest.mark.parametrize("leaver", [0, 1, 2])
async def test_one_caller_that_leaves_does_not_end_the_load(leaver: int) -> None:
    """Whoever of the callers is cancelled, the one that began it included, the others get the value."""
    cache: ExpiringCache[str, str] = ExpiringCache()
    loads = Loads()
    tasks = [asyncio.ensure_future(cache.get("a", loads)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks[leaver].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[leaver]
    loads.go.set()
    assert [await task for task in tasks if task is not tasks[leaver]] == ["value 1"] * 2
    assert (loads.begun, loads.cancelled) == (1, 0)


async def test_the_load_ends_when_all_callers_have_left() -> None:
    """A load nobody waits for is cancelled, and the next caller begins another one."""
    cache: ExpiringCache[str, str] = ExpiringCache()
    loads = Loads()
    tasks = [asyncio.ensure_future(cache.get("a", loads)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (loads.begun, loads.cancelled) == (1, 1)
    loads.go.set()
    assert await cache.get("a", loads) == "value 2"


async def test_a_load_that_fails_while_it_is_cancelled_does_not_hide_the_cancellation() -> None:
    """The caller that was cancelled stays so, whatever the load's own clean-up raises."""
    begun = asyncio.Event()

    async def load() -> str:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            _fail()
        return ""

    task = asyncio.ensure_future(ExpiringCache[str, str]().get("a", load))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_new_caller_while_the_old_load_is_being_cancelled() -> None:
    """A load on its way out is joined by nobody."""
    cache: ExpiringCache[str, str] = ExpiringCache()
    begun, leaving = asyncio.Event(), asyncio.Event()

    async def slow_to_leave() -> str:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await leaving.wait()
        return ""

    first = asyncio.ensure_future(cache.get("a", slow_to_leave))
    await begun.wait()
    first.cancel()
    await asyncio.sleep(0)
    assert await cache.get("a", returning("new")) == "new"
    leaving.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert cache.last("a") == "new"


async def test_an_error_is_raised_to_all_and_not_kept() -> None:
    """Every caller gets the error, the next one loads again, and the last good value stays."""
    cache: ExpiringCache[str, str] = ExpiringCache(seconds=0)
    await cache.get("a", returning("good"))

    async def fail() -> str:
        await asyncio.sleep(0)
        raise KeyError("x")

    results = await asyncio.gather(*(cache.get("a", fail) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [KeyError] * 3
    assert cache.last("a") == "good"
    assert await cache.get("a", returning("again")) == "again"


async def test_each_caller_gets_a_provider_error_of_its_own() -> None:
    """The core notes in an error what one call had received: callers must not see each other's."""
    cache: ExpiringCache[str, str] = ExpiringCache()
    cause = KeyError("cause")

    async def fail() -> str:
        await asyncio.sleep(0)
        raise RateLimitError("slow down", retry_after=3) from cause

    errors = await asyncio.gather(*(cache.get("a", fail) for _ in range(3)), return_exceptions=True)
    assert len({id(error) for error in errors}) == 3
    for error in errors:
        assert isinstance(error, RateLimitError)
        assert (str(error), error.retry_after, error.__cause__) == ("slow down (retry after 3 s)", 3, cause)
        assert error.__traceback__ is not None
        assert error.partial is None
        error.partial = Reply(text="mine")


async def test_the_oldest_go_first() -> None:
    """No more than `size` values are kept."""
    cache: ExpiringCache[int, str] = ExpiringCache(size=3)
    for number in range(5):
        await cache.get(number, returning(str(number)))
    assert cache.values() == ["2", "3", "4"]
    cache.put(2, "new")
    cache.put(5, "5")
    assert cache.values() == ["4", "new", "5"]
    cache.drop(2)
    cache.drop(2)
    assert cache.last(2) is None


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="eager tasks came with Python 3.12")
async def test_a_loop_with_eager_tasks() -> None:
    """A load that ends before its task is returned is not taken for one in flight."""
    asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))
    cache: ExpiringCache[str, str] = ExpiringCache()
    assert await cache.get("a", returning("x")) == "x"
    await asyncio.sleep(0)
    assert await cache.get("a", returning("y"), refresh=True) == "y"


def test_a_credential_is_not_kept_in_a_key() -> None:
    """`key_of` tells credentials apart without holding them."""
    assert key_of(None) == ""
    assert key_of("sk-a") != key_of("sk-b")
    assert key_of("sk-a") == key_of("sk-a")
    assert "sk-a" not in key_of("sk-a")
