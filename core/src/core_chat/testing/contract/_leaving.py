"""The laws of leaving: a caller who goes is followed at once, and nothing stays behind."""

import asyncio
from collections.abc import Callable

from core_chat.events import TextDelta
from core_chat.testing import faults
from core_chat.testing.contract._bench import Bench, FaultAt, is_streamed
from core_chat.testing.contract._run import require, skip, turn
from core_chat.testing.contract._subject import Rehearsal, Subject
from core_chat.testing.responses import Response, Stall, size_of


class LeavingLaws(Subject):
    """A caller who goes is followed at once, and nothing stays behind."""

    def test_leaving_early_leaves_no_task(self) -> None:
        """After the block is left at the first event, nothing of the call runs on."""

        async def scenario() -> None:
            async with self.bench(self.play()) as bench:
                before = asyncio.all_tasks()
                async with bench.stream() as stream:
                    await anext(stream)
                await self._require_no_task(bench, before)

        self.run(scenario)

    def test_leaving_early_closes_the_connection(self) -> None:
        """Leaving the block at the first text makes the upstream see the caller go."""

        async def scenario() -> None:
            rehearsal, stall = await self.rehearse(), Stall()
            if not is_streamed(rehearsal.response):
                skip("the upstream does not stream: there is no first text before the last")
            fault = FaultAt(fault=lambda response: _stalled_midway(response, stall), number=rehearsal.number)
            async with self.bench(self.play(), alter=fault) as bench:
                before = asyncio.all_tasks()
                async with bench.stream() as stream:
                    while not isinstance(await anext(stream), TextDelta):
                        pass
                await self._require_left(bench, rehearsal)
                await self._require_no_task(bench, before)

        self.run(scenario)

    def test_cancelling_closes_the_connection(self) -> None:
        """A caller who is cancelled while waiting for more makes the upstream see them go."""
        self._cancel_at(_stalled_midway)

    def test_cancelling_before_the_first_byte_closes_the_connection(self) -> None:
        """A caller who is cancelled while the upstream has not answered yet makes it see them go."""
        self._cancel_at(faults.slow_headers)

    def _cancel_at(self, place: Callable[[Response, Stall], Response]) -> None:
        async def scenario() -> None:
            rehearsal, stall = await self.rehearse(), Stall()
            fault = FaultAt(fault=lambda response: place(response, stall), number=rehearsal.number)
            async with self.bench(self.play(), alter=fault) as bench:
                before = asyncio.all_tasks()
                await self._cancel_when_stalled(bench, stall)
                await self._require_left(bench, rehearsal)
                await self._require_no_task(bench, before)

        self.run(scenario)

    async def _cancel_when_stalled(self, bench: Bench, stall: Stall) -> None:
        call = asyncio.create_task(bench.ask())
        reached = asyncio.create_task(stall.reached.wait())
        await asyncio.wait({call, reached}, return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        await asyncio.wait({reached})
        require(not call.done(), "the call ended although the upstream had not")
        await turn()
        call.cancel()
        await asyncio.wait({call}, timeout=self.patience)
        require(call.cancelled(), "the call was cancelled and did not end with CancelledError")

    async def _require_left(self, bench: Bench, rehearsal: Rehearsal) -> None:
        try:
            async with asyncio.timeout(self.patience):
                await bench.upstream.requests[rehearsal.number].left.wait()
        except TimeoutError as error:
            text = f"the connection is still open {self.patience:g} s after the caller left"
            raise AssertionError(text) from error

    async def _require_no_task(self, bench: Bench, before: set[asyncio.Task[object]]) -> None:
        await turn()
        left = asyncio.all_tasks() - before - bench.upstream.tasks
        require(not left, f"left behind after the call: {', '.join(map(repr, left))}")


def _stalled_midway(response: Response, stall: Stall) -> Response:
    """Return the response stopping after half of its pieces, or of its one piece."""
    half = response.body[: len(response.body) // 2]
    return faults.stall(response, stall, at=sum(map(size_of, half)) or response.size // 2)
