"""Leaving early, in every way there is, cancels the prediction; one that is over is never canceled."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from core_chat import (
    ChatStream,
    CoreError,
    InvalidRequestError,
    ProviderError,
    Registry,
    RegistryClosedError,
    Route,
    TextDelta,
    TimedOutError,
    Timeouts,
)
from core_chat.testing import ManualClock, Request, Response, Stall, Upstream, faults
from core_chat.testing.upstream import Routes
from core_replicate import _lifecycle
from core_replicate.sandbox import Delays, Emulator, emulate
from core_replicate.sandbox.llamas import META_LLAMA_3_8B
from core_replicate.sandbox.models import Behaviour, Model

STUCK = "replicate:sandbox/stuck"
SILENT = "replicate:sandbox/silent"
POLLED = "replicate:sandbox/polled"
_TOO_LONG = 20
"""Seconds after which a test that would wait for ever fails instead; none that passes waits at all."""


class LeftError(Exception):
    """The consumer's own error."""


def endless(name: str, *, streams: bool) -> Model:
    """Return a model that never gives anything and never ends."""
    behaviour = Behaviour(ends="never", stops_after=0, streams=streams)
    return Model(owner="sandbox", name=name, description="", schema=META_LLAMA_3_8B.schema, behaviour=behaviour)


@pytest.fixture
def clock() -> ManualClock:
    """Return virtual time that only the test moves."""
    return ManualClock(auto=False)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """Serve a sandbox, in a time of its own, with models that never say anything."""
    emulator = Emulator(clock=ManualClock())
    for model in (endless("silent", streams=True), endless("polled", streams=False)):
        emulator.models[model.id] = model
    async with emulate(emulator):
        yield emulator


async def gone(emulator: Emulator) -> None:
    """Wait until the prediction was canceled and nobody reads its stream any more."""
    async with asyncio.timeout(_TOO_LONG):
        prediction = await emulator.canceled()
        await prediction.changed.until(lambda: prediction.readers == 0)
    assert list(emulator.predictions.values()) == [prediction]
    assert prediction.status == "canceled"


async def read_two(stream: ChatStream) -> None:
    """Read the two pieces that the stuck model gives."""
    assert isinstance(await anext(stream), Route)
    assert [event.text for event in (await anext(stream), await anext(stream)) if isinstance(event, TextDelta)] == [
        "This",
        " is",
    ]


async def turns() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(ready: Callable[[], bool]) -> None:
    """Let everything else run until something is so."""
    async with asyncio.timeout(_TOO_LONG):
        while not ready():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


async def waiting(work: Awaitable[Any]) -> asyncio.Task[Any]:
    """Start something in a task, and return when it waits for something itself."""
    task = asyncio.ensure_future(work)
    await turns()
    assert not task.done()
    assert isinstance(task, asyncio.Task)
    return task


async def by_break(registry: Registry, _clock: ManualClock) -> None:
    """Break out of the loop."""
    async with registry.stream(STUCK, "Hi") as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                break


async def by_return_from_text(registry: Registry, _clock: ManualClock) -> None:
    """Stop reading the text."""
    async with registry.stream(STUCK, "Hi") as stream, aclosing(stream.text()) as pieces:
        assert await anext(pieces) == "This"


async def by_error(registry: Registry, _clock: ManualClock) -> None:
    """Raise an error of one's own in the block."""

    async def work() -> None:
        async with registry.stream(STUCK, "Hi") as stream:
            await read_two(stream)
            raise LeftError

    with pytest.raises(LeftError):
        await work()


async def by_error_at_the_route(registry: Registry, _clock: ManualClock) -> None:
    """Leave at the first event, with the text unread."""
    async with registry.stream(STUCK, "Hi") as stream:
        assert isinstance(await anext(stream), Route)


async def by_cancelling_the_reader(registry: Registry, _clock: ManualClock) -> None:
    """Cancel the task that waits for more."""
    async with registry.stream(STUCK, "Hi") as stream:
        await read_two(stream)
        task = await waiting(anext(stream))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def by_cancelling_the_worker(registry: Registry, _clock: ManualClock) -> None:
    """Cancel a task while it works on what it has read."""
    reached = asyncio.Event()

    async def work() -> None:
        async with registry.stream(STUCK, "Hi") as stream:
            await read_two(stream)
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_cancelling_again_and_again(registry: Registry, _clock: ManualClock) -> None:
    """Cancel a task at every turn of the loop until it has ended, as some frameworks do."""
    async with registry.stream(STUCK, "Hi") as stream:
        await read_two(stream)
        task = await waiting(anext(stream))
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        assert task.cancelled()


async def by_a_timeout_of_the_caller(registry: Registry, _clock: ManualClock) -> None:
    """Let `asyncio.timeout` end the block."""
    timeout = asyncio.timeout(None)

    async def read() -> None:
        async with timeout, registry.stream(STUCK, "Hi") as stream:
            await read_two(stream)
            timeout.reschedule(asyncio.get_running_loop().time())
            await anext(stream)

    with pytest.raises(TimeoutError):
        await read()


async def by_a_failing_neighbour(registry: Registry, _clock: ManualClock) -> None:
    """Let another task of a group fail."""
    reached = asyncio.Event()

    async def read() -> None:
        async with registry.stream(STUCK, "Hi") as stream:
            await read_two(stream)
            reached.set()
            await anext(stream)

    async def fail() -> None:
        await reached.wait()
        raise LeftError

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            group.create_task(fail())

    with pytest.raises(ExceptionGroup):
        await both()


async def by_closing_the_stream(registry: Registry, _clock: ManualClock) -> None:
    """Close the stream between two events."""
    stream = await registry.stream(STUCK, "Hi").__aenter__()
    await read_two(stream)
    await stream.aclose()


async def by_closing_the_stream_while_it_is_read(registry: Registry, _clock: ManualClock) -> None:
    """Close the stream from another task."""
    async with registry.stream(STUCK, "Hi") as stream:
        await read_two(stream)
        task = await waiting(anext(stream))
        await stream.aclose()
        with pytest.raises(RegistryClosedError):
            await task


async def by_closing_the_registry(registry: Registry, _clock: ManualClock) -> None:
    """Close the registry while a stream is open."""
    stream = await registry.stream(STUCK, "Hi").__aenter__()
    await read_two(stream)
    await registry.close()


async def by_closing_the_registry_while_a_stream_is_read(registry: Registry, _clock: ManualClock) -> None:
    """Close the registry while another task waits for more."""
    stream = await registry.stream(STUCK, "Hi").__aenter__()
    await read_two(stream)
    task = await waiting(anext(stream))
    await registry.close()
    with pytest.raises(RegistryClosedError):
        await task


async def by_the_idle_timeout(registry: Registry, clock: ManualClock) -> None:
    """Let nothing come for too long."""
    async with registry.stream(STUCK, "Hi", timeouts=Timeouts(idle=7)) as stream:
        await read_two(stream)
        task = await waiting(anext(stream))
        clock.advance(7)
        with pytest.raises(TimedOutError, match="7 s") as caught:
            await task
    assert caught.value.timeout == "idle"
    assert caught.value.partial is not None
    assert caught.value.partial.text == "This is"


async def by_the_total_timeout(registry: Registry, clock: ManualClock) -> None:
    """Let the whole answer take too long."""
    async with registry.stream(STUCK, "Hi", timeouts=Timeouts(total=60)) as stream:
        await read_two(stream)
        task = await waiting(anext(stream))
        clock.advance(60)
        with pytest.raises(TimedOutError) as caught:
            await task
    assert caught.value.timeout == "total"


async def by_a_stop_text(registry: Registry, _clock: ManualClock) -> None:
    """Let a stop text end the answer."""
    async with registry.stream(STUCK, "Hi", stop=["s,", " is"]) as stream:
        assert (await stream.reply()).text == "This"


WAYS: list[Callable[[Registry, ManualClock], Awaitable[None]]] = [
    by_break,
    by_return_from_text,
    by_error,
    by_error_at_the_route,
    by_cancelling_the_reader,
    by_cancelling_the_worker,
    by_cancelling_again_and_again,
    by_a_timeout_of_the_caller,
    by_a_failing_neighbour,
    by_closing_the_stream,
    by_closing_the_stream_while_it_is_read,
    by_closing_the_registry,
    by_closing_the_registry_while_a_stream_is_read,
    by_the_idle_timeout,
    by_the_total_timeout,
    by_a_stop_text,
]


@asynccontextmanager
async def opened(emulator: Emulator, clock: ManualClock) -> AsyncIterator[Registry]:
    """Yield a registry whose Replicate is the sandbox."""
    async with Registry(only=["replicate"], config={"replicate": emulator.settings}, clock=clock) as registry:
        yield registry


@pytest.mark.parametrize("leave", WAYS, ids=lambda way: way.__name__)
async def test_leaving_a_stream_cancels_the_prediction(
    emulator: Emulator, clock: ManualClock, leave: Callable[[Registry, ManualClock], Awaitable[None]]
) -> None:
    """The sandbox sees the cancel before the way out is behind the caller, and the connection closed."""
    before = asyncio.all_tasks()
    async with opened(emulator, clock) as registry:
        await leave(registry, clock)
        assert (await emulator.created()).cancel_requested
        await gone(emulator)
        assert not plugin_tasks(asyncio.all_tasks() - before)


def plugin_tasks(tasks: set[asyncio.Task[Any]]) -> list[str]:
    """Return the names of the plugin's own functions that run in tasks."""
    codes = [getattr(task.get_coro(), "cr_code", None) for task in tasks]
    own = Path(_lifecycle.__file__).parent
    return [code.co_qualname for code in codes if code is not None and Path(code.co_filename).parent == own]


async def test_what_the_plugin_leaves_running_would_be_seen(emulator: Emulator, clock: ManualClock) -> None:
    """A cancel that is under way is such a task, until it has ended."""
    stall = Stall()
    routes: Routes = {CREATE: CREATED, CANCEL: faults.slow_headers(CREATED, stall)}
    async with over(clock, routes) as (registry, _):
        asking = asyncio.create_task(registry.chat("replicate:a/b", "Hi"))
        await until(lambda: bool(clock.sleeps))
        asking.cancel()
        await stall.reached.wait()
        assert plugin_tasks(asyncio.all_tasks()) == ["_try_to_cancel"]
        stall.release()
        await asyncio.wait([asking])
        assert not plugin_tasks(asyncio.all_tasks())


@pytest.mark.parametrize("model", [SILENT, POLLED])
async def test_the_first_event_takes_too_long(emulator: Emulator, clock: ManualClock, model: str) -> None:
    """A prediction that gives nothing in time is canceled, streamed or polled."""
    async with opened(emulator, clock) as registry:
        asking = asyncio.create_task(registry.chat(model, "Hi", timeouts=Timeouts(first_event=5)))
        await followed(emulator, model)
        clock.advance(5)
        with pytest.raises(TimedOutError) as caught:
            await asking
    assert caught.value.timeout == "first_event"
    await gone(emulator)


async def followed(emulator: Emulator, model: str) -> None:
    """Wait until a prediction is followed: its stream is open, or the plugin sleeps before its first look."""
    prediction = await emulator.created()
    if model == SILENT:
        await prediction.changed.until(lambda: prediction.readers == 1)
    await turns()


@pytest.mark.parametrize("model", [SILENT, POLLED])
async def test_cancelling_before_the_first_event(emulator: Emulator, clock: ManualClock, model: str) -> None:
    """A caller who is cancelled while there is nothing yet leaves no prediction, streamed or polled."""
    async with opened(emulator, clock) as registry:
        asking = asyncio.create_task(registry.chat(model, "Hi"))
        await followed(emulator, model)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    await gone(emulator)


async def test_cancelling_while_polling(emulator: Emulator) -> None:
    """A caller who is cancelled between two looks, or in one, leaves no prediction."""
    async with opened(emulator, ManualClock()) as registry:
        asking = asyncio.create_task(registry.chat(POLLED, "Hi"))
        prediction = await emulator.created()
        await until(lambda: sum(prediction.id in request.path for request in emulator.requests) >= 3)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    await gone(emulator)


@pytest.mark.parametrize("times", [1, 2, 100])
async def test_cancelling_before_the_creation_is_answered(clock: ManualClock, times: int) -> None:
    """The id of a prediction that is being made is waited for, however often the caller is cancelled."""
    hold = ManualClock(auto=False)
    async with emulate(Emulator(clock=hold, delays=Delays(slow_create=3))) as emulator, opened(emulator, clock) as it:
        asking = asyncio.create_task(it.chat("replicate:sandbox/slow-create", "Hi"))
        await emulator.created()
        for _ in range(times):
            asking.cancel()
            await asyncio.sleep(0)
        assert not asking.done()
        await until(lambda: 3 in hold.sleeps)
        hold.advance(3)
        with pytest.raises(asyncio.CancelledError):
            await asking
        await gone(emulator)


MODEL = Response.json({"is_official": True, "latest_version": None})
CREATED = Response.json({"id": "abc", "status": "starting"}, status=201)
CREATE, CANCEL, LOOK = "POST /v1/models/a/b/predictions", "POST /v1/predictions/abc/cancel", "GET /v1/predictions/abc"


@asynccontextmanager
async def over(clock: ManualClock, routes: Routes) -> AsyncIterator[tuple[Registry, Upstream]]:
    """Yield a registry whose Replicate is a scripted upstream."""
    async with Upstream(routes={"GET /v1/models/a/b": MODEL} | dict(routes)) as upstream:
        config = {"replicate": {"base_url": f"{upstream.url}/v1", "token": "r8_x"}}
        async with Registry(only=["replicate"], config=config, clock=clock) as registry:
            yield registry, upstream


def asked(upstream: Upstream) -> list[str]:
    """Return what an upstream was asked for."""
    return [f"{request.method} {request.path}" for request in upstream.requests]


async def test_a_creation_that_is_never_answered_is_left_after_five_seconds(clock: ManualClock) -> None:
    """A caller who leaves does not wait for ever for an id; the service was told when to cancel by itself."""
    stall = Stall()
    async with over(clock, {CREATE: faults.slow_headers(CREATED, stall)}) as (registry, upstream):
        asking = asyncio.create_task(registry.chat("replicate:a/b", "Hi"))
        await stall.reached.wait()
        asking.cancel()
        await turns()
        clock.advance(4.9)
        await turns()
        assert not asking.done()
        clock.advance(0.1)
        with pytest.raises(asyncio.CancelledError):
            await asking
        await upstream.requests[-1].left.wait()
    assert asked(upstream)[-1] == CREATE
    assert upstream.requests[-1].headers["cancel-after"] == "1800s"


@pytest.mark.parametrize("answer", [faults.html(502), faults.not_http(), Response.json({}, status=422)])
async def test_a_creation_that_fails_after_the_caller_left_leaves_nothing(clock: ManualClock, answer: Response) -> None:
    """A creation that was refused has nothing to cancel, and its error is nobody's any more."""
    stall = Stall()
    async with over(clock, {CREATE: faults.slow_headers(answer, stall)}) as (registry, upstream):
        asking = asyncio.create_task(registry.chat("replicate:a/b", "Hi"))
        await stall.reached.wait()
        asking.cancel()
        await asyncio.sleep(0)
        stall.release()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert asked(upstream)[-1] == CREATE


async def test_cancelling_while_the_model_is_looked_up_creates_nothing(clock: ManualClock) -> None:
    """Whoever leaves before the creation leaves nothing behind."""
    stall = Stall()
    async with over(clock, {"GET /v1/models/a/b": faults.slow_headers(MODEL, stall)}) as (registry, upstream):
        asking = asyncio.create_task(registry.chat("replicate:a/b", "Hi"))
        await stall.reached.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await upstream.requests[0].left.wait()
    assert asked(upstream) == ["GET /v1/models/a/b"]


NOT_THERE = Response(status=404)
FAILING = [Response.json({"detail": "no"}, status=500), NOT_THERE, faults.no_answer(), faults.html(), faults.not_http()]


@pytest.mark.parametrize("answer", FAILING)
async def test_a_failing_cancel_masks_no_error_of_the_caller(clock: ManualClock, answer: Response) -> None:
    """The caller's own error comes through whatever becomes of the cancel."""
    created = Response.json({"id": "abc", "status": "processing", "output": ["a"]}, status=201)
    async with over(clock, {CREATE: created, CANCEL: answer}) as (registry, upstream):

        async def work() -> None:
            async with registry.stream("replicate:a/b", "Hi") as stream:
                await anext(stream)
                raise LeftError

        with pytest.raises(LeftError):
            await work()
    assert CANCEL in asked(upstream)


@pytest.mark.parametrize("answer", FAILING)
async def test_a_failing_cancel_masks_no_error_of_the_provider(clock: ManualClock, answer: Response) -> None:
    """A prediction that can no longer be followed is canceled, and why it cannot is what is told."""
    async with over(clock, {CREATE: CREATED, LOOK: NOT_THERE, CANCEL: answer}) as (registry, upstream):
        asking = asyncio.create_task(registry.chat("replicate:a/b", "Hi"))
        await until(lambda: bool(clock.sleeps))
        clock.advance(0.5)
        with pytest.raises(ProviderError) as caught:
            await asking
    assert caught.value.status == 404
    assert CANCEL in asked(upstream)


@pytest.mark.parametrize("times", [1, 3])
async def test_a_cancel_that_hangs_is_left_after_five_seconds(clock: ManualClock, times: int) -> None:
    """A service that does not answer a cancel holds the caller up for five seconds, however often they insist."""
    stall = Stall()
    routes: Routes = {CREATE: CREATED, CANCEL: faults.slow_headers(CREATED, stall)}
    async with over(clock, routes) as (registry, upstream):
        asking = asyncio.create_task(registry.chat("replicate:a/b", "Hi"))
        await until(lambda: bool(clock.sleeps))
        asking.cancel()
        await stall.reached.wait()
        for _ in range(times):
            asking.cancel()
            await asyncio.sleep(0)
        assert not asking.done()
        clock.advance(5)
        with pytest.raises(asyncio.CancelledError):
            await asking
        await upstream.requests[-1].left.wait()


async def test_a_caller_who_is_cancelled_while_a_break_cancels_is_cancelled(clock: ManualClock) -> None:
    """A cancellation that comes during the clean-up of an ordinary way out is not lost, and the cancel is sent."""
    stall = Stall()
    canceled = Response.json({"id": "abc", "status": "canceled"})
    created = Response.json({"id": "abc", "status": "processing", "output": ["a"]}, status=201)
    routes: Routes = {CREATE: created, CANCEL: faults.slow_headers(canceled, stall)}
    async with over(clock, routes) as (registry, upstream):

        async def read() -> None:
            async with registry.stream("replicate:a/b", "Hi") as stream:
                assert isinstance(await anext(stream), Route)

        reading = asyncio.create_task(read())
        await stall.reached.wait()
        reading.cancel()
        await asyncio.sleep(0)
        stall.release()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await upstream.requests[-1].answered.wait()


OVER = [
    *("no-stream", "instant", "empty", "cut-midway", "silent-close", "never-done", "expired-stream", "stream-error"),
    *("plain-error", "failed", "moderated", "canceled-by-upstream", "aborted", "unicode"),
]


@pytest.mark.parametrize("name", OVER)
async def test_a_prediction_that_is_over_is_not_canceled(emulator: Emulator, name: str) -> None:
    """However a prediction ended, nothing is sent to it afterwards."""
    async with opened(emulator, ManualClock()) as registry:
        with suppress(CoreError):
            await registry.chat(f"replicate:sandbox/{name}", "Hi")
    assert (await emulator.created()).finished
    assert not any(request.path.endswith("/cancel") for request in emulator.requests)


async def test_leaving_at_the_very_end_cancels_nothing(emulator: Emulator) -> None:
    """Whoever leaves once the end of the answer was read leaves a prediction that is over."""
    async with opened(emulator, ManualClock()) as registry:
        async with registry.stream("replicate:", "Hi") as stream:
            async for _ in stream:
                pass
        await registry.close()
    assert not any(request.path.endswith("/cancel") for request in emulator.requests)


async def test_leaving_during_the_last_look_cancels_nothing(clock: ManualClock) -> None:
    """Once the stream has told its end, whoever leaves before the usage is known leaves a prediction that is over."""
    stall = Stall()
    stream = Response.stream(["event: done\ndata: {}\n\n"], content_type="text/event-stream")

    def created(request: Request) -> Response:
        return Response.json({"id": "abc", "urls": {"stream": f"{request.origin}/v1/streams/x"}}, status=201)

    routes: Routes = {CREATE: created, "GET /v1/streams/x": stream, LOOK: faults.slow_headers(CREATED, stall)}
    async with over(clock, routes) as (registry, upstream):
        asking = asyncio.create_task(registry.chat("replicate:a/b", "Hi"))
        await stall.reached.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert asked(upstream)[-1] == LOOK


async def test_a_strict_refusal_creates_nothing(emulator: Emulator, clock: ManualClock) -> None:
    """What is refused before the creation has nothing to cancel."""
    async with opened(emulator, clock) as registry:
        with pytest.raises(InvalidRequestError):
            await registry.chat(STUCK, "Hi", width=5, strict=True)
    assert not emulator.predictions


async def test_a_stream_that_is_never_read_sends_nothing(emulator: Emulator, clock: ManualClock) -> None:
    """Entering and leaving without reading asks for nothing."""
    async with opened(emulator, clock) as registry, registry.stream(STUCK, "Hi"):
        pass
    assert not emulator.requests
