"""The laws of errors: each trouble of the upstream has one name, and tells whether to try again."""

from core_chat.errors import (
    ProviderError,
    RateLimitError,
    UnavailableError,
)
from core_chat.testing import faults
from core_chat.testing.clock import ManualClock
from core_chat.testing.contract._bench import Fault
from core_chat.testing.contract._run import require, skip
from core_chat.testing.contract._subject import Subject, provider_error
from core_chat.testing.responses import Response

_WAIT = 7.0


class ErrorLaws(Subject):
    """Each trouble of the upstream has one name, and tells whether to try again."""

    def test_status_401(self) -> None:
        """A refused key is an AuthenticationError."""
        self._require_status(401)

    def test_status_402(self) -> None:
        """An account without credit is a PaymentRequiredError."""
        self._require_status(402)

    def test_status_403(self) -> None:
        """A key that may not do this is a PermissionDeniedError."""
        self._require_status(403)

    def test_status_404(self) -> None:
        """A model that is not there is a ModelNotFoundError."""
        self._require_status(404)

    def test_status_429(self) -> None:
        """Too many requests are a RateLimitError, the one of these that can be tried again."""
        self._require_status(429)

    def test_status_500(self) -> None:
        """A broken upstream is an UnavailableError that is not tried again: the job may have run."""
        self._require_status(500)

    def _require_status(self, status: int) -> None:
        self._needs_answer()
        if status not in self.errors:
            skip(f"the upstream never sends {status}, says `errors`")

        async def scenario() -> None:
            error = await self.failure_of(self.error(status))
            expected = self.errors[status]
            require(isinstance(error, expected), f"status {status} raised {error!r}, not {expected.__name__}")
            require(error.status == status, f"the error of status {status} says status {error.status}")
            require(error.provider == self.name, f"the error names the provider {error.provider!r}")
            retryable = issubclass(expected, RateLimitError)
            require(error.retryable is retryable, f"retryable is {error.retryable} after status {status}")

        self.run(scenario)

    def test_retry_after_in_seconds(self) -> None:
        """A wait that the upstream gives as a number reaches the caller."""
        self._require_wait(faults.retry_after(self.error(429), _WAIT))

    def test_retry_after_as_a_date(self) -> None:
        """A wait that the upstream gives as an HTTP date is counted from the request's clock."""
        self._require_wait(faults.retry_after(self.error(429), date=ManualClock().now() + _WAIT))

    def test_unavailable_with_retry_after(self) -> None:
        """A 503 that says when to come back is an UnavailableError that can be tried again."""
        self._require_wait(faults.retry_after(self.error(503), _WAIT), UnavailableError)

    def _require_wait(self, response: Response, kind: type[ProviderError] = RateLimitError) -> None:
        self._needs_answer()

        async def scenario() -> None:
            error = await self.failure_of(response)
            require(isinstance(error, kind), f"status {response.status} raised {error!r}, not {kind.__name__}")
            require(error.retryable, f"an error with Retry-After is not retryable: {error!r}")
            waited = (
                f"retry_after is {error.retry_after}, not {_WAIT}, for Retry-After: {response.headers['Retry-After']}"
            )
            require(error.retry_after == _WAIT, waited)

        self.run(scenario)

    def test_nobody_listens(self) -> None:
        """A refused connection is an UnavailableError that can be tried again."""
        self._needs_answer()

        async def scenario() -> None:
            with faults.refused() as nobody:
                async with self.bench(url=nobody) as bench:
                    outcome = await bench.ask()
            error = provider_error(outcome, "a refused connection")
            require(isinstance(error, UnavailableError), f"a refused connection raised {error!r}, not UnavailableError")
            require(error.retryable, "a refused connection is not retryable, though nothing was sent")

        self.run(scenario)

    def test_nonsense_is_an_error(self) -> None:
        """Web pages, noise, no HTTP, no answer: an error of the provider, never an answer."""
        self._needs_answer()

        async def scenario() -> None:
            page = await self.failure_of(faults.html(502))
            require(isinstance(page, UnavailableError), f"a web page with status 502 raised {page!r}")
            for nonsense in (faults.html(), faults.garbage(), faults.not_http(), Response(), Response.json(None)):
                await self.failure_of(nonsense)
            error = await self.failure_of(faults.no_answer())
            require(not error.retryable, "a connection that closed after the request was sent is retryable")

        self.run(scenario)

    def test_noise_in_the_stream_is_an_error(self) -> None:
        """A web page or noise where the stream should be is an error, whatever its Content-Type says."""

        async def scenario() -> None:
            await self._require_failure(faults.garbage, "noise instead of a stream")
            await self._require_failure(lambda _: faults.html(), "a web page instead of a stream")

        self.run(scenario)

    def test_a_huge_line_is_an_error(self) -> None:
        """17 MiB without a line's end are an error, and not memory."""

        async def scenario() -> None:
            await self._require_failure(faults.huge_line, "a line of 17 MiB")

        self.run(scenario)

    async def _require_failure(self, fault: Fault, what: str) -> None:
        rehearsal = await self.rehearse()
        outcome, sent = await self.ask_with(fault, number=rehearsal.number)
        if not self.recovered(outcome, rehearsal, sent=sent):
            provider_error(outcome, what)

    def _needs_answer(self) -> None:
        """Skip where it is not known that the provider speaks HTTP at all."""
        if type(self).answer is Subject.answer:
            self.answer([])
