"""Pictures as files: from everywhere they come, checked before they go."""

import base64
import io
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from attrs import evolve

from core_allenai._entries import Entry
from core_allenai._files import check_images, load_files
from core_chat import ChatRequest, Image, InvalidRequestError, Message, ModelInfo
from core_chat.testing import Response, Upstream, faults

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
GIF = b"GIF89a" + b"\0" * 20
MOLMO = Entry(id="molmo", accepts_files=True, file_types=("image/*",), max_files=2, max_bytes=150)
OLMO = Entry(id="olmo")


def check(entry: Entry, *, count: int, new: int, is_new_thread: bool = True) -> int:
    """How many of these pictures may go."""
    return len(check_images(entry, [Image(PNG)] * count, new=new, is_new_thread=is_new_thread, others=("molmo",)))


@pytest.mark.parametrize(
    ("entry", "asked", "told"),
    [
        (OLMO, {"count": 1, "new": 1}, "olmo takes no pictures; these do: molmo"),
        (MOLMO, {"count": 3, "new": 3}, "takes 2 pictures with a message, not 3"),
        (MOLMO, {"count": 1, "new": 1, "is_new_thread": False}, "with the first message of a conversation only"),
        (evolve(MOLMO, require_file="first_message"), {"count": 0, "new": 0}, "needs a picture with first message"),
        (
            evolve(MOLMO, require_file="all_messages"),
            {"count": 0, "new": 0, "is_new_thread": False},
            "needs a picture with all messages",
        ),
    ],
)
def test_pictures_that_a_model_does_not_take_are_refused(entry: Entry, asked: dict[str, Any], told: str) -> None:
    """With the reason."""
    with pytest.raises(InvalidRequestError, match=told) as caught:
        check(entry, **asked)
    assert caught.value.parameter == "messages"


@pytest.mark.parametrize(
    ("entry", "asked", "kept"),
    [
        (MOLMO, {"count": 2, "new": 2}, 2),
        (MOLMO, {"count": 5, "new": 1}, 2),
        (OLMO, {"count": 5, "new": 0}, 0),
        (evolve(MOLMO, max_files=None), {"count": 5, "new": 1}, 5),
        (evolve(MOLMO, files_in_followups=True), {"count": 1, "new": 1, "is_new_thread": False}, 1),
        (evolve(MOLMO, require_file="first_message"), {"count": 0, "new": 0, "is_new_thread": False}, 0),
    ],
)
def test_pictures_of_earlier_turns_may_be_left_behind(entry: Entry, asked: dict[str, Any], kept: int) -> None:
    """The newest are kept, as many as the model takes."""
    assert check(entry, **asked) == kept


async def loaded(images: list[Image], *, entry: Entry | None = MOLMO) -> list[tuple[str, str, bytes]]:
    """The files of some pictures."""
    request = ChatRequest(model=ModelInfo("molmo"), messages=(Message("user", "Hi"),))
    async with aiohttp.ClientSession() as session:
        files = await load_files(images, entry=entry, session=session, request=request, base_url="http://127.0.0.1:9")
    return [(file.name, file.media_type, file.data) for file in files]


SOURCES: list[Callable[[], Image]] = [
    lambda: Image(PNG),
    lambda: Image(bytearray(PNG)),
    lambda: Image("data:image/png;base64," + base64.b64encode(PNG).decode()),
    lambda: Image(io.BytesIO(PNG)),
]


@pytest.mark.parametrize("source", SOURCES)
async def test_bytes_from_anywhere_are_a_file(source: Callable[[], Image]) -> None:
    """Bytes, a data URI, an open file."""
    assert await loaded([source()]) == [("image-0.png", "image/png", PNG)]


async def test_links_are_fetched_without_any_key() -> None:
    """And the type is that of the bytes, whatever the server says."""
    async with Upstream(faults.typed(Response(GIF), "text/plain")) as upstream:
        files = await loaded([Image(PNG), Image(f"{upstream.url}/cat?sig=canary")])
    assert files[1] == ("image-1.gif", "image/gif", GIF)
    assert "authorization" not in upstream.requests[0].headers


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (Response(b"no", status=404), "cannot be fetched"),
        (Response(PNG * 10), "cannot be fetched: the answer is longer than 150 bytes"),
        (faults.html(), "no PNG"),
        (faults.no_answer(), "cannot be fetched"),
        (faults.cut(Response(PNG), at=20), "cannot be fetched"),
    ],
)
async def test_links_that_give_no_picture_are_refused(response: Response, told: str) -> None:
    """Before anything is sent, and without the link, which may hold a signature."""
    async with Upstream(routes={"*": response}) as upstream:
        with pytest.raises(InvalidRequestError, match=told) as caught:
            await loaded([Image(f"{upstream.url}/cat?sig=canary")])
    assert "canary" not in str(caught.value)


async def test_limits_of_size_and_type_are_those_of_the_entry() -> None:
    """Of all pictures together; without an entry, of the service's ingress."""
    with pytest.raises(InvalidRequestError, match="together are larger than 150 bytes"):
        await loaded([Image(PNG), Image(PNG + bytes(80))])
    with pytest.raises(InvalidRequestError, match="molmo takes image/png, not image/gif"):
        await loaded([Image(GIF)], entry=evolve(MOLMO, file_types=("image/png",)))
    assert len(await loaded([Image(PNG), Image(GIF), Image(PNG + bytes(80))], entry=None)) == 3
