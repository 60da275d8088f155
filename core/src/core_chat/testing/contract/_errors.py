"""The laws of errors: each trouble of the upstream has one name, and tells whether to try again."""

import os
from unittest import mock

from core_chat.errors import (
    InvalidRequestError,
    MissingCredentialError,
    ProviderError,
    RateLimitError,
    UnavailableError,
)
from core_chat.testing import faults
from core_chat.testing.clock import ManualClock
from core_chat.testing.contract._run import require, skip
from core_chat.testing.contract._shown import Shown
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
            number = (await self.rehearse()).number
            for name, fault in (("noise", faults.garbage), ("a web page", lambda _: faults.html())):
                outcome, _ = await self.ask_with(fault, number=number)
                provider_error(outcome, f"{name} instead of a stream")

        self.run(scenario)

    def test_a_huge_line_is_an_error(self) -> None:
        """17 MiB without a line's end are an error, and not memory."""

        async def scenario() -> None:
            number = (await self.rehearse()).number
            outcome, _ = await self.ask_with(faults.huge_line, number=number)
            provider_error(outcome, "a line of 17 MiB")

        self.run(scenario)

    def test_a_missing_key_is_told(self) -> None:
        """Without a key that it needs, a provider sends nothing and says which variable to set."""
        about = getattr(self.make("http://127.0.0.1:9"), "about", None)
        if about is None or not about.needs_key:
            skip("the provider needs no key, says `about`")

        async def scenario() -> None:
            async with self.bench(self.play(), key=False) as bench:
                outcome = await bench.ask(api_key=None)
            if outcome.error is None:
                skip("make() gives the provider a key of its own: override make_without_key(base_url)")
            error = provider_error(outcome, "a call without a key")
            require(isinstance(error, MissingCredentialError), f"a call without a key raised {error!r}")
            require(not bench.upstream.requests, "a request was sent before the missing key was told")
            require((about.key_variable or "") in str(error), f"the error does not name {about.key_variable}: {error}")

        with mock.patch.dict(os.environ):
            os.environ.pop(about.key_variable or "", None)
            self.run(scenario)

    def test_the_key_is_never_shown(self) -> None:
        """The key is in no event, error, cause, repr, log record or output, even if the upstream repeats it."""
        shown = Shown()

        async def scenario() -> None:
            with shown.watching():
                await self._show(shown, None, "an answer")
                for status in self.errors:
                    await self._show(shown, self.error(status), f"status {status}")
                for response in _repeating(self.key):
                    await self._show(shown, response, f"status {response.status} that repeats the key")
                await self._show(shown, faults.not_http(), "no HTTP")

        self.run(scenario)
        places = shown.places_of(self.key)
        require(not places, f"the key is shown in {'; '.join(places)}")

    async def _show(self, shown: Shown, response: Response | None, when: str) -> None:
        async with self.bench(self.play() if response is None else {"*": response}) as bench:
            shown.add(f"the repr of the provider ({when})", bench.provider)
            shown.add(f"the repr of the registry ({when})", bench.registry)
            shown.add(f"the repr of the stream or its request ({when})", stream := bench.stream(), stream.request)
            outcome = await bench.ask()
        shown.add(f"an event ({when})", *outcome.events)
        if outcome.error is not None:
            shown.add_error(f"the error ({when})", outcome.error)

    def test_an_unknown_option_is_refused(self) -> None:
        """An option that the provider does not have is an InvalidRequestError, and nothing is sent."""

        async def scenario() -> None:
            async with self.bench(self.play()) as bench:
                outcome = await bench.ask(options={"no_such_option": 1})
            text = "an unknown option must be refused: read_options(OptionsClass, request) does it"
            require(isinstance(outcome.error, InvalidRequestError), f"{text}; it gave {outcome.error!r}")
            require(not bench.upstream.requests, "a request was sent before the unknown option was refused")

        self.run(scenario)

    def _needs_answer(self) -> None:
        """Skip where it is not known that the provider speaks HTTP at all."""
        if type(self).answer is Subject.answer:
            self.answer([])


def _repeating(key: str) -> list[Response]:
    """Return errors as upstreams write them that quote the key they refuse."""
    told = f"Incorrect API key provided: {key}"
    page = f"<html><head><title>{told}</title></head><body>{told}</body></html>"
    return [
        Response.json({"error": {"message": told, "code": "invalid_api_key"}}, status=401),
        Response.json({"detail": told, "title": told}, status=403),
        Response.json([told], status=400),
        Response(told, status=400, headers={"Content-Type": "text/plain"}),
        Response(page, status=500, headers={"Content-Type": "text/html"}),
        Response(told, headers={"Content-Type": "text/plain"}),
    ]
