"""The files the chat command reads and writes: pictures in and out, and the saved conversation."""

import base64
import binascii
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from core_chat.errors import InvalidRequestError, ProtocolError, ProviderError, UnavailableError
from core_chat.events import Media
from core_chat.messages import Image
from core_chat.reply import Conversation

if TYPE_CHECKING:
    from core_chat.http import Client

MAX_DOWNLOAD = 64 * 1024 * 1024
"""Bytes a picture may have that is downloaded."""


def write_atomically(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a file so that it is there whole or not at all; one that exists keeps its permissions, a link its place.

    What is no regular file, such as a device, is written to directly.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    path = path.resolve()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
        if path.exists():
            draft.chmod(path.stat().st_mode & 0o777)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def _read(path: Path, parameter: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"cannot read {path}: {error.strerror}", parameter=parameter) from error


def load_conversation(path: Path) -> Conversation | None:
    """Return a saved conversation, or None where the file does not exist yet or is empty.

    Raises:
        InvalidRequestError: It cannot be read or holds something else.
    """
    if not path.exists():
        return None
    saved = _read(path, "conversation")
    try:
        return Conversation.from_json(saved) if saved else None
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{path}: {error}", parameter="conversation") from error


def save_conversation(path: Path, conversation: Conversation) -> None:
    """Save a conversation; only its owner may read a new file."""
    write_atomically(path, conversation.to_json().encode("utf-8", "surrogatepass"), mode=0o600)


def read_image(source: str) -> Image:
    """Return the picture at an http(s) URL, in a data URI or in a file.

    Raises:
        InvalidRequestError: It cannot be read or is no picture.
    """
    if source.startswith(("http://", "https://", "data:")):
        return Image(source)
    content = _read(Path(source), "messages")
    try:
        return Image(content)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{source}: {error}", parameter="messages") from error


def picture_paths(path: Path, count: int) -> list[Path]:
    """Return where pictures go: one to the path itself, several to `name-1.png`, `name-2.png` and so on."""
    if count == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, count + 1)]


async def save_pictures(
    media: Sequence[Media], path: Path, *, say: Callable[[str], None], proxy: str | None = None
) -> None:
    """Write every picture of an answer to its file and say so; one that fails does not keep the others from it.

    Raises:
        ProviderError: One could not be downloaded; the text says where it is.
    """
    failed: list[ProviderError] = []
    for item, target in zip(media, picture_paths(path, len(media)), strict=True):
        try:
            data = item.data if item.data is not None else await fetch(item.url or "", proxy=proxy)
        except ProviderError as error:
            failed.append(error)
            continue
        write_atomically(target, data)
        say(f"wrote {target} ({item.media_type or 'unknown type'}, {len(data)} bytes)")
    if failed:
        raise failed[0]


async def fetch(url: str, *, proxy: str | None = None) -> bytes:
    """Return what is at a URL or in a data URI, of at most `MAX_DOWNLOAD` bytes; no credential is sent.

    Raises:
        ProviderError: It could not be had.
    """
    if url.startswith("data:"):
        return _read_data_uri(url)
    if not url.startswith(("http://", "https://")):
        raise ProtocolError("the picture's link is no http(s) URL", got="an unusable link")
    from yarl import URL

    from core_chat.http import Client
    from core_chat.http.session import open_session

    async with open_session(proxy) as session:
        return await _download(Client(session=session, base_url=str(URL(url).origin())), url)


async def _download(client: "Client", url: str) -> bytes:
    try:
        async with client.send("GET", url) as response:
            return await client.body(response, limit=MAX_DOWNLOAD)
    except ProviderError as error:
        raise UnavailableError(f"the picture at {url} could not be downloaded: {error}") from error


def _read_data_uri(uri: str) -> bytes:
    head, _, payload = uri.partition(",")
    try:
        return base64.b64decode(payload) if head.endswith(";base64") else unquote_to_bytes(payload)
    except binascii.Error as error:
        raise ProtocolError("the picture's data URI holds broken base64", got="broken base64") from error
