"""The stream of a prediction: its bytes, its replays, its ends, and the ways it breaks."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_chat.testing import ManualClock
from core_replicate.sandbox import Delays, Emulator, Prediction
from core_replicate.sandbox.prediction import StreamEvent
from core_replicate.sandbox.stream import frame

Call = Callable[..., Awaitable[tuple[int, Any]]]
Read = Callable[..., Awaitable[bytes]]
CHAT = "meta/meta-llama-3-8b-instruct"
TIMED_OUT = b":408: 408 Request Timeout\n"
RECORDED = Path(__file__).parents[4] / "shared" / "recorded" / "replicate" / "sse"


def _decode(body: bytes) -> list[tuple[str, str, str]]:
    """Return (event, id, data) of each event, by the plainest reading of the format."""
    events = []
    for block in body.removeprefix(b": hi\n\n").split(b"\n\n"):
        lines = [line.split(b": ", 1) for line in block.split(b"\n") if line and not line.startswith(b":")]
        if lines and lines[-1][0] == b"data":
            data = b"\n".join(value for name, value in lines if name == b"data")
            events.append((lines[0][1].decode(), lines[1][1].decode(), data.decode()))
    return events


@pytest.fixture
def start(emulator: Emulator, create: Call) -> Callable[[str], Awaitable[Prediction]]:
    """Return a function that creates a prediction of a model."""

    async def begin(model: str) -> Prediction:
        return emulator.predictions[(await create(model))[1]["id"]]

    return begin


@pytest.fixture
def read(call: Call) -> Read:
    """Return a function that reads a prediction's stream to its end without a token; a broken one may be asked for."""

    async def whole(prediction: Prediction, *, after: str = "", broken: bool = False) -> bytes:
        _, shown = await call("GET", f"{prediction.origin}/v1/predictions/{prediction.id}")
        headers = {"Last-Event-ID": after} if after else {}
        received = b""
        async with aiohttp.ClientSession() as bare, bare.get(shown["urls"]["stream"], headers=headers) as response:
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            try:
                async for part in response.content.iter_any():
                    received += part
            except aiohttp.ClientPayloadError:
                assert broken
                return received
        assert not broken
        return received

    return whole


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (" Hello,", b"data:  Hello,\n"),
        ("", b"data: \n"),
        ("\n", b"data: \ndata: \n"),
        (".\n\n", b"data: .\ndata: \ndata: \n"),
        ("foo\nbar", b"data: foo\ndata: bar\n"),
        ("a\rb", b"data: a\rb\n"),
        ("a\u2028b\x0cc", b"data: a\xe2\x80\xa8b\x0cc\n"),
    ],
)
def test_an_event_has_the_servers_bytes(data: str, lines: bytes) -> None:
    r"""Event, id, and a data line for each part between `\n`s, each after one space."""
    assert frame(StreamEvent((7, 2), "output", data)) == b"event: output\nid: 7:2\n" + lines + b"\n"


@given(st.lists(st.text().filter(lambda text: "\r\n" not in text)))
def test_what_is_framed_can_be_read(pieces: list[str]) -> None:
    """Every text is restored from its frame: lines end at newlines only, so no frame holds a blank line of its own."""
    for count, piece in enumerate(pieces):
        framed = frame(StreamEvent((1, count), "output", piece))
        assert framed.count(b"\n\n") == 1
        assert _decode(framed) == [("output", f"1:{count}", piece)]


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded streams are not on this machine")
def test_frames_are_those_of_the_recorded_stream() -> None:
    """The recorded stream is framed byte for byte (its snapshot lost the space of empty data lines)."""
    recorded = (RECORDED / "recorded_vercel_2023-10-31.sse").read_bytes().replace(b"data:\n", b"data: \n")
    events = _decode(recorded)
    framed = [
        frame(StreamEvent((int(at.split(":")[0]), int(at.split(":")[1])), kind, data)) for kind, at, data in events
    ]
    assert len(framed) == 7
    assert b": hi\n\n" + b"".join(framed) == recorded.rstrip(b"\n") + b"\n\n"


async def test_a_stream_is_the_output_then_done(start: Any, read: Read) -> None:
    """A stream begins with `: hi`, has an event for each piece with ids that count up, and ends with `done`."""
    prediction = await start(CHAT)
    body = await read(prediction)
    assert body.startswith(b": hi\n\nevent: output\nid: ")
    events = _decode(body)
    assert [data for _, _, data in events] == [*prediction.output, "{}"]
    assert [kind for kind, _, _ in events] == ["output"] * len(prediction.output) + ["done"]
    second = int(prediction.created)
    assert [at for _, at, _ in events] == [f"{second}:{count}" for count in range(len(events))]


async def test_a_stream_is_replayed_from_anywhere(start: Any, read: Read) -> None:
    """Without an id all is replayed, and after any id what follows it."""
    prediction = await start(CHAT)
    everything = _decode(await read(prediction))
    for index, (_, at, _) in enumerate(everything[:-1]):
        assert _decode(await read(prediction, after=at)) == everything[index + 1 :]


async def test_a_malformed_id_is_refused(emulator: Emulator, start: Any) -> None:
    """An id that is none is a bad request, and an unknown stream is not found."""
    prediction = await start(CHAT)
    url = f"{emulator.base_url}/streams/"
    async with aiohttp.ClientSession() as bare:
        async with bare.get(url + prediction.stream_path, headers={"Last-Event-ID": "last"}) as response:
            assert (response.status, await response.text()) == (400, "Message ID invalid")
        async with bare.get(url + "nothing") as response:
            assert response.status == 404


async def test_events_come_as_they_are_made(emulator: Emulator, start: Any) -> None:
    """An open stream gets each piece when it is made, under the id of its second, before the prediction ends."""
    emulator.clock = clock = ManualClock(auto=False)
    emulator.delays = Delays(start=1, token=1)
    prediction = await start(CHAT)
    url = f"{emulator.base_url}/streams/{prediction.stream_path}"
    async with aiohttp.ClientSession() as bare, bare.get(url) as response:
        assert await response.content.readuntil(b"\n\n") == b": hi\n\n"
        clock.advance(1)
        await prediction.changed.until(lambda: prediction.status == "processing")
        for piece in ("", "This"):
            await asyncio.sleep(0)  # the prediction goes to sleep before time may pass
            clock.advance(1)
            got = _decode(await response.content.readuntil(b"\n\n"))
            assert got == [("output", f"{int(clock.now())}:0", piece)]
        assert not prediction.finished


async def test_leaving_a_stream_cancels_nothing(emulator: Emulator, start: Any) -> None:
    """When a reader goes the prediction goes on; the sandbox sees the reader leave."""
    prediction = await start("sandbox/stuck")
    url = f"{emulator.base_url}/streams/{prediction.stream_path}"
    async with aiohttp.ClientSession() as bare, bare.get(url) as response:
        await response.content.readuntil(b"This\n\n")
        assert prediction.readers == 1
    await prediction.changed.until(lambda: prediction.readers == 0)
    assert (prediction.status, prediction.cancel_requested) == ("processing", False)


async def test_readers_that_leave_amid_pieces_are_no_errors(
    emulator: Emulator, create: Call, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that closes while pieces are being written leaves no error in the log."""
    for _ in range(10):
        _, shown = await create("openai/gpt-4o-mini", {"prompt": "word " * 1000})
        prediction = emulator.predictions[shown["id"]]
        async with aiohttp.ClientSession() as bare, bare.get(shown["urls"]["stream"]) as response:
            await response.content.readany()
        await prediction.changed.until(lambda it=prediction: it.readers == 0)  # type: ignore[misc]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_silence_ends_a_stream(emulator: Emulator, start: Any, read: Read) -> None:
    """A stream that has had no event for too long ends with a 408 comment; the prediction goes on."""
    assert isinstance(emulator.clock, ManualClock)
    prediction = await start("sandbox/stuck")
    reading = asyncio.ensure_future(read(prediction))
    await prediction.changed.until(lambda: prediction.readers == 1 and len(prediction.output) == 3)
    async with asyncio.timeout(10):
        while not reading.done():
            emulator.clock.advance(1)
            await asyncio.sleep(0)
    assert (await reading).endswith(b"data:  is\n\n" + TIMED_OUT)
    assert prediction.status == "processing"


async def test_a_cut_stream_can_be_resumed(start: Any, read: Read) -> None:
    """The first connection breaks inside a line; with the last id, and from the start, the next ones are whole."""
    prediction = await start("sandbox/cut-midway")
    first = await read(prediction, broken=True)
    assert first.split(b"\n")[-1] == b"data:  "
    seen = _decode(first[: first.rindex(b"\n\n") + 2])
    everything = _decode(await read(prediction))
    assert seen == everything[:3]
    assert _decode(await read(prediction, after=seen[-1][1])) == everything[3:]


async def test_a_silent_close_is_no_end(start: Any, read: Read) -> None:
    """The first connection ends cleanly without `done`, the next one is whole."""
    prediction = await start("sandbox/silent-close")
    first = _decode(await read(prediction))
    everything = _decode(await read(prediction))
    assert first == everything[:3]
    assert everything[-1][0] == "done"


@pytest.mark.parametrize(("model", "end"), [("never-done", b" is\n\n"), ("expired-stream", b" is\n\n" + TIMED_OUT)])
async def test_streams_that_never_finish(emulator: Emulator, start: Any, read: Read, *, model: str, end: bytes) -> None:
    """Every connection ends early, after an id without any event, yet the prediction succeeds."""
    prediction = await start(f"sandbox/{model}")
    for _ in range(2):
        body = await read(prediction)
        assert body.endswith(end)
    assert _decode(await read(prediction, after=_decode(body)[-1][1])) == []
    assert (await emulator.finished(prediction.id)).status == "succeeded"


async def test_a_lingering_stream_stays_open(emulator: Emulator, start: Any) -> None:
    """After `done` the connection stays open until the silence was too long."""
    assert isinstance(emulator.clock, ManualClock)
    prediction = await start("sandbox/lingering")
    url = f"{emulator.base_url}/streams/{prediction.stream_path}"
    async with aiohttp.ClientSession() as bare, bare.get(url) as response:
        await response.content.readuntil(b"data: {}\n\n")
        rest = asyncio.ensure_future(response.content.read())
        assert prediction.readers == 1
        async with asyncio.timeout(10):
            while not rest.done():
                emulator.clock.advance(1)
                await asyncio.sleep(0)
        assert await rest == TIMED_OUT


async def test_a_foreign_stream_is_on_another_origin(emulator: Emulator, start: Any, read: Read) -> None:
    """The stream of this model is at another host name, and works there; the sandbox saw no token."""
    prediction = await start("sandbox/foreign-stream")
    assert _decode(await read(prediction))[-1][0] == "done"
    received = emulator.requests[-1]
    assert received.headers["Host"].startswith("localhost:")
    assert "Authorization" not in received.headers


@pytest.mark.parametrize(
    ("model", "ends"),
    [
        ("stream-error", [("error", '{"detail": "Something went wrong (E1000)"}'), ("done", '{"reason": "error"}')]),
        ("plain-error", [("error", "Something went wrong (E1000)"), ("done", '{"reason": "error"}')]),
        ("failed", [("error", '{"detail": "The model ran out of memory (E1001)"}'), ("done", '{"reason": "error"}')]),
        ("canceled-by-upstream", [("output", " is"), ("done", '{"reason": "canceled"}')]),
        ("aborted", [("done", '{"reason": "canceled"}')]),
        ("empty", [("done", "{}")]),
    ],
)
async def test_how_streams_end(start: Any, read: Read, model: str, *, ends: list[tuple[str, str]]) -> None:
    """A failure is an error event and a reason, a cancellation a reason, an empty success just `done`."""
    events = [(kind, data) for kind, _, data in _decode(await read(await start(f"sandbox/{model}")))]
    assert events[-2:] == ends


async def test_unicode_arrives_whole(start: Any, read: Read) -> None:
    """Pieces with every kind of line separator but a newline stay on one line, those with newlines are restored."""
    prediction = await start("sandbox/unicode")
    events = _decode(await read(prediction))
    assert [data for _, _, data in events[:-1]] == prediction.output
    assert any("\u2028" in piece for piece in prediction.output)
    assert any("\r" in piece for piece in prediction.output)


async def test_files_stream_as_urls(start: Any, read: Read) -> None:
    """An image model streams the URLs of its pictures, from a path of its own."""
    prediction = await start("black-forest-labs/flux-schnell")
    assert [data for _, _, data in _decode(await read(prediction))] == [*prediction.output, "{}"]
    assert prediction.output[0].endswith("/out-0.png")
