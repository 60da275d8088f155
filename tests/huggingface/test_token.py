"""Token discovery, as the ecosystem does it."""

from pathlib import Path

import pytest

from core_huggingface import HuggingFace
from core_huggingface._token import find_token

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home and none of the variables."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(path: Path, token: str) -> Path:
    """Put a token into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(token)
    return path


def test_without_any_there_is_none() -> None:
    """Neither a variable nor a file."""
    assert find_token() is None
    assert HuggingFace().token is None


def test_the_file_that_a_login_writes_is_read(home: Path) -> None:
    """White space around the token is no part of it."""
    write(home / ".cache" / "huggingface" / "token", " hf_file\n")
    assert find_token() == "hf_file"


def test_each_place_goes_before_the_next(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables before files, and the more exact before the more general."""
    write(home / ".cache" / "huggingface" / "token", "hf_home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    write(home / "xdg" / "huggingface" / "token", "hf_xdg")
    assert find_token() == "hf_xdg"
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    write(home / "hf" / "token", "hf_hf_home")
    assert find_token() == "hf_hf_home"
    monkeypatch.setenv("HF_TOKEN_PATH", str(write(home / "elsewhere", "hf_path")))
    assert find_token() == "hf_path"
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "hf_old_variable")
    assert find_token() == "hf_old_variable"
    monkeypatch.setenv("HF_TOKEN", " hf_variable\r\n")
    assert find_token() == "hf_variable"


def test_paths_may_name_the_home_and_variables(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell would read them."""
    write(home / "kept" / "token", "hf_kept")
    for path in ("~/kept", "$HOME/kept"):
        monkeypatch.setenv("HF_HOME", path)
        assert find_token() == "hf_kept"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_file_without_a_token_is_none(home: Path, content: bytes) -> None:
    """Empty ones, and what is no text."""
    path = write(home / ".cache" / "huggingface" / "token", "")
    path.write_bytes(content)
    assert find_token() is None


def test_a_configured_token_goes_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is in no repr."""
    monkeypatch.setenv("HF_TOKEN", "hf_variable")
    provider = HuggingFace(token="hf_mine")
    assert provider.token == "hf_mine"
    assert "hf_mine" not in repr(provider)
