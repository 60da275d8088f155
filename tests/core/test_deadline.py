"""The deadline: told from other cancellations, paused between blocks, moved and not made anew."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from core_chat._deadline import Deadline, DeadlineExpiredError
from core_chat.clock import SYSTEM_CLOCK
from core_chat.testing import ManualClock


async def within(deadline: Deadline, seconds: float | None, work: Awaitable[str]) -> str:
    """Wait for some work in one block."""
    with deadline.running(seconds):
        return await work


async def sleeper(clock: ManualClock, seconds: float) -> str:
    """Sleep, and say so."""
    await clock.sleep(seconds)
    return "done"


def pending() -> int:
    """How many cancellations of the current task nobody has taken back."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_work_in_time_passes() -> None:
    """What is done before the time is up is returned, and no cancellation is left."""
    clock = ManualClock()
    deadline = Deadline(clock)
    assert await within(deadline, 5, sleeper(clock, 4)) == "done"
    assert await within(deadline, None, sleeper(clock, 1000)) == "done"
    deadline.close()
    clock.advance(100)
    await asyncio.sleep(0)
    assert pending() == 0


async def test_late_work_is_cancelled_and_told_apart() -> None:
    """Time that is up is a `DeadlineExpiredError` whose cause is the cancellation; the task goes on."""
    clock = ManualClock()
    deadline = Deadline(clock)
    with pytest.raises(DeadlineExpiredError) as caught:
        await within(deadline, 5, sleeper(clock, 6))
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert pending() == 0
    assert await within(deadline, 5, sleeper(clock, 4)) == "done"


async def test_no_time_counts_between_blocks() -> None:
    """A timer that fires outside of a block does nothing."""
    clock = ManualClock()
    deadline = Deadline(clock)
    for _ in range(5):
        assert await within(deadline, 5, sleeper(clock, 4)) == "done"
        clock.advance(1000)
        await asyncio.sleep(0)
    assert pending() == 0


async def test_a_shorter_block_after_a_longer_one() -> None:
    """The timer is brought forward where the next block ends sooner, and put off where it ends later."""
    clock = ManualClock()
    deadline = Deadline(clock)
    await within(deadline, 100, sleeper(clock, 1))
    with pytest.raises(DeadlineExpiredError):
        await within(deadline, 2, sleeper(clock, 3))
    assert clock.time() <= 5
    assert await within(deadline, 100, sleeper(clock, 99)) == "done"


async def test_zero_seconds_take_only_what_is_there() -> None:
    """With no time left, what needs no wait passes and what needs one does not."""
    clock = ManualClock()
    deadline = Deadline(clock)

    async def ready() -> str:
        return "ready"

    assert await within(deadline, 0, ready()) == "ready"
    with pytest.raises(DeadlineExpiredError):
        await within(deadline, 0, sleeper(clock, 1))


async def test_a_cancellation_from_outside_passes() -> None:
    """A task cancelled by somebody else within a block stays cancelled, whether the time is up as well or not."""
    for also_late in (False, True):
        clock = ManualClock(auto=False)
        task = asyncio.ensure_future(within(Deadline(clock), 5, sleeper(clock, 100)))
        await asyncio.sleep(0)
        if also_late:
            clock.advance(6)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()


async def test_nested_deadlines_know_their_own() -> None:
    """Of two blocks in one task the one whose time is up raises, and only that one."""
    clock = ManualClock(auto=False)
    outer, inner = Deadline(clock), Deadline(clock)

    async def both(long: float, short: float) -> str:
        try:
            with outer.running(long):
                try:
                    return await within(inner, short, sleeper(clock, 100))
                except DeadlineExpiredError:
                    return "inner"
        except DeadlineExpiredError:
            return "outer"

    for long, short, told in ((50, 10, "inner"), (10, 50, "outer"), (10, 10, "outer")):
        task = asyncio.ensure_future(both(long, short))
        await asyncio.sleep(0)
        clock.advance(11)
        assert await task == told
    assert pending() == 0


async def test_a_task_being_cancelled_may_still_use_one() -> None:
    """Clean-up in a cancelled task has deadlines of its own."""
    clock = ManualClock(auto=False)
    found: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await within(Deadline(clock), 5, sleeper(clock, 100))
            except DeadlineExpiredError:
                found.append("expired")

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.advance(6)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert found == ["expired"]


async def test_an_error_at_the_last_moment_is_that_error() -> None:
    """Work that fails while it is cancelled raises its own error, and no cancellation is left over."""
    clock = ManualClock()

    async def fails() -> str:
        try:
            return await sleeper(clock, 100)
        finally:
            raise_key_error()

    with pytest.raises(KeyError):
        await within(Deadline(clock), 5, fails())
    assert pending() == 0


def raise_key_error() -> None:
    """Fail."""
    raise KeyError


async def test_an_interruption_ends_the_block_of_another_task() -> None:
    """`interrupt` looks like time that is up, and returns when the block has been left."""
    clock = ManualClock(auto=False)
    deadline = Deadline(clock)
    task = asyncio.ensure_future(within(deadline, None, sleeper(clock, 100)))
    await asyncio.sleep(0)
    assert [deadline.waiting] == [True]
    await asyncio.gather(deadline.interrupt(), deadline.interrupt())
    assert [deadline.waiting] == [False]
    with pytest.raises(DeadlineExpiredError):
        await task
    await deadline.interrupt()


async def test_an_interruption_of_ones_own_block_is_none() -> None:
    """Who is inside of the block cannot wait for itself to leave it."""
    deadline = Deadline(ManualClock())
    with deadline.running(None):
        await deadline.interrupt()


# Steps


async def drive(make: Callable[[], AsyncGenerator[str, None]], deadline: Deadline, seconds: float) -> list[str]:
    """Read a generator the way a stream does, and say what happened."""
    found: list[str] = []
    generator = make()
    while True:
        step = generator.__anext__()
        try:
            waits_for = step.send(None)
        except StopIteration as ready:
            found.append(f"ready {ready.value}")
            continue
        except StopAsyncIteration:
            return found
        try:
            value = await deadline.rest_of(step, waits_for=waits_for, seconds=seconds)
            found.append(f"waited {value}")
        except StopAsyncIteration:
            return [*found, "ended late"]
        except DeadlineExpiredError:
            return [*found, "expired"]


async def test_steps_that_are_ready_and_steps_that_wait() -> None:
    """A step that has to wait, several times over, brings what an `await` would have brought."""
    clock = ManualClock()

    async def mixed() -> AsyncGenerator[str, None]:
        yield "a"
        await clock.sleep(1)
        await asyncio.sleep(0)
        await clock.sleep(1)
        yield "b"
        yield "c"
        await clock.sleep(1)

    assert await drive(mixed, Deadline(clock), 5) == ["ready a", "waited b", "ready c", "ended late"]


async def test_a_step_gets_the_errors_of_what_it_waits_for() -> None:
    """A failed future raises inside of the generator, which may catch it and go on waiting."""
    clock = ManualClock()

    async def catches() -> AsyncGenerator[str, None]:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, KeyError("x"))
        try:
            await future
        except KeyError:
            await clock.sleep(1)
            yield "caught"

    assert await drive(catches, Deadline(clock), 5) == ["waited caught"]


async def test_a_step_that_is_too_slow_is_cancelled_inside() -> None:
    """The generator sees the cancellation where it waits, and may clean up for as long as it takes."""
    clock = ManualClock()
    cleaned: list[str] = []

    async def slow() -> AsyncGenerator[str, None]:
        try:
            await clock.sleep(100)
            yield "never"
        finally:
            await clock.sleep(50)
            cleaned.append("cleaned")

    assert await drive(slow, Deadline(clock), 5) == ["expired"]
    assert cleaned == ["cleaned"]


class Abandoned:
    """A step that notes that it is given up."""

    closed = False

    def send(self, value: object) -> object:
        """Wait for ever."""
        return None

    def throw(self, error: BaseException) -> object:
        """Fail."""
        raise error

    def close(self) -> None:
        """Be given up."""
        self.closed = True


def test_a_wait_that_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coroutine that is closed while it waits gives its step up, and the deadline is free again."""
    monkeypatch.setattr(asyncio, "current_task", lambda: None)
    deadline, step = Deadline(ManualClock()), Abandoned()
    wait = deadline.rest_of(step, waits_for=None, seconds=None)
    wait.send(None)
    wait.close()
    assert step.closed
    assert [deadline.waiting] == [False]


async def test_the_system_clock() -> None:
    """In real time, a deadline of a hundredth of a second ends a wait for ever."""
    deadline = Deadline(SYSTEM_CLOCK)

    async def for_ever() -> str:
        await asyncio.Event().wait()
        return ""

    with pytest.raises(DeadlineExpiredError):
        await within(deadline, 0.01, for_ever())
    before = SYSTEM_CLOCK.time()
    await SYSTEM_CLOCK.sleep(0)
    assert SYSTEM_CLOCK.time() >= before
    assert 0 <= SYSTEM_CLOCK.random() < 1
    assert SYSTEM_CLOCK.now() > 1_700_000_000
