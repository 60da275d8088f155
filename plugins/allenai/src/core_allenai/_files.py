"""Pictures as files: fetched where they are links, and compared with what the model takes before anything is sent."""

from collections.abc import Sequence

from aiohttp import ClientSession
from attrs import field, frozen

from core_allenai._entries import Entry
from core_chat.errors import InvalidRequestError, ProviderError
from core_chat.http import Client, client_for
from core_chat.messages import Image, sniff_image
from core_chat.requests import ChatRequest

INGRESS_LIMIT = 100 * 1024 * 1024
"""Bytes of a request that the service's ingress lets through."""


@frozen(kw_only=True)
class File:
    """One file of the form."""

    name: str
    media_type: str
    data: bytes = field(repr=lambda value: f"<{len(value)} bytes>")


def check_images(
    entry: Entry, images: Sequence[Image], *, new: int, is_new_thread: bool, others: Sequence[str]
) -> tuple[Image, ...]:
    """Return the pictures of a turn that can go to a model, as far as that is known before they are fetched.

    The last `new` of them belong to the new turns; earlier ones, of a transcript, may be left behind.

    Raises:
        InvalidRequestError: The model takes none, not so many, or not now; or it needs one.
    """
    needs_one = entry.require_file == "all_messages" or (entry.require_file == "first_message" and is_new_thread)
    if not images and needs_one:
        raise _refused(f"{entry.id} needs a picture with {entry.require_file.replace('_', ' ')}")
    if new and not entry.takes_images:
        takers = f"; these do: {', '.join(others)}" if others else ""
        raise _refused(f"{entry.id} takes no pictures{takers}")
    if new and not is_new_thread and not entry.files_in_followups:
        raise _refused(f"{entry.id} takes pictures with the first message of a conversation only")
    if entry.max_files is not None and new > entry.max_files:
        raise _refused(f"{entry.id} takes {entry.max_files} pictures with a message, not {new}")
    most = len(images) if entry.max_files is None else entry.max_files
    return tuple(images[-most:]) if most and entry.takes_images else ()


def _refused(text: str) -> InvalidRequestError:
    return InvalidRequestError(text, parameter="messages")


async def load_files(
    images: Sequence[Image], *, entry: Entry | None, session: ClientSession, request: ChatRequest, base_url: str
) -> tuple[File, ...]:
    """Return the pictures as files.

    Raises:
        InvalidRequestError: One cannot be fetched, is no picture, or together they are too large or of a wrong type.
    """
    client = client_for(session, request, base_url=base_url)
    limit = INGRESS_LIMIT if entry is None or entry.max_bytes is None else entry.max_bytes
    files: list[File] = []
    left = limit
    for number, image in enumerate(images):
        data = image.data if image.data is not None else await _fetch(client, image.url or "", limit=left)
        media_type = image.media_type if image.data is not None and image.media_type else sniff_image(data)
        if entry is not None and not entry.accepts(media_type):
            raise _refused(f"{entry.id} takes {', '.join(entry.file_types)}, not {media_type}")
        left -= len(data)
        if left < 0:
            raise _refused(f"the pictures together are larger than {limit} bytes")
        files.append(File(name=f"image-{number}.{media_type.partition('/')[2]}", media_type=media_type, data=data))
    return tuple(files)


async def _fetch(client: Client, url: str, *, limit: int) -> bytes:
    host = client.url(url).host
    try:
        async with client.send("GET", url) as response:
            return await client.body(response, limit=limit)
    except ProviderError as error:
        raise _refused(f"the picture at {host} cannot be fetched: {error.text}") from error
