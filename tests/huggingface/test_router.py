"""What is particular about the router: its models, and what its errors mean."""

import json
from pathlib import Path
from typing import Any

import pytest

from core_chat import ModelNotFoundError, PaymentRequiredError, PermissionDeniedError, Price
from core_chat.http import Failure
from core_huggingface._router import account_is_empty, refine, router_model

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "huggingface"
SAMPLE = RECORDED / "doc_router_v1_models_sample.json"


def model(*providers: Any, **more: Any) -> dict[str, Any]:
    """One entry of the router's list."""
    return {"id": "org/m", "object": "model", "providers": list(providers), **more}


def test_a_model_is_what_its_live_providers_offer() -> None:
    """The smallest context, any feature, the lowest price; the broken ones do not count."""
    found = router_model(
        model(
            {"provider": "a", "status": "live", "context_length": 8192, "pricing": {"input": 1, "output": 2.5}},
            {"provider": "b", "status": "error", "context_length": 10, "supports_tools": True},
            {"provider": "c", "context_length": 4096, "pricing": {"input": 0.5, "output": 3}, "supports_tools": True},
            {"provider": "d", "status": "live", "supports_structured_output": True, "pricing": {"input": "?"}},
            architecture={"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        )
    )
    assert found is not None
    assert (found.name, found.context, found.price) == ("org/m", 4096, Price(1.0, 2.5))
    assert found.backends == ("a", "c", "d")
    assert found.features == frozenset({"images", "tools", "structured_output"})
    assert found.tasks == frozenset({"chat"})
    assert found.source == "live"


def test_what_is_free_costs_nothing() -> None:
    """A provider may say so instead of a price."""
    found = router_model(
        model({"provider": "a", "is_free": True}, {"provider": "b", "pricing": {"input": 1, "output": 1}})
    )
    assert found is not None
    assert found.price == Price(0.0, 0.0)


def test_what_nobody_serves_now_is_left_out() -> None:
    """A model without live providers cannot be used."""
    assert router_model(model({"provider": "a", "status": "error"})) is None
    assert router_model(model()) is None


def test_a_list_without_providers_is_that_of_another_server() -> None:
    """Its entries are read as any such server's."""
    found = router_model({"id": "tiny", "max_model_len": 512})
    assert found is not None
    assert (found.context, found.backends) == (512, None)


@pytest.mark.skipif(not SAMPLE.exists(), reason="the recorded bodies are not there")
def test_the_documented_sample_is_read() -> None:
    """Entries with and without prices, contexts and features."""
    found = router_model(json.loads(SAMPLE.read_text())["data"][0])
    assert found is not None
    assert found.backends == ("novita", "together", "fireworks-ai", "featherless-ai", "deepinfra")
    assert (found.context, found.price) == (65536, Price(1.69, 3.38))
    assert found.features == frozenset({"tools", "structured_output"})


def failure(status: int, body: Any) -> Failure:
    """An answer of the router with an error status."""
    return Failure(status, body=json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "The requested model 'm' is not …", "code": "model_not_supported", "param": "model"}},
        {"error": {"message": "The requested model 'm' is not supported by any provider you have enabled."}},
        {"error": "Model not supported by provider hf-inference"},
    ],
)
def test_a_model_that_is_not_enabled_is_not_found(body: Any) -> None:
    """A 400 in each of its forms; the error says where providers are enabled."""
    found = refine(failure(400, body))
    assert isinstance(found, ModelNotFoundError)
    assert "settings/inference-providers" in found.text
    assert found.status == 400


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("This authentication method does not have sufficient permissions to call Inference Providers …", "scope"),
        ("You cannot access this model unless the model owner gives you access.", "gated"),
    ],
)
def test_what_a_key_may_not_do_has_a_reason(text: str, reason: str) -> None:
    """The token's own permission, or a model its owner guards; others keep the default."""
    found = refine(failure(403, {"error": text}))
    assert isinstance(found, PermissionDeniedError)
    assert found.reason == reason
    assert refine(failure(403, {"error": "Forbidden"})) is None


def test_other_errors_mean_what_their_status_says() -> None:
    """Nothing is refined that need not be."""
    assert refine(failure(400, {"error": "temperature is too high"})) is None
    assert refine(failure(404, {"error": "not supported by provider"})) is None


@pytest.mark.parametrize(
    ("text", "empty"),
    [
        ("You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO …", True),
        ("You have depleted your monthly included credits. Purchase pre-paid credits to continue …", True),
        ("Pre-paid credits are needed.", True),
        ("NOT_ENOUGH_BALANCE", False),
        ("Insufficient balance at this provider", False),
    ],
)
def test_an_empty_account_is_told_from_an_empty_provider(text: str, empty: bool) -> None:  # noqa: FBT001 - a table
    """The account's credits are the same with all providers."""
    assert account_is_empty(PaymentRequiredError(text, status=402)) is empty
    assert not account_is_empty(PermissionDeniedError(text))
