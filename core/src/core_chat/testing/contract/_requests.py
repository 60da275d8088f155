"""The laws of requests: what a caller asks for is honoured or told, never dropped."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any

from core_chat.errors import InvalidRequestError
from core_chat.messages import Image, Message, Tool
from core_chat.testing import faults
from core_chat.testing.contract._bench import FaultAt
from core_chat.testing.contract._run import require, skip
from core_chat.testing.contract._subject import Subject
from core_chat.testing.requests import Request

_PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)
_TOOL = Tool("look_up_weather", "Tells the weather")
_PARAMETERS: Mapping[str, tuple[Any, str]] = {
    "temperature": (0.37, "0.37"),
    "top_p": (0.83, "0.83"),
    "top_k": (37, "37"),
    "max_tokens": (373, "373"),
    "stop": (["STOPWORD"], "STOPWORD"),
    "seed": (424243, "424243"),
    "presence_penalty": (0.41, "0.41"),
    "frequency_penalty": (0.43, "0.43"),
    "reasoning_effort": ("high", "high"),
    "response_format": ("json", "json"),
    "tools": ([_TOOL], _TOOL.name),
    "width": (517, "517"),
    "height": (519, "519"),
    "aspect_ratio": ("5:7", "5:7"),
}
"""For each parameter a value, and the text by which a request that honours it is known."""


class RequestLaws(Subject):
    """What a caller asks for is honoured or told, never dropped."""

    def test_parameters_are_honoured_or_told(self) -> None:
        """Every parameter reaches the upstream, or a Notice names it, or it is refused: none is dropped silently."""

        async def scenario() -> None:
            await self.rehearse()
            dropped = [name for name in _PARAMETERS if not await self._honoured_or_told(name)]
            require(not dropped, f"dropped without a Notice(parameter=…): {', '.join(dropped)}")

        self.run(scenario)

    async def _honoured_or_told(self, name: str) -> bool:
        value, mark = _PARAMETERS[name]
        async with self.bench(self.play()) as bench:
            outcome = await bench.ask(**{name: value})
        if name in outcome.noticed or isinstance(outcome.error, InvalidRequestError):
            return True
        require(outcome.error is None, f"{name}={value!r} ended with {outcome.error!r}")
        return _sent(bench.upstream.requests, mark) or (name == "stop" and await self._stops_by_itself())

    async def _stops_by_itself(self) -> bool:
        """Whether the provider ends the answer at a stop text that the upstream was not told of."""
        word = max((piece.strip() for piece in self.pieces), key=len)
        async with self.bench(self.play()) as bench:
            outcome = await bench.ask(stop=[word])
        return outcome.error is None and word not in "".join(outcome.pieces)

    def test_notices_make_strict_calls_fail_before_anything_is_generated(self) -> None:
        """What cannot be honoured is told before the generating request, so that `strict` can still stop it."""

        async def scenario() -> None:
            await self.rehearse()
            for name, (value, _) in _PARAMETERS.items():
                async with self.bench(self.play()) as bench:
                    outcome = await bench.ask("THE-QUESTION", **{name: value}, strict=True)
                late = isinstance(outcome.error, InvalidRequestError) and _sent(bench.upstream.requests, "THE-QUESTION")
                require(not late, f"the Notice for {name} came after the generating request")

        self.run(scenario)

    def test_messages_reach_the_upstream(self) -> None:
        """The system message, earlier turns and pictures are sent, or a Notice or an error says that they are not."""
        earlier = [
            Message("system", "SYSTEM-WORDS"),
            Message("user", "FIRST-QUESTION"),
            Message("assistant", "FIRST-ANSWER"),
            Message("user", "SECOND-QUESTION"),
        ]
        picture = [Message("user", ["LOOK-AT-THIS", Image(_PICTURE)])]

        async def scenario() -> None:
            await self.rehearse()
            for message in earlier:
                await self._require_sent(earlier, message.text)
            await self._require_sent(picture, "LOOK-AT-THIS")
            await self._require_sent(picture, base64.b64encode(_PICTURE).decode(), raw=_PICTURE)

        self.run(scenario)

    async def _require_sent(self, messages: Sequence[Message], mark: str, *, raw: bytes | None = None) -> None:
        async with self.bench(self.play()) as bench:
            outcome = await bench.ask(messages)
        told = outcome.error is not None or "messages" in outcome.noticed or "images" in outcome.noticed
        found = _sent(bench.upstream.requests, mark) or (
            raw and any(raw in sent.body for sent in bench.upstream.requests)
        )
        require(told or found, f"{mark[:20]!r} was not sent, and no Notice or error says so")

    def test_extra_and_headers_are_sent(self) -> None:
        """`extra` goes into the body and `headers` into the headers of the generating request, as they are."""

        async def scenario() -> None:
            await self.rehearse()
            async with self.bench(self.play()) as bench:
                outcome = await bench.ask(extra={"x_contract": "EXTRA-VALUE"}, headers={"X-Contract": "HEADER-VALUE"})
            sent = bench.upstream.requests
            told = outcome.noticed | ({"extra", "headers"} if isinstance(outcome.error, InvalidRequestError) else set())
            require("extra" in told or _sent(sent, "EXTRA-VALUE"), "extra was not sent")
            require(
                "headers" in told or any(one.headers.get("x-contract") == "HEADER-VALUE" for one in sent),
                "headers were not sent",
            )

        self.run(scenario)

    def test_an_unknown_option_is_refused(self) -> None:
        """An option that the provider does not have is an InvalidRequestError, and nothing is sent."""

        async def scenario() -> None:
            async with self.bench(self.play()) as bench:
                outcome = await bench.ask(options={"no_such_option": 1})
            text = "an unknown option must be refused: read_options(OptionsClass, request) does it"
            require(isinstance(outcome.error, InvalidRequestError), f"{text}; it gave {outcome.error!r}")
            require(not bench.upstream.requests, "a request was sent before the unknown option was refused")

        self.run(scenario)

    def test_answers_do_not_mix(self) -> None:
        """Two answers of one provider that come at the same time, byte by byte, are each whole."""

        async def scenario() -> None:
            await self.rehearse()
            play = self.play()
            if isinstance(play, Sequence) and len(play) > 1:
                skip("return routes from answer(): two calls at once do not send their requests in one order")
            async with self.bench(play, times=2, alter=FaultAt(fault=faults.drip)) as bench:
                outcomes = await asyncio.gather(bench.ask(), bench.ask())
            for outcome in outcomes:
                require(outcome.pieces == list(self.pieces), f"of two answers at once, one was {outcome.pieces!r}")

        self.run(scenario)


def _sent(requests: Sequence[Request], mark: str) -> bool:
    """Whether a text is in the path, the query or the body of a request."""
    return any(
        mark.encode() in sent.body or mark in sent.path or any(mark in value for value in sent.query.values())
        for sent in requests
    )
