"""The laws of the stream: whole answers are exact, broken ones are errors."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import TypeVar

from core_chat.clock import SYSTEM_CLOCK
from core_chat.events import Finish, TextDelta
from core_chat.reply import Conversation
from core_chat.testing import faults
from core_chat.testing.contract._bench import FaultAt, Outcome, is_streamed
from core_chat.testing.contract._run import require, skip
from core_chat.testing.contract._subject import Subject, provider_error
from core_chat.testing.responses import Response, Stall

T = TypeVar("T")
_MOST_SPLITS = 128
_MOST_CUTS = 96
_CONTINUATION = 0x80
"""The two highest bits of the bytes inside a UTF-8 character."""


class StreamLaws(Subject):
    """Whole answers are exact, broken ones are errors."""

    def test_it_answers_and_finishes_once(self) -> None:
        """An answer is any number of events and then exactly one Finish, last."""

        async def scenario() -> None:
            async with self.bench(self.play(), strict=True) as bench:
                outcome = await bench.ask()
            if outcome.error is not None:
                raise AssertionError(f"the answer ended with {outcome.error!r}") from outcome.error
            kinds = [type(event) for event in outcome.events]
            require(kinds.count(Finish) == 1 and kinds[-1] is Finish, "an answer needs exactly one Finish, last")
            require("" not in outcome.pieces, "an empty piece is no event")

        self.run(scenario)

    def test_conversations_can_be_kept(self) -> None:
        """What an answer leaves behind can be written as JSON, read back, and continued with."""

        async def scenario() -> None:
            async with self.bench(self.play(), times=2, strict=True) as bench:
                async with bench.stream() as stream:
                    reply = await stream.reply()
                kept = Conversation.from_json(reply.conversation.to_json())
                require(kept == reply.conversation, "the state in Finish changes when it is saved: use plain JSON data")
                outcome = await bench.ask(conversation=kept)
            require(outcome.error is None, f"the conversation could not be continued: {outcome.error!r}")

        self.run(scenario)

    def test_text_is_exact(self) -> None:
        """Each piece of the upstream is one event with exactly its text: not merged, split, stripped or re-read."""

        async def scenario() -> None:
            self._require_exact((await self.rehearse()).outcome, "sent in its own pieces")

        self.run(scenario)

    def test_any_split_of_the_bytes_gives_the_same(self) -> None:
        """Wherever the network cuts the bytes, inside lines and characters too, the events are the same."""

        async def scenario() -> None:
            rehearsal = await self.rehearse()
            for at in _positions(rehearsal.content, most=_MOST_SPLITS):
                outcome, _ = await self.ask_with(partial(faults.split, at=[at]), number=rehearsal.number)
                self._require_exact(outcome, f"split after byte {at}")

        self.run(scenario)

    def test_dripping_bytes_give_the_same(self) -> None:
        """Bytes that come one by one, or in lumps of any size, give the same events."""

        async def scenario() -> None:
            number = (await self.rehearse()).number
            for size in (1, 2, 3, 7, 64, 10**6):
                outcome, _ = await self.ask_with(partial(faults.drip, size=size), number=number)
                self._require_exact(outcome, f"sent in lumps of {size} bytes")

        self.run(scenario)

    def _require_exact(self, outcome: Outcome, how: str) -> None:
        require(outcome.error is None, f"{how}, the answer was refused: {outcome.error!r}")
        expected = list(self.pieces)
        if outcome.pieces != expected:
            at = next((i for i, (a, b) in enumerate(zip(outcome.pieces, expected, strict=False)) if a != b), None)
            at = min(len(outcome.pieces), len(expected)) if at is None else at
            got = f"{outcome.pieces[at : at + 2]!r} instead of {expected[at : at + 2]!r}"
            raise AssertionError(f"{how}, the text differs from piece {at} on: {got}")

    def test_pieces_come_as_they_are_sent(self) -> None:
        """Every piece that the upstream has sent is there while it has not ended yet: none is held back."""

        async def scenario() -> None:
            rehearsal = await self.rehearse()
            if not is_streamed(rehearsal.response):
                skip("the upstream does not stream: all pieces come with the last")
            waiting = partial(faults.stall, stall=Stall(), at=rehearsal.end(self.optional_end))
            async with self.bench(self.play(), alter=FaultAt(fault=waiting, number=rehearsal.number)) as bench:
                missing = len(self.pieces)
                try:
                    async with asyncio.timeout(self.patience), bench.stream() as stream:
                        while missing:
                            missing -= isinstance(await anext(stream), TextDelta)
                except TimeoutError:
                    require(not missing, f"of {len(self.pieces)} pieces that were sent, {missing} are held back")

        self.run(scenario)

    def test_a_cut_is_an_error(self) -> None:
        """A connection that closes before the end is an error that carries the text so far, never a short answer."""
        self._break_everywhere(faults.cut, "cut")

    def test_an_early_end_is_an_error(self) -> None:
        """A body that ends early without a sign of it, as behind a proxy, is an error just the same."""
        self._break_everywhere(faults.truncate, "ended")

    def _break_everywhere(self, fault: Callable[..., Response], how: str) -> None:
        async def scenario() -> None:
            rehearsal = await self.rehearse()
            for at in (0, *_positions(rehearsal.content, most=_MOST_CUTS)):
                outcome, sent = await self.ask_with(partial(fault, at=at), number=rehearsal.number)
                what = f"a stream that {how} after byte {at} of {len(rehearsal.content)}"
                ended = at >= rehearsal.end(self.optional_end) and outcome.error is None
                if not (ended and outcome.pieces == list(self.pieces)) and not self.recovered(
                    outcome, rehearsal, sent=sent
                ):
                    self._require_broken(outcome, what)

        self.run(scenario)

    def _require_broken(self, outcome: Outcome, what: str) -> None:
        error = provider_error(outcome, what)
        whole, seen = "".join(self.pieces), "".join(outcome.pieces)
        require(whole.startswith(seen), f"{what} gave text that was never sent: {seen!r}")
        require(error.partial is not None and error.partial.text == seen, f"{what}: partial is not what had come")

    def test_it_ends_when_the_answer_ends(self) -> None:
        """An upstream that holds the connection open after the end of its answer holds up nobody."""

        async def scenario() -> None:
            number = (await self.rehearse()).number
            held = FaultAt(fault=faults.keep_open, number=number)
            # The real clock, since a provider waits for the end of the body in the clock's time.
            async with self.bench(self.play(), alter=held, clock=SYSTEM_CLOCK) as bench:
                self._require_exact(await bench.ask(), "with a connection that stays open")

        self.run(scenario)

    def test_connections_are_used_again(self) -> None:
        """A finished answer is read to its end, so that the next call finds the connection open."""

        async def scenario() -> None:
            if (await self.rehearse()).response.framing not in ("length", "chunked"):
                skip("the upstream ends its answers by closing the connection")
            async with self.bench(self.play(), times=2) as bench:
                await bench.ask()
                opened = bench.upstream.connections
                self._require_exact(await bench.ask(), "asked a second time")
                require(bench.upstream.connections == opened, "the second call had to open a new connection")

        self.run(scenario)


def _positions(content: bytes, *, most: int) -> list[int]:
    """Return places to break a body at: all, or some in characters and at line ends and some evenly spread."""
    everywhere = range(1, len(content))
    if len(everywhere) <= most:
        return list(everywhere)
    awkward = [at for at in everywhere if content[at] & 0xC0 == _CONTINUATION or b"\n" in content[at - 1 : at + 1]]
    return sorted(set(chain(_spread(awkward, most // 2), _spread(everywhere, most // 2))))


def _spread(items: Iterable[T], most: int) -> list[T]:
    listed = list(items)
    step = max(1.0, len(listed) / most)
    return [listed[int(index * step)] for index in range(min(most, len(listed)))]
