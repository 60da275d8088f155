"""Aliases and routing suffixes."""

import pytest

from core_huggingface._aliases import ALIASES, BUNDLED, expand, split_suffix


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("org/model", ("org/model", "")),
        ("org/model:novita", ("org/model", "novita")),
        ("org/model:fastest", ("org/model", "fastest")),
        ("org/model:", ("org/model:", "")),
        ("llama-3:novita", ("llama-3", "novita")),
        ("owner/name:v1/x", ("owner/name:v1/x", "")),
    ],
)
def test_a_suffix_is_what_follows_the_last_colon(name: str, parts: tuple[str, str]) -> None:
    """Unless it is empty or holds a slash."""
    assert split_suffix(name) == parts


def test_an_alias_keeps_its_suffix() -> None:
    """Whatever is no alias stays as it is."""
    assert expand("Llama-3") == "meta-llama/Llama-3.3-70B-Instruct"
    assert expand("llama-3:cheapest") == "meta-llama/Llama-3.3-70B-Instruct:cheapest"
    assert expand("org/llama-3") == "org/llama-3"


def test_an_alias_never_hides_an_id() -> None:
    """No alias looks like an id, and all lead to bundled models."""
    assert not any("/" in name for name in ALIASES)
    assert set(ALIASES.values()) <= set(BUNDLED)
    assert len(ALIASES) == 19
