"""What a plugin author tells the contract about a provider, and the benches that follow from it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

from attrs import frozen

from core_chat.clock import Clock
from core_chat.errors import (
    AuthenticationError,
    ModelNotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    UnavailableError,
)
from core_chat.testing.contract._bench import Bench, Fault, FaultAt, Outcome, Play, is_streamed, registry_over, scripted
from core_chat.testing.contract._run import Scenario, require, run, skip
from core_chat.testing.responses import Response, size_of
from core_chat.testing.upstream import Upstream

PIECES = (
    *("Hello", ",", " world", "!", "\n", "\n\n", " ", "\t", "  ha", "ha", "ha"),
    *("\u2028", "a\u2028b\u2029c\x85d", "日本", "語のテキスト", "🎈", "👩\u200d👩\u200d👧", "e\u0301", "\ufeff"),
    *(' "quoted" \\', "{}", "data: x", "<b>&amp;</b>", "."),
)
"""Pieces of text that wires and decoders get wrong."""


@frozen(kw_only=True)
class Rehearsal:
    """An intact call: what it gave, and which request was answered with the stream (or the last answer)."""

    outcome: Outcome
    number: int
    response: Response

    @property
    def content(self) -> bytes:
        """The body of that response."""
        return b"".join(piece for piece in self.response.body if isinstance(piece, bytes))

    def end(self, optional: int) -> int:
        """Return after how many bytes the answer may count as complete, `optional` last pieces left away."""
        if len(self.response.body) > optional:
            return sum(size_of(piece) for piece in self.response.body[: len(self.response.body) - optional])
        return len(self.content.rstrip())


class Subject:
    """What to override; only `make` is required.

    Attributes:
        model: The model to ask for; empty for the provider's default.
        key: The key that every call is made with. A provider that takes a token may be given this one in `make`,
            which shows whether its repr hides it.
        prompt: What is asked.
        pieces: The pieces of text that `answer` is asked to stream.
        optional_end: How many of the last pieces of the stream's body may be missing from an answer that still counts
            as complete: 1 where an end marker such as `[DONE]` follows the end itself.
        errors: The class for each status; leave out those the upstream never sends.
        deadline: Seconds that one test may take.
        patience: Seconds after which a connection or a task that should have gone counts as left behind.
    """

    name: ClassVar[str] = "provider"
    model: ClassVar[str] = ""
    key: ClassVar[str] = "canary-0f6e2d9c5b7a4813"
    prompt: ClassVar[str] = "Why is the sky blue?"
    pieces: ClassVar[tuple[str, ...]] = PIECES
    optional_end: ClassVar[int] = 1
    errors: ClassVar[Mapping[int, type[ProviderError]]] = {
        401: AuthenticationError,
        402: PaymentRequiredError,
        403: PermissionDeniedError,
        404: ModelNotFoundError,
        429: RateLimitError,
        500: UnavailableError,
    }
    deadline: ClassVar[float] = 60.0
    patience: ClassVar[float] = 10.0

    def make(self, base_url: str) -> object:
        """Return a new provider that sends all its requests to `base_url`, such as `http://127.0.0.1:8123`."""
        raise NotImplementedError(f"{type(self).__name__} must override make(base_url) and return the provider")

    def make_without_key(self, base_url: str) -> object:
        """Return the provider as `make` does, but without a key; to override where `make` gives it one."""
        return self.make(base_url)

    def answer(self, pieces: list[str]) -> Play:  # noqa: ARG002 - a signature to override
        """Return what the upstream answers during one call so that the answer's text is these pieces.

        One response, a list in the order of the requests, or routes such as `{"POST /v1/*": Response(…)}`; functions of
        the request where an answer has to hold a link (`request.origin`). Give the stream one body piece per event.
        """
        skip("override answer(pieces) to return the upstream's responses that stream these pieces")

    def error(self, status: int) -> Response:
        """Return the upstream's answer with an error status; every request gets it."""
        message = f"The scripted upstream answers with status {status}"
        return Response.json({"error": {"message": message}}, status=status)

    def listing(self) -> Play:
        """Return what the upstream answers to `list_models`, two models or more."""
        skip("override listing() to return the upstream's responses to list_models")

    def play(self) -> Play:
        """Return what the upstream plays for one call: nothing where `answer` is not overridden."""
        return () if type(self).answer is Subject.answer else self.answer(list(self.pieces))

    def run(self, scenario: Scenario) -> None:
        """Run a scenario to its end, within the deadline."""
        __tracebackhide__ = True
        run(scenario, deadline=self.deadline)

    @asynccontextmanager
    async def bench(
        self,
        play: Play = (),
        *,
        times: int = 1,
        alter: FaultAt | None = None,
        strict: bool = False,
        url: str | None = None,
        key: bool = True,
        clock: Clock | None = None,
    ) -> AsyncIterator[Bench]:
        """Yield a new provider in a new registry over an upstream that plays `play`."""
        script, routes = scripted(play, times=times)
        async with Upstream(*script, routes=routes, alter=alter, strict=strict) as upstream:
            provider = (self.make if key else self.make_without_key)(url or upstream.url)
            async with registry_over(provider, name=self.name, clock=clock) as registry:
                yield Bench(
                    provider=provider,
                    registry=registry,
                    upstream=upstream,
                    model=f"{self.name}:{self.model}",
                    prompt=self.prompt,
                    key=self.key,
                )

    async def rehearse(self) -> Rehearsal:
        """Make the intact call that the faulty ones are compared with."""
        async with self.bench(self.answer(list(self.pieces)), strict=True) as bench:
            outcome = await bench.ask()
            if outcome.error is not None:
                raise AssertionError(f"the intact answer was refused: {outcome.error!r}") from outcome.error
            requests = bench.upstream.requests
            require(requests, "answer() is overridden, but the provider sent no request to base_url")
            number = max((one.number for one in requests if is_streamed(one.response)), default=len(requests) - 1)
            return Rehearsal(outcome=outcome, number=number, response=requests[number].response)

    async def ask_with(self, fault: Fault, *, number: int | None) -> tuple[Outcome, int]:
        """Make a call whose stream has a fault; return what it gave and how many requests were sent."""
        async with self.bench(self.play(), alter=FaultAt(fault=fault, number=number)) as bench:
            outcome = await bench.ask()
            return outcome, len(bench.upstream.requests)

    def recovered(self, outcome: Outcome, rehearsal: Rehearsal, *, sent: int) -> bool:
        """Whether the provider asked the upstream again after its stream was broken, and so got the whole text."""
        whole = "".join(outcome.pieces) == "".join(self.pieces)
        return whole and outcome.error is None and sent > rehearsal.number + 1

    async def failure_of(self, response: Response, **parameters: object) -> ProviderError:
        """Make a call to an upstream that answers every request so; return the error it must end with."""
        async with self.bench({"*": response}) as bench:
            outcome = await bench.ask(**parameters)
            require(bench.upstream.requests, "the provider sent no request to base_url")
        return provider_error(outcome, f"an upstream that answers {response.status}")


def provider_error(outcome: Outcome, what: str) -> ProviderError:
    """Return the ProviderError a call ended with, or fail."""
    error = outcome.error
    require(error is not None, f"{what} counted as a complete answer with the text {''.join(outcome.pieces)!r}")
    if isinstance(error, ProviderError):
        return error
    raise AssertionError(f"{what} raised {error!r}, which is no ProviderError") from error
