"""Settings from the environment, read when a plugin is built."""

import pytest

from core_chat import env


@pytest.mark.parametrize(
    ("value", "read"), [(None, None), ("", None), ("  \n", None), ("key", "key"), (" key\n", "key"), ("a b", "a b")]
)
def test_a_variable_is_read_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, value: str | None, read: str | None
) -> None:
    """Space around a value goes, an empty one counts as unset, and it is read at the call."""
    monkeypatch.delenv("CORE_CHAT_TEST", raising=False)
    factory, with_default = env("CORE_CHAT_TEST"), env("CORE_CHAT_TEST", "default")
    if value is not None:
        monkeypatch.setenv("CORE_CHAT_TEST", value)
    assert factory() == read
    assert with_default() == (read or "default")
