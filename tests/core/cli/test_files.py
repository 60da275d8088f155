"""Files of the chat command: written whole or not at all, downloads bounded and without credentials."""

import stat
from pathlib import Path

import pytest

from core_chat import Media, ProtocolError, ProviderError, UnavailableError
from core_chat.cli import files
from core_chat.testing import Response, Upstream

_PNG = b"\x89PNG\r\n\x1a\n-a-picture"


def test_a_file_keeps_its_permissions_and_a_link_its_place(tmp_path: Path) -> None:
    """Replacing a file through a link changes the file, not the link."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o604)
    link.symlink_to(real)
    files.write_atomically(link, b"new", mode=0o600)
    assert (real.read_bytes(), link.is_symlink(), stat.S_IMODE(real.stat().st_mode)) == (b"new", True, 0o604)


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file stays, and the draft goes."""
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def refuse(_self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        files.write_atomically(target, b"new")
    assert (target.read_bytes(), list(tmp_path.iterdir())) == (b"old", [target])


def test_a_device_is_written_to_directly() -> None:
    """What is no regular file is not replaced."""
    files.write_atomically(Path("/dev/null"), b"gone")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("uri", "data"), [("data:image/png;base64,aGk=", b"hi"), ("data:image/svg+xml,%3Csvg/%3E", b"<svg/>")]
)
async def test_a_data_uri_is_read(uri: str, data: bytes) -> None:
    """Base64 and percent encoding are both known."""
    assert await files.fetch(uri) == data


@pytest.mark.parametrize("uri", ["data:image/png;base64,a", "file:///etc/passwd", ""])
async def test_other_links_are_refused(uri: str) -> None:
    """Only http(s) URLs and whole data URIs are pictures."""
    with pytest.raises(ProtocolError):
        await files.fetch(uri)


async def test_a_picture_is_downloaded_without_credentials(tmp_path: Path) -> None:
    """The link is fetched as it is, through redirects, with no Authorization."""
    said: list[str] = []
    moved = Response(status=302, headers={"Location": "/real.png"})
    async with Upstream(moved, Response(_PNG)) as upstream:
        media = [Media(url=f"{upstream.url}/cat.png?signature=s", media_type="image/png")]
        await files.save_pictures(media, tmp_path / "cat.png", say=said.append)
    assert (tmp_path / "cat.png").read_bytes() == _PNG
    assert [request.path for request in upstream.requests] == ["/cat.png", "/real.png"]
    assert upstream.requests[0].query == {"signature": "s"}
    assert not any("authorization" in request.headers for request in upstream.requests)
    assert said == [f"wrote {tmp_path / 'cat.png'} (image/png, {len(_PNG)} bytes)"]


async def test_a_download_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A longer body is an error, not memory."""
    monkeypatch.setattr(files, "MAX_DOWNLOAD", 10)
    async with Upstream(Response(b"x" * 11)) as upstream:
        with pytest.raises(UnavailableError, match="longer than 10 bytes"):
            await files.fetch(f"{upstream.url}/big")


async def test_one_picture_that_fails_does_not_keep_the_others(tmp_path: Path) -> None:
    """The others are written first; the error says where the missing one is."""
    said: list[str] = []
    async with Upstream(Response("gone", status=404)) as upstream:
        link = f"{upstream.url}/cat.png"
        with pytest.raises(ProviderError, match=link):
            await files.save_pictures([Media(url=link), Media(data=_PNG)], tmp_path / "cat.png", say=said.append)
    assert said == [f"wrote {tmp_path / 'cat-2.png'} (unknown type, {len(_PNG)} bytes)"]
