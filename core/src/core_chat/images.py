"""Pictures for a model to look at: read and checked where they are given."""

import base64
import binascii
import re
from typing import Protocol, TypeAlias, runtime_checkable
from urllib.parse import urlsplit

from attrs import field, frozen

from core_chat.errors import InvalidRequestError


@runtime_checkable
class Readable(Protocol):
    """A binary file object that the caller opened."""

    def read(self) -> bytes:
        """Return the rest of the file."""
        ...


ImageSource: TypeAlias = str | bytes | bytearray | memoryview | Readable


_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")


@frozen(init=False)
class Image:
    """A picture for the model to look at.

    Args:
        source: A URL, a data URI, the bytes, or a binary file object that the caller opened (it is read here).
        url: The same, by name, for a URL or data URI.
        data: The same, by name, for bytes.
        media_type: Such as `image/png`; found from the bytes where it is None.

    Raises:
        InvalidRequestError: It is none of these, or the bytes are no picture (PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF,
            HEIC).
    """

    url: str | None
    data: bytes | None = field(repr=lambda value: "None" if value is None else f"<{len(value)} bytes>")
    media_type: str | None

    def __init__(
        self,
        source: ImageSource | None = None,
        *,
        url: str | None = None,
        data: ImageSource | None = None,
        media_type: str | None = None,
    ) -> None:
        given = [value for value in (source, url, data) if value is not None]
        if len(given) != 1:
            raise _bad_image("takes exactly one of a URL, a data URI, bytes or an open file")
        _check_media_type(media_type)
        link, content, kind = _read_image(given[0])
        self.__attrs_init__(url=link, data=content, media_type=media_type or kind)

    def as_url(self) -> str:
        """Return the URL, or the bytes as a data URI."""
        if self.data is None:
            return self.url or ""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"


def _check_media_type(value: object) -> None:
    if value is not None and not (isinstance(value, str) and _MEDIA_TYPE.fullmatch(value)):
        raise _bad_image(f"media_type looks like image/png, not {value!r}")


def _bad_image(why: str) -> InvalidRequestError:
    return InvalidRequestError(f"an image {why}", parameter="messages")


def _read_image(source: ImageSource) -> tuple[str | None, bytes | None, str | None]:
    if isinstance(source, str):
        if source.startswith("data:"):
            return None, *_read_data_uri(source)
        if _is_link(source):
            return source, None, None
        raise _bad_image(f"is an http(s) URL, a data URI, bytes or an open file; this text is none: {source[:60]!r}")
    raw = _read_file(source) if isinstance(source, Readable) else source
    if isinstance(raw, str):
        raise _bad_image("file must be opened in binary mode ('rb')")
    if not isinstance(raw, bytes | bytearray | memoryview):
        raise _bad_image(f"is a URL, a data URI, bytes or an open file, not {type(raw).__name__}")
    content = bytes(raw)
    return None, content, sniff_image(content)


def _is_link(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable() and " " not in text
    except ValueError:
        return False


def _read_file(file: Readable) -> object:
    try:
        return file.read()
    except (OSError, ValueError) as error:
        raise _bad_image(f"file cannot be read: {error}") from error


def _read_data_uri(uri: str) -> tuple[bytes, str]:
    head, comma, payload = uri.partition(",")
    if not comma or not head.endswith(";base64"):
        raise _bad_image("data URI must look like data:image/png;base64,…")
    try:
        content = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_image("data URI holds broken base64") from error
    return content, sniff_image(content)


_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (6, b"\0\0\0\0", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
)


# Formats that two places tell from text that begins alike.
_START = {"image/webp": b"RIFF", "image/bmp": b"BM"}


def sniff_image(content: bytes) -> str:
    """Return the media type of a picture's bytes, by their first bytes (WHATWG MIME Sniffing, section 6.1).

    Raises:
        InvalidRequestError: The bytes are no picture of a kind known here.
    """
    for offset, magic, media_type in _MAGIC:
        if content.startswith(magic, offset) and content.startswith(_START.get(media_type, b"")):
            return media_type
    raise _bad_image(
        f"was expected, but these {len(content)} bytes are no PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF or HEIC"
    )
