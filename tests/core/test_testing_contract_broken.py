"""Every law of the contract, seen to fail on a provider that breaks just it."""

import asyncio
import gc
import json
import logging
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, ClassVar, TypeAlias

import aiohttp
import pytest
from attrs import define, field
from tests.core.testing_wire import NOT_TAKEN, Wire

from core_chat import (
    About,
    AuthenticationError,
    ChatRequest,
    Event,
    Finish,
    MissingCredentialError,
    ModelInfo,
    ModelQuery,
    NoOptions,
    Notice,
    PluginError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    TextDelta,
    UnavailableError,
    hookimpl,
    read_options,
)
from core_chat.http import Client, Failure, client_for
from core_chat.testing import ProviderContract, Response

Call: TypeAlias = ChatRequest | ModelQuery

BREAKS: dict[str, list[tuple[type[Wire], str]]] = {}
"""For each law the providers that break it, and what the law says of each."""


def breaks(law: str, message: str) -> Callable[[type[Wire]], type[Wire]]:
    """Note that a provider breaks a law."""

    def note(provider: type[Wire]) -> type[Wire]:
        BREAKS.setdefault(law, []).append((provider, message))
        return provider

    return note


def contract_for(provider: type[Wire], *, seconds: float = 60.0) -> ProviderContract:
    """Return the contract over a provider of the wire; less patient where something broken is waited for."""

    class Contract(ProviderContract):
        deadline = seconds
        patience = seconds / 20

        def make(self, base_url: str) -> object:
            return provider(base_url)

        def answer(self, pieces: list[str]) -> Response:
            return Response.lines([*({"piece": piece} for piece in pieces), {"done": True}])

        def listing(self) -> Response:
            return Response.json(["wire-1", "wire-2"])

    return Contract()


# Shape


@breaks("test_it_can_be_registered", "stream_chat must be an async generator function")
@define(eq=False)
class NoGenerator(Wire):
    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> Any:  # type: ignore[override]  # the point
        return [TextDelta("Hello"), Finish("stop")]


@breaks("test_it_can_be_registered", "no hook 'list_model'; did you mean list_models")
@define(eq=False)
class Misspelt(Wire):
    @hookimpl
    async def list_model(self) -> AsyncGenerator[ModelInfo, None]:
        yield ModelInfo("wire-1")


@breaks("test_it_is_hashable", "use @define\\(eq=False\\)")
@define
class Unhashable(Wire): ...


@breaks("test_it_is_hashable", "two providers are equal")
@define(unsafe_hash=True)
class Equal(Wire): ...


@breaks("test_making_and_resolving_send_nothing", "blocked by a blocking socket's connect in .*resolve_model")
@define(eq=False)
class AsksToResolve(Wire):
    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        host, _, port = self.base_url.removeprefix("http://").partition(":")
        with suppress(OSError), socket.create_connection((host, int(port))):
            pass
        return ModelInfo(name or "wire-1")


@breaks("test_making_and_resolving_send_nothing", "opened a connection")
@define(eq=False)
class ConnectsWhenMade(Wire):
    def __attrs_post_init__(self) -> None:
        host, _, port = self.base_url.removeprefix("http://").partition(":")
        with socket.socket() as connection:
            connection.settimeout(0)
            connection.connect_ex((host, int(port)))


@breaks("test_making_and_resolving_send_nothing", "started .*refresh")
@define(eq=False)
class StartsTasks(Wire):
    _tasks: list[Any] = field(init=False, factory=list)

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        self._tasks.append(asyncio.ensure_future(self.refresh()))
        return ModelInfo(name or "wire-1")

    async def refresh(self) -> None:
        await asyncio.Event().wait()


@breaks("test_names_resolve_to_a_model_or_none", "returned str")
@define(eq=False)
class ResolvesToText(Wire):
    @hookimpl
    def resolve_model(self, name: str) -> Any:
        return name or "wire-1"


@breaks("test_names_resolve_to_a_model_or_none", "raised IndexError")
@define(eq=False)
class FailsToResolve(Wire):
    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        return ModelInfo(name.split("/")[1]) if name else None


@breaks("test_names_resolve_to_a_model_or_none", "leave provider to the registry")
@define(eq=False)
class SpeaksForOthers(Wire):
    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        return ModelInfo(name or "wire-1", provider="replicate")


@breaks("test_without_a_network_lists_still_come", "list_models raised PluginError")
@define(eq=False)
class ListsRawErrors(Wire):
    @hookimpl
    async def list_models(self, query: ModelQuery, session: aiohttp.ClientSession) -> AsyncGenerator[ModelInfo, None]:
        models: dict[str, str] = {}
        yield ModelInfo(models["first"])


@breaks("test_without_a_network_lists_still_come", "no model and raised nothing")
@define(eq=False)
class ListsNothing(Wire):
    @hookimpl
    async def list_models(self, query: ModelQuery, session: aiohttp.ClientSession) -> AsyncGenerator[ModelInfo, None]:
        nothing: list[ModelInfo] = []
        for model in nothing:
            yield model


@breaks("test_listed_models_resolve", "is listed, but resolves to 'WIRE-1'")
@define(eq=False)
class ListsOtherNames(Wire):
    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        return ModelInfo(name.upper() or "WIRE-1")


# Streams


@breaks("test_it_answers_and_finishes_once", "IncompleteStreamError")
@define(eq=False)
class NeverFinishes(Wire):
    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:  # type: ignore[override]  # a hook may leave out parameters
        yield TextDelta("Hello")


@breaks("test_it_answers_and_finishes_once", "after Finish")
@define(eq=False)
class GoesOn(Wire):
    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:  # type: ignore[override]  # as above
        yield Finish("stop")
        yield TextDelta("Hello")


@breaks("test_it_answers_and_finishes_once", "an empty piece is no event")
@define(eq=False)
class YieldsEmptyPieces(Wire):
    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:  # type: ignore[override]  # as above
        yield TextDelta("")
        yield Finish("stop")


@breaks("test_it_answers_and_finishes_once", "blocked by time.sleep in stream_chat")
@define(eq=False)
class Blocks(Wire):
    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:  # type: ignore[override]  # as above
        time.sleep(0.01)  # noqa: ASYNC251 - the point
        yield Finish("stop")


@breaks("test_conversations_can_be_kept", "use plain JSON data")
@define(eq=False)
class KeepsTuples(Wire):
    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:  # type: ignore[override]  # as above
        yield TextDelta("Hello")
        yield Finish("stop", state={"ids": (1, 2)})


@breaks("test_text_is_exact", r"piece 4 on: \[' ', ")
@define(eq=False)
class DropsNewlines(Wire):
    def parse(self, line: bytes) -> dict[str, Any]:
        data = Wire.parse(self, line)
        return data if data.get("piece", "").strip("\n") else {"done": data.get("done")}


@breaks("test_text_is_exact", r"from piece 0 on: \['Hello,', .* instead of \['Hello', ','\]")
@define(eq=False)
class Merges(Wire):
    async def events(self, client: Client, response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
        before = ""
        async for event in Wire.events(self, client, response):
            text = event.text if isinstance(event, TextDelta) else ""
            if before:
                yield TextDelta(before + text)
            before = "" if before else text
            if isinstance(event, Finish):
                yield event


@breaks("test_text_is_exact", "the intact answer was refused: ProtocolError")
@define(eq=False)
class SplitsLikeStr(Wire):
    async def lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        text = (await response.read()).decode()
        for line in text.splitlines():
            yield line.encode()


@breaks("test_any_split_of_the_bytes_gives_the_same", "split after byte .* the text differs")
@define(eq=False)
class DecodesChunks(Wire):
    async def lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        rest = ""
        async for chunk in response.content.iter_any():
            *whole, rest = (rest + chunk.decode("utf-8", "replace")).split("\n")
            for line in whole:
                yield line.encode()


@breaks("test_dripping_bytes_give_the_same", "sent in lumps of 1 bytes, the answer was refused")
@define(eq=False)
class TakesChunksForLines(Wire):
    async def lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        async for chunk in response.content.iter_any():
            for line in chunk.splitlines():
                yield line


@breaks("test_a_cut_is_an_error", "cut after byte 0 of .* counted as a complete answer")
@define(eq=False)
class ForgivesCuts(Wire):
    async def lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        with suppress(ProviderError):
            async for line in Wire.lines(self, response):
                yield line
            return
        yield b'{"done": true}'


@breaks("test_a_cut_is_an_error", r"cut after byte 0 of .* gave text that was never sent: '\[connection lost\]'")
@define(eq=False)
class WritesIntoTheAnswer(Wire):
    async def events(self, client: Client, response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
        try:
            async for event in Wire.events(self, client, response):
                yield event
        except ProviderError:
            yield TextDelta("[connection lost]")
            raise


@breaks("test_pieces_come_as_they_are_sent", "of 24 pieces that were sent, 1 are held back")
@define(eq=False)
class HoldsBack(Wire):
    async def events(self, client: Client, response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
        before: Event | None = None
        async for event in Wire.events(self, client, response):
            if before:
                yield before
            before = event
        if before:
            yield before


@breaks("test_an_early_end_is_an_error", "ended after byte .* counted as a complete answer")
@define(eq=False)
class TakesTheEndForDone(Wire):
    async def events(self, client: Client, response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
        async for line in self.lines(response):
            with suppress(ProtocolError):
                if piece := self.parse(line).get("piece"):
                    yield TextDelta(piece)
        yield Finish("stop")


@breaks("test_it_ends_when_the_answer_ends", "did not come to an end within")
@define(eq=False)
class WaitsForTheEnd(Wire):
    async def finish(self, client: Client, response: aiohttp.ClientResponse) -> None:
        await response.read()


@breaks("test_connections_are_used_again", "had to open a new connection")
@define(eq=False)
class ClosesConnections(Wire):
    async def finish(self, client: Client, response: aiohttp.ClientResponse) -> None:
        response.close()


# Leaving


@define(eq=False)
class InBackground(Wire):
    """Reads ahead in a task of its own that outlives the call."""

    tasks: ClassVar[list[asyncio.Task[None]]] = []

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: aiohttp.ClientSession) -> AsyncGenerator[Event, None]:
        queue: asyncio.Queue[Event | Exception] = asyncio.Queue()

        async def pump() -> None:
            try:
                async for event in Wire.stream_chat(self, request, session):
                    queue.put_nowait(event)
            except Exception as error:  # noqa: BLE001 - handed over
                queue.put_nowait(error)

        self.tasks.append(asyncio.ensure_future(pump()))
        while True:
            event = await queue.get()
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, Finish):
                return


breaks("test_leaving_early_closes_the_connection", "still open 0.2 s after the caller left")(InBackground)
breaks("test_cancelling_closes_the_connection", "still open 0.2 s after the caller left")(InBackground)
breaks("test_cancelling_before_the_first_byte_closes_the_connection", "still open 0.2 s")(InBackground)


@breaks("test_leaving_early_leaves_no_task", "left behind after the call: .*forgotten")
@define(eq=False)
class ForgetsTasks(Wire):
    tasks: ClassVar[list[asyncio.Task[None]]] = []

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: aiohttp.ClientSession) -> AsyncGenerator[Event, None]:
        self.tasks.append(asyncio.ensure_future(self.forgotten()))
        async for event in Wire.stream_chat(self, request, session):
            yield event

    async def forgotten(self) -> None:
        await asyncio.Event().wait()


@breaks("test_cancelling_closes_the_connection", "did not end with CancelledError")
@define(eq=False)
class SwallowsCancellation(Wire):
    async def events(self, client: Client, response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
        with suppress(asyncio.CancelledError):
            async for event in Wire.events(self, client, response):
                yield event
            return
        yield Finish("other")


# Errors


def refining(kind: type[ProviderError], *, retryable: bool | None = None) -> type[Wire]:
    """Return a provider that gives one meaning to every failure."""

    @define(eq=False)
    class Refining(Wire):
        def client(self, call: Call, session: aiohttp.ClientSession) -> Client:
            def refine(failure: Failure) -> ProviderError:
                return kind("no", status=failure.status, retryable=retryable)

            return client_for(session, call, base_url=self.base_url, token=call.api_key, refine=refine)

    return Refining


for status in (401, 402, 403, 404, 429):
    breaks(f"test_status_{status}", f"status {status} raised UnavailableError")(refining(UnavailableError))
breaks("test_status_500", "status 500 raised AuthenticationError")(refining(AuthenticationError))
breaks("test_status_500", "retryable is True after status 500")(refining(UnavailableError, retryable=True))
breaks("test_status_401", "retryable is True after status 401")(refining(AuthenticationError, retryable=True))
breaks("test_retry_after_in_seconds", "retry_after is None, not 7.0, for Retry-After: 7")(refining(RateLimitError))
breaks("test_retry_after_as_a_date", "retry_after is None, not 7.0, for Retry-After: Thu")(refining(RateLimitError))
breaks("test_unavailable_with_retry_after", "not retryable")(refining(UnavailableError))
breaks("test_nonsense_is_an_error", "a web page with status 502 raised")(refining(ProtocolError))


@breaks("test_nobody_listens", "a refused connection raised ProtocolError")
@define(eq=False)
class RenamesRefusals(Wire):
    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: aiohttp.ClientSession) -> AsyncGenerator[Event, None]:
        try:
            async for event in Wire.stream_chat(self, request, session):
                yield event
        except UnavailableError as error:
            raise ProtocolError("something went wrong") from error


@breaks("test_nonsense_is_an_error", "an upstream that answers 200 counted as a complete answer")
@breaks("test_noise_in_the_stream_is_an_error", "noise instead of a stream counted as a complete answer")
@define(eq=False)
class TakesAnything(Wire):
    async def events(self, client: Client, response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
        yield TextDelta((await response.read()).decode("utf-8", "replace") or "nothing")
        yield Finish("stop")


@breaks("test_nonsense_is_an_error", "failed with AttributeError'\\), which is no ProviderError")
@define(eq=False)
class TrustsShapes(Wire):
    def parse(self, line: bytes) -> dict[str, Any]:
        try:
            data: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise ProtocolError("a line is no JSON") from error
        return data


@breaks("test_a_huge_line_is_an_error", "a line of 17 MiB counted as a complete answer")
@define(eq=False)
class BuffersForEver(Wire):
    async def lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        for line in (await response.read()).split(b"\n"):
            if line:
                yield line

    def parse(self, line: bytes) -> dict[str, Any]:
        return Wire.parse(self, line[line.index(b"{") :])


@breaks("test_a_missing_key_is_told", "a request was sent before the missing key was told")
@define(eq=False)
class TellsLate(Wire):
    def client(self, call: Call, session: aiohttp.ClientSession) -> Client:
        return client_for(session, call, base_url=self.base_url, token=call.api_key)

    async def finish(self, client: Client, response: aiohttp.ClientResponse) -> None:
        if client.token is None:
            raise MissingCredentialError(variable="WIRE_KEY")


@breaks("test_a_missing_key_is_told", "a call without a key raised UnavailableError")
@define(eq=False)
class AsksWithoutKey(Wire):
    def client(self, call: Call, session: aiohttp.ClientSession) -> Client:
        if call.api_key is None:
            raise UnavailableError("there is no key")
        return Wire.client(self, call, session)


@breaks("test_a_missing_key_is_told", "does not name WIRE_KEY")
@define(eq=False)
class NamesNoVariable(Wire):
    def client(self, call: Call, session: aiohttp.ClientSession) -> Client:
        nameless = About(label="Wire", needs_key=True)
        from core_chat.http import credential

        key = credential(call, self.token, about=nameless)
        return client_for(session, call, base_url=self.base_url, token=key)


@breaks("test_the_key_is_never_shown", "the log record of broken")
@define(eq=False)
class LogsItsKey(Wire):
    def body(self, request: ChatRequest) -> dict[str, Any]:
        logging.getLogger("broken").debug("asking with %s", request.api_key)
        return Wire.body(self, request)


@breaks("test_the_key_is_never_shown", "what was printed")
@define(eq=False)
class PrintsItsKey(Wire):
    def body(self, request: ChatRequest) -> dict[str, Any]:
        print(request.api_key)  # noqa: T201 - the point
        return Wire.body(self, request)


@breaks("test_the_key_is_never_shown", r"the repr of the provider \(status 401\)")
@define(eq=False)
class KeepsItsKeyInTheRepr(Wire):
    """One key for all; its repr shows it."""

    key: str = field(default=ProviderContract.key)


@breaks("test_the_key_is_never_shown", r"an event \(an answer\)")
@define(eq=False)
class NotesItsKey(Wire):
    def notices(self, request: ChatRequest) -> list[Notice]:
        return [Notice("key", f"asking with {request.api_key}")]


@breaks("test_the_key_is_never_shown", r"the traceback of the error \(an answer\)")
@define(eq=False)
class FailsWithItsKey(Wire):
    def body(self, request: ChatRequest) -> dict[str, Any]:
        raise KeyError(request.api_key)


@breaks("test_the_key_is_never_shown", "status 401 that repeats the key")
@define(eq=False)
class RepeatsWhatItIsTold(Wire):
    def client(self, call: Call, session: aiohttp.ClientSession) -> Client:
        def refine(failure: Failure) -> ProviderError:
            return ProtocolError(failure.body.decode())

        return client_for(session, call, base_url=self.base_url, token=call.api_key, refine=refine)


# Requests


@breaks("test_an_unknown_option_is_refused", r"it gave None")
@define(eq=False)
class IgnoresOptions(Wire):
    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:  # type: ignore[override]  # as above
        yield Finish("stop")


@define(eq=False)
class AsksFirst(Wire):
    """Sends its request before it looks at what was asked for."""

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: aiohttp.ClientSession) -> AsyncGenerator[Event, None]:
        client = self.client(request, session)
        async with client.send("POST", "chat", json=self.body(request)) as response:
            read_options(NoOptions, request)
            for notice in self.notices(request):
                yield notice
            async for event in self.events(client, response):
                yield event


breaks("test_an_unknown_option_is_refused", "a request was sent before the unknown option")(AsksFirst)
breaks("test_notices_make_strict_calls_fail_before_anything_is_generated", f"the Notice for {NOT_TAKEN[0]} came after")(
    AsksFirst
)
breaks("test_extra_and_headers_are_sent", "headers were not sent")(AsksFirst)


@breaks("test_parameters_are_honoured_or_told", r"dropped without a Notice\(parameter=…\): stop, presence_penalty")
@define(eq=False)
class DropsParameters(Wire):
    def notices(self, request: ChatRequest) -> list[Notice]:
        return []


@breaks("test_messages_reach_the_upstream", "'SYSTEM-WORDS' was not sent")
@define(eq=False)
class SendsTheLastMessage(Wire):
    def body(self, request: ChatRequest) -> dict[str, Any]:
        return {**Wire.body(self, request), "messages": [request.messages[-1].text]}


@breaks("test_messages_reach_the_upstream", "'iVBORw0KGgoAAAANSUhE' was not sent")
@define(eq=False)
class DropsPictures(Wire):
    def body(self, request: ChatRequest) -> dict[str, Any]:
        return {**Wire.body(self, request), "messages": [message.text for message in request.messages]}


@breaks("test_extra_and_headers_are_sent", "extra was not sent")
@define(eq=False)
class DropsExtra(Wire):
    def body(self, request: ChatRequest) -> dict[str, Any]:
        body = Wire.body(self, request)
        return {name: value for name, value in body.items() if name not in request.extra}


@breaks("test_a_key_stays_with_its_call", "a key was sent with the call after its own")
@define(eq=False)
class RemembersKeys(Wire):
    _key: str | None = field(init=False, default=None)

    def client(self, call: Call, session: aiohttp.ClientSession) -> Client:
        self._key = self._key or call.api_key
        return client_for(session, call, base_url=self.base_url, token=self._key)


@breaks("test_a_key_stays_with_its_call", "was not sent with its own key")
@define(eq=False)
class UsesOnlyTheFirstKey(Wire):
    _asked: bool = field(init=False, default=False)

    def client(self, call: Call, session: aiohttp.ClientSession) -> Client:
        key, self._asked = None if self._asked else call.api_key, True
        return client_for(session, call, base_url=self.base_url, token=key)


@breaks("test_answers_do_not_mix", "of two answers at once, one was")
@define(eq=False)
class SharesItsBuffer(Wire):
    _rest: bytes = field(init=False, default=b"", repr=False)

    async def lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        async for chunk in response.content.iter_any():
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            for line in whole:
                yield line


CASES = [(law, provider, message) for law, cases in sorted(BREAKS.items()) for provider, message in cases]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("law", "provider", "message"), CASES, ids=[f"{law}-{kind.__name__}" for law, kind, _ in CASES]
)
def test_a_broken_provider_is_caught(law: str, provider: type[Wire], message: str) -> None:
    """The law fails on the provider that breaks it, and says what is wrong."""
    with pytest.raises((AssertionError, PluginError), match=message):
        getattr(contract_for(provider, seconds=4), law)()
    gc.collect()  # what it left lying about is not the next test's


@pytest.mark.parametrize("law", sorted(BREAKS))
def test_the_unbroken_provider_is_not_caught(law: str) -> None:
    """What catches the broken ones lets the provider through that they were made from."""
    getattr(contract_for(Wire), law)()


def test_every_law_has_been_seen_to_fail() -> None:
    """No law of the contract is without a provider that breaks it."""
    assert {name for name in dir(ProviderContract) if name.startswith("test_")} == set(BREAKS)


def test_a_deadlock_fails_instead_of_hanging() -> None:
    """A provider that blocks the loop in a way nobody can refuse is told with the place where it stands."""
    release = threading.Event()

    @define(eq=False)
    class Deadlocked(Wire):
        @hookimpl
        async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:  # type: ignore[override]  # as above
            release.wait(30)
            yield Finish("stop")

    contract = contract_for(Deadlocked, seconds=0.2)
    try:
        with pytest.raises(AssertionError, match=r"the event loop did not turn for 0.1 s(.|\n)*release\.wait"):
            contract.test_it_answers_and_finishes_once()
    finally:
        release.set()
