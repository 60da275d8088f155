"""What the core costs, each cost as a ratio to bare iteration measured in the same run.

    python benchmarks/core.py

It prints and asserts nothing: machines differ, and so do their moods. Ratios of one run can be compared, seconds of two
runs cannot.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from core_chat import Event, Finish, ModelInfo, Registry, TextDelta, hookimpl
from core_chat.http import LineSplitter, SSEDecoder

ROUNDS = 5
PIECE = "token "


async def pieces(count: int, *, wait: bool) -> AsyncGenerator[Event, None]:
    """Yield an answer of so many pieces, each of them there at once or after one turn of the event loop."""
    for _ in range(count):
        if wait:
            await asyncio.sleep(0)
        yield TextDelta(PIECE)
    yield Finish("stop")


class Provider:
    """A provider without a network."""

    def __init__(self, count: int, *, wait: bool) -> None:
        self.count, self.wait = count, wait

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo:
        """Know every name."""
        return ModelInfo(name or "model")

    @hookimpl
    async def stream_chat(self) -> AsyncGenerator[Event, None]:
        """Yield the pieces."""
        for _ in range(self.count):
            if self.wait:
                await asyncio.sleep(0)
            yield TextDelta(PIECE)
        yield Finish("stop")


class Middleware:
    """A wrapper that passes everything on."""

    @hookimpl(wrapper=True)
    def stream_chat(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 - a pluggy wrapper
        """Stand around one attempt."""
        inner = yield
        return self._pass_on(inner)

    async def _pass_on(self, inner: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        async with aclosing(inner):
            async for event in inner:
                yield event


async def drain(events: AsyncIterator[Event]) -> None:
    """Read everything."""
    async for _ in events:
        pass


async def through_the_core(count: int, *, wait: bool, wrapped: bool = False) -> float:
    """Return the seconds that an answer takes through a registry, the call itself not counted."""
    async with Registry(only=[]) as registry:
        registry.register(Provider(count, wait=wait), "p")
        if wrapped:
            registry.register(Middleware())
        async with registry.stream("p:", "hi") as stream:
            await anext(stream)
            began = time.perf_counter()
            await drain(stream)
            return time.perf_counter() - began


async def bare(count: int, *, wait: bool) -> float:
    """Return the seconds that the same generator takes by itself."""
    began = time.perf_counter()
    await drain(pieces(count, wait=wait))
    return time.perf_counter() - began


async def calls(count: int) -> float:
    """Return the seconds that so many whole calls of one piece take."""
    async with Registry(only=[]) as registry:
        registry.register(Provider(1, wait=False), "p")
        began = time.perf_counter()
        for _ in range(count):
            await registry.chat("p:", "hi")
        return time.perf_counter() - began


async def best(measure: Callable[[], Awaitable[float]]) -> float:
    """Return the shortest of a few runs: the others were disturbed."""
    return min([await measure() for _ in range(ROUNDS)])


def body(count: int) -> bytes:
    """Return a stream of chat chunks as vendors send them."""
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": PIECE}}],
    }
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for _ in range(count))


async def decoding(count: int, feed: Callable[[bytes], object], *, size: int) -> float:
    """Return the seconds that feeding the body in pieces of a size takes."""
    data = body(count)
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    began = time.perf_counter()
    for chunk in chunks:
        feed(chunk)
    return time.perf_counter() - began


def report(name: str, seconds: float, count: int, *, base: float) -> None:
    """Print one line: time per event, what it is above the base, and the ratio."""
    each, floor = seconds / count * 1e9, base / count * 1e9
    print(f"{name:<44} {each:8.0f} ns  {each - floor:+8.0f} ns  x{seconds / base:.2f}")


async def main(count: int) -> None:
    """Measure and print."""
    print(f"{count} events, best of {ROUNDS}: time per event, above bare iteration, ratio to it")
    base = await best(lambda: bare(count, wait=False))
    report("bare generator, events ready", base, count, base=base)
    report("core", await best(lambda: through_the_core(count, wait=False)), count, base=base)
    wrapped = await best(lambda: through_the_core(count, wait=False, wrapped=True))
    report("core and one middleware", wrapped, count, base=base)
    slow = await best(lambda: bare(count, wait=True))
    report("bare generator, one loop turn per event", slow, count, base=slow)
    report("core", await best(lambda: through_the_core(count, wait=True)), count, base=slow)
    split = await best(lambda: decoding(count, lambda data: data.split(b"\n"), size=1 << 16))
    report("bytes.split of an event stream", split, count, base=split)
    for size in (1 << 16, 1 << 8):
        lines = await best(lambda size=size: decoding(count, LineSplitter().feed, size=size))  # type: ignore[misc]
        report(f"LineSplitter, reads of {size} bytes", lines, count, base=split)
        events = await best(lambda size=size: decoding(count, SSEDecoder().feed, size=size))  # type: ignore[misc]
        report(f"SSEDecoder, reads of {size} bytes", events, count, base=split)
    some = max(1, count // 100)
    print(f"one whole call of one event: {await best(lambda: calls(some)) / some * 1e6:.0f} us")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000, help="events per run")
    asyncio.run(main(parser.parse_args().events))
