"""What is known without the service."""

import pytest

from core_allenai import AllenAI
from core_allenai._bundled import ALIASES, BUNDLED, DEFAULT, SUGGESTED
from core_chat import Registry

DESCRIBED = ("tulu3-405b", "OLMo-2-1124-13B-Instruct", "tulu-3-1-8b", "Llama-3-1-Tulu-3-70B", "olmoe-0125")
DESCRIBED_ALIASES = {
    "tulu-3-405b": "tulu3-405b",
    "olmo-2-13b": "OLMo-2-1124-13B-Instruct",
    "tulu-3-70b": "Llama-3-1-Tulu-3-70B",
    "llama-3.1-70b": "Llama-3-1-Tulu-3-70B",
    "llama-3.1-405b": "tulu3-405b",
    "llama-3.1-8b": "tulu-3-1-8b",
    "olmo-1-7b": "olmoe-0125",
    "olmo-2-32b": "olmo-2-0325-32b-instruct",
}


@pytest.mark.parametrize("name", [*DESCRIBED, *SUGGESTED])
def test_ids_are_known_offline(name: str) -> None:
    """Those of 2026 and those of 2025, which a server of one's own may still have."""
    model = AllenAI().resolve_model(name)
    assert (model.name, model.known, model.source) == (name, True, "bundled")


@pytest.mark.parametrize(("alias", "name"), DESCRIBED_ALIASES.items())
def test_aliases_lead_to_ids(alias: str, name: str) -> None:
    """Every described one."""
    assert AllenAI().resolve_model(alias).name == name


def test_no_alias_hides_an_id() -> None:
    """And each leads to an id that is known."""
    assert not set(ALIASES) & set(BUNDLED)
    assert set(ALIASES.values()) <= set(BUNDLED)


async def test_nothing_after_the_colon_is_the_default() -> None:
    """It says that it is one."""
    async with Registry(only=["allenai"]) as registry:
        model = registry.resolve("allenai:")
        assert (model.name, model.is_default, model.known) == (DEFAULT, True, True)
        assert registry.resolve("tulu-3-405b").full_name == "allenai:tulu3-405b"
        assert not registry.resolve("allenai:some/new-model").known


async def test_about_tells_the_terms() -> None:
    """No key is needed, but using the service means agreeing to its terms."""
    async with Registry(only=["allenai"]) as registry:
        about = registry.load("allenai").about
    assert about is not None
    assert not about.needs_key
    assert about.default_model == DEFAULT
    for word in ("Terms of Use", "Responsible Use", "Privacy Policy", "24 hours", "reCAPTCHA"):
        assert word in (about.terms or "")
