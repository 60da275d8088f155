"""What is known of the Playground's models without asking it, as of 2026-11; the live list replaces all of it."""

from core_chat.models import ModelInfo

DEFAULT = "Olmo-3.1-32B-Instruct"

_CURRENT: dict[str, tuple[str, frozenset[str]]] = {
    "Olmo-3.1-32B-Instruct": ("Olmo 3.1 32B Instruct", frozenset({"tools"})),
    "Olmo-3.1-32B-Think": ("Olmo 3.1 32B Think", frozenset({"reasoning"})),
    "Olmo-3-7B-Instruct": ("Olmo 3 7B Instruct", frozenset()),
    "cs-Llama-3.1-Tulu-3.1-8B": ("Tülu 3.1 8B", frozenset()),
    "cs-Llama-3.1-Tulu-3-70B": ("Tülu 3 70B", frozenset()),
    "molmo2-8b": ("Molmo 2 8B", frozenset({"images"})),
    "molmo2-8b-track": ("Molmo 2 8B Track", frozenset({"images"})),
    "molmo2-4b": ("Molmo 2 4B", frozenset({"images"})),
    "molmo2-4b-track": ("Molmo 2 4B Track", frozenset({"images"})),
}
"""Ids seen in the service's own clients in 2026."""

_FORMER: dict[str, str] = {
    "tulu3-405b": "Tülu 3 405B (served until 2025)",
    "OLMo-2-1124-13B-Instruct": "OLMo 2 13B Instruct (served until 2025)",
    "olmo-2-0325-32b-instruct": "OLMo 2 32B Instruct (served until 2025)",
    "tulu-3-1-8b": "Tülu 3.1 8B (served until 2025)",
    "Llama-3-1-Tulu-3-70B": "Tülu 3 70B (served until 2025)",
    "olmoe-0125": "OLMoE 0125 (served until 2025)",
}
"""Ids of 2025; a server of one's own may still have them."""

ALIASES: dict[str, str] = {
    "tulu-3-405b": "tulu3-405b",
    "llama-3.1-405b": "tulu3-405b",
    "olmo-2-13b": "OLMo-2-1124-13B-Instruct",
    "olmo-2-32b": "olmo-2-0325-32b-instruct",
    "tulu-3-70b": "Llama-3-1-Tulu-3-70B",
    "llama-3.1-70b": "Llama-3-1-Tulu-3-70B",
    "llama-3.1-8b": "tulu-3-1-8b",
    "olmo-1-7b": "olmoe-0125",
}
"""Short names; a real id of the same spelling comes first."""

SUGGESTED: tuple[str, ...] = tuple(_CURRENT)


def _info(name: str, *, title: str, features: frozenset[str] | None) -> ModelInfo:
    return ModelInfo(name, title=title, features=features, tasks={"chat"}, is_default=name == DEFAULT, source="bundled")


BUNDLED: dict[str, ModelInfo] = {
    **{name: _info(name, title=title, features=features) for name, (title, features) in _CURRENT.items()},
    **{name: _info(name, title=title, features=None) for name, title in _FORMER.items()},
}
