"""Images: read and checked where they are given."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest

from core_chat import Image, InvalidRequestError
from core_chat.messages import sniff_image

PICTURES = {
    "image/png": b"\x89PNG\r\n\x1a\n....",
    "image/jpeg": b"\xff\xd8\xff\xe0....",
    "image/gif": b"GIF89a....",
    "image/webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "image/bmp": b"BM\x40\0\0\0\0\0\0\0\x36\0\0\0",
    "image/tiff": b"II*\x00....",
    "image/avif": b"\0\0\0\x20ftypavif....",
    "image/heic": b"\0\0\0\x20ftypheic....",
}
PNG = PICTURES["image/png"]


@pytest.mark.parametrize(("media_type", "content"), PICTURES.items())
def test_a_picture_is_known_by_its_bytes(media_type: str, content: bytes) -> None:
    """The media type comes from the bytes, whatever form they are given in."""
    assert sniff_image(content) == media_type
    for source in (content, bytearray(content), memoryview(content), io.BytesIO(content)):
        image = Image(source)
        assert (image.data, image.media_type, image.url) == (content, media_type, None)


def test_a_file_the_caller_opened_is_read(tmp_path: Path) -> None:
    """A binary file is read where the image is made, from where it stands."""
    path = tmp_path / "a.png"
    path.write_bytes(b"??" + PNG)
    with path.open("rb") as file:
        file.seek(2)
        assert Image(file).data == PNG


def test_a_data_uri_is_its_bytes() -> None:
    """A data URI is decoded; what the bytes are counts, not what it says they are."""
    uri = "data:image/jpeg;base64," + base64.b64encode(PNG).decode()
    image = Image(uri)
    assert (image.data, image.media_type) == (PNG, "image/png")
    assert image.as_url() == "data:image/png;base64," + base64.b64encode(PNG).decode()


def test_a_link_stays_one() -> None:
    """A URL is not fetched: it is passed on as it is."""
    image = Image("https://example.org/a.png?x=1")
    assert (image.url, image.data, image.as_url()) == ("https://example.org/a.png?x=1", None, image.url)
    assert Image(url="https://example.org/a", media_type="image/png").media_type == "image/png"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (b"", "these 0 bytes are no PNG, JPEG"),
        (b"hello", "these 5 bytes are no PNG, JPEG"),
        (b"BMW is no bitmap", "are no PNG, JPEG"),
        (b"....____WEBPVP8 ", "are no PNG, JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "are no PNG, JPEG"),
        ("hello", "this text is none: 'hello'"),
        ("", "this text is none: ''"),
        ("/etc/passwd", "this text is none: '/etc/passwd'"),
        ("file:///etc/passwd", "this text is none"),
        ("ftp://example.org/a.png", "this text is none"),
        ("https://", "this text is none"),
        ("https://exa mple.org/a.png", "this text is none"),
        ("https://example.org/a.png\n", "this text is none"),
        ("https://[bad/a.png", "this text is none"),
        ("data:image/png;base64", "data URI must look like data:image/png;base64,…"),
        ("data:image/png,abc", "data URI must look like"),
        ("data:image/png;base64,!!!!", "data URI holds broken base64"),
        ("data:image/png;base64,aGk", "data URI holds broken base64"),
        ("data:image/png;base64,aGk=", "these 2 bytes are no PNG"),
        ("data:image/png;base64,ä", "data URI holds broken base64"),
        (5, "not int"),
        ({"url": "https://example.org"}, "not dict"),
        (Path("a.png"), "not PosixPath"),
    ],
)
def test_what_is_no_image_is_refused(source: Any, told: str) -> None:
    """Anything else is an error that says what it looked like; nothing is read from a path."""
    with pytest.raises(InvalidRequestError) as caught:
        Image(source)
    assert told in str(caught.value)
    assert caught.value.parameter == "messages"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Text files and closed files are told apart from broken pictures."""
    path = tmp_path / "a.txt"
    path.write_text("text")
    opened: Any = path.open(encoding="utf-8")
    with opened, pytest.raises(InvalidRequestError, match=r"must be opened in binary mode \('rb'\)"):
        Image(opened)
    with path.open("rb") as closed:
        pass
    with pytest.raises(InvalidRequestError, match="file cannot be read"):
        Image(closed)


@pytest.mark.parametrize("arguments", [{}, {"url": "https://a.b/c", "data": PNG}, {"source": PNG, "data": PNG}])
def test_exactly_one_source_is_taken(arguments: dict[str, Any]) -> None:
    """None and two are both mistakes."""
    with pytest.raises(InvalidRequestError, match="takes exactly one of"):
        Image(**arguments)


@pytest.mark.parametrize("media_type", ["png", "image/png\r\nX: y", "", 5])
def test_a_media_type_has_to_be_one(media_type: Any) -> None:
    """It ends up in a data URI and in headers."""
    with pytest.raises(InvalidRequestError, match="media_type looks like image/png"):
        Image(PNG, media_type=media_type)


def test_its_repr_shows_no_bytes() -> None:
    """A large picture does not fill a log."""
    assert repr(Image(PNG)) == "Image(url=None, data=<12 bytes>, media_type='image/png')"
