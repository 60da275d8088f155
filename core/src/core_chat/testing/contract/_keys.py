"""The laws of keys: a missing one is told, a given one is never shown and stays with its call."""

import os
from collections.abc import Sequence
from unittest import mock

from core_chat.errors import MissingCredentialError
from core_chat.testing import faults
from core_chat.testing.contract._bench import Bench
from core_chat.testing.contract._run import require, skip
from core_chat.testing.contract._shown import Shown
from core_chat.testing.contract._subject import Subject, provider_error
from core_chat.testing.requests import Request
from core_chat.testing.responses import Response


class KeyLaws(Subject):
    """A missing key is told, a given one is never shown and stays with its call."""

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

    def test_a_key_stays_with_its_call(self) -> None:
        """The key of one call is in no request of the next, which is sent with its own, or with none."""

        async def scenario() -> None:
            await self.rehearse()
            async with self.bench(self.play(), times=2) as bench:
                first = await self._requests_with(bench, self.key)
                second = await self._requests_with(bench, f"{self.key}-2")
                require(
                    not _carrying(second, self.key, but=f"{self.key}-2"), "a key was sent with the call after its own"
                )
                if _carrying(first, self.key):
                    require(_carrying(second, f"{self.key}-2"), "the second call was not sent with its own key")

        self.run(scenario)

    @staticmethod
    async def _requests_with(bench: Bench, key: str) -> list[Request]:
        before = len(bench.upstream.requests)
        outcome = await bench.ask(api_key=key)
        require(outcome.error is None, f"a second call of the same provider ended with {outcome.error!r}")
        return bench.upstream.requests[before:]


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


def _carrying(requests: Sequence[Request], key: str, *, but: str = "\0") -> bool:
    """Whether a key is anywhere in the requests, `but` being another key that may hold it."""
    return any(
        key in place.replace(but, "")
        for sent in requests
        for place in (*sent.headers.values(), *sent.query.values(), sent.path, sent.body.decode("latin-1"))
    )
