"""What is particular about the router: its list of models, and what its errors mean."""

import re
from collections.abc import Mapping
from typing import Any

from core_chat import ModelInfo, ModelNotFoundError, PaymentRequiredError, PermissionDeniedError, Price, ProviderError
from core_chat.http import Failure
from core_chat.openai import model_info

BACKEND_HEADER = "x-inference-provider"
BILL_TO_HEADER = "X-HF-Bill-To"
SETTINGS = "https://huggingface.co/settings/inference-providers"
POLICIES = frozenset({"cheapest", "fastest", "preferred"})
"""Suffixes that leave the choice to the router; every other suffix names a provider."""
TOKENS = "https://huggingface.co/settings/tokens"

_ACCOUNT_EMPTY = re.compile(r"monthly included (credits|usage)|pre-?paid credits", re.IGNORECASE)
_NOT_SERVED = re.compile(r"not supported by (any )?provider", re.IGNORECASE)
_SCOPE = re.compile(r"sufficient permissions|authentication method", re.IGNORECASE)
_GATED = re.compile(r"gated|model owner gives you access|cannot access this (model|repo)", re.IGNORECASE)


def account_is_empty(error: ProviderError) -> bool:
    """Whether a 402 is about the account, which every provider would answer, and not about one provider's balance."""
    return isinstance(error, PaymentRequiredError) and bool(_ACCOUNT_EMPTY.search(error.text))


def refine(failure: Failure) -> ProviderError | None:
    """Return what the router means where the status alone does not tell."""
    if failure.status == 400 and (failure.code == "model_not_supported" or _NOT_SERVED.search(failure.text)):  # noqa: PLR2004 - RFC 9110
        return failure.error(ModelNotFoundError, f"{failure.text} See {SETTINGS}")
    if failure.status == 403:  # noqa: PLR2004 - RFC 9110
        if _SCOPE.search(failure.text):
            text = f"{failure.text} Give the token the permission to call Inference Providers: {TOKENS}"
            return failure.error(PermissionDeniedError, text, reason="scope")
        if _GATED.search(failure.text):
            return failure.error(PermissionDeniedError, reason="gated")
    return None


def router_model(entry: Mapping[str, Any]) -> ModelInfo | None:
    """Return one model of the router's list, or None where no provider serves it now.

    The router picks the provider, so the context is the smallest of theirs and a feature counts when one has it; the
    price is that of the cheapest, which `:cheapest` asks for.
    """
    listed = entry.get("providers")
    if not isinstance(listed, list):
        return model_info(entry)
    live = [item for item in listed if isinstance(item, Mapping) and item.get("status", "live") == "live"]
    if not live:
        return None
    contexts = [size for item in live if isinstance(size := item.get("context_length"), int)]
    return ModelInfo(
        entry["id"],
        context=min(contexts, default=None),
        features=_features(entry, live),
        tasks={"chat"},
        price=_price(live),
        backends=tuple(str(item["provider"]) for item in live if item.get("provider")),
        source="live",
    )


def _features(entry: Mapping[str, Any], live: list[Mapping[str, Any]]) -> set[str]:
    architecture = entry.get("architecture")
    modalities = architecture.get("input_modalities") if isinstance(architecture, Mapping) else None
    features = {"images"} if isinstance(modalities, list) and "image" in modalities else set()
    if any(item.get("supports_tools") for item in live):
        features.add("tools")
    if any(item.get("supports_structured_output") for item in live):
        features.add("structured_output")
    return features


def _price(live: list[Mapping[str, Any]]) -> Price | None:
    prices = [Price(0.0, 0.0) for item in live if item.get("is_free")]
    for item in live:
        pricing = item.get("pricing")
        if isinstance(pricing, Mapping) and all(_is_number(pricing.get(side)) for side in ("input", "output")):
            prices.append(Price(float(pricing["input"]), float(pricing["output"])))
    return min(prices, key=lambda price: (price.output or 0.0, price.input or 0.0), default=None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
