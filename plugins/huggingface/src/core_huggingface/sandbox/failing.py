"""The sandbox's failing models, like a payment service's test cards: which provider fails, and how."""

import json
from collections.abc import Mapping

from attrs import frozen

from core_huggingface.sandbox.catalogue import Model, chat_model
from core_huggingface.sandbox.streams import (
    Behaviour,
    answered,
    broken,
    refused,
    refused_in_words,
    slow,
    unstreamed,
)

FIRST, SECOND, THIRD = "cerebras", "novita", "together"
"""The chat models' providers: the one the router picks, and the others in the order of the mapping."""

DEPLETED = (
    "You have depleted your monthly included credits. Purchase pre-paid credits to continue using Inference Providers. "
    "Alternatively, subscribe to PRO to get 20x more included usage."
)
_SCOPE = (
    "This authentication method does not have sufficient permissions to call Inference Providers on behalf of user "
    "sandbox"
)
_GATED = "You cannot access this model unless the model owner gives you access."
_TOO_LONG = "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 10. Given: 11 `inputs` tokens"
_PAGE = "<!doctype html><html><head><title>Sandbox: not JSON</title></head><body>canned</body></html>"
_STREAM_ERROR = json.dumps({"error": {"message": "the sandbox's model broke", "http_status_code": 500}})
_UNICODE = json.dumps({"choices": [{"index": 0, "delta": {"content": "\u2028 \u2029 \x85 ü"}}]}, ensure_ascii=False)


def _error(message: str, code: str) -> dict[str, dict[str, str | None]]:
    return {"error": {"message": message, "type": "sandbox", "param": None, "code": code}}


@frozen
class Failing:
    """A failing model: what each provider does, "" standing for those not named and "router" for the choice itself."""

    model: Model
    behaviours: Mapping[str, Behaviour]

    @property
    def choice(self) -> Behaviour | None:
        """What happens where the router is to choose, when it is that which fails."""
        return self.behaviours.get("router")

    def of(self, provider: str, *, pinned: bool) -> Behaviour:
        """Return what happens when this provider is to answer, named by the caller or chosen by the router."""
        if not pinned and self.choice is not None:
            return self.choice
        return self.behaviours.get(provider) or self.behaviours.get("", answered)


def _always(behaviour: Behaviour) -> dict[str, Behaviour]:
    return {"": behaviour}


_EMPTY_ACCOUNT = refused(402, {"error": DEPLETED})
_EMPTY_PROVIDER = refused(402, _error("Insufficient balance at this provider", "NOT_ENOUGH_BALANCE"))
_NOT_ENABLED = refused(
    400, _error("The requested model is not supported by any provider you have enabled.", "model_not_supported")
)
_UNAVAILABLE = refused(503, {"error": "Service Unavailable"}, headers={"Retry-After": "1"})
_RATE_LIMITED = refused(429, _error("Too many requests", "rate_limit_exceeded"), headers={"Retry-After": "1"})
_MOVED = "sandbox/new-name"

_BEHAVIOURS: dict[str, dict[str, Behaviour]] = {
    "payment-required": _always(_EMPTY_ACCOUNT),
    "provider-depleted": {FIRST: _EMPTY_PROVIDER},
    "own-key-elsewhere": {FIRST: _EMPTY_ACCOUNT},
    "all-fail": {FIRST: _EMPTY_PROVIDER, SECOND: _UNAVAILABLE, THIRD: refused(500, {"error": "unknown error"})},
    "all-busy": {FIRST: _RATE_LIMITED, SECOND: _UNAVAILABLE, THIRD: _RATE_LIMITED},
    "not-enabled": {"router": _NOT_ENABLED},
    "slow-mapping": {FIRST: _EMPTY_PROVIDER},
    "rate-limited": _always(_RATE_LIMITED),
    "unavailable": _always(_UNAVAILABLE),
    "server-error": _always(refused(500, {"error": "unknown error", "warnings": ["canned"]})),
    "forbidden-by-provider": {FIRST: refused(403, {"error": "Forbidden"})},
    "token-scope": _always(refused(403, {"error": _SCOPE})),
    "gated": _always(refused(403, {"error": _GATED})),
    "unauthorized": _always(refused(401, {"error": "Invalid username or password."})),
    "invalid": _always(refused_in_words(422, "Failed to deserialize the JSON body into the target type: canned")),
    "too-long": _always(refused(422, {"error": _TOO_LONG, "error_type": "validation"})),
    "bad-gateway": _always(refused_in_words(502, _PAGE, content_type="text/html")),
    "html": _always(refused_in_words(200, _PAGE, content_type="text/html")),
    "error-at-once": {FIRST: broken(f"data: {_STREAM_ERROR}\n\n".encode(), after=0)},
    "error-midway": _always(broken(f"data: {_STREAM_ERROR}\n\n".encode())),
    "cut-midway": _always(broken(b'data: {"id": "cut in the mid', cut=True)),
    "no-end": _always(broken()),
    "empty": _always(broken(after=0)),
    "stuck": _always(broken(stay=True)),
    "slow-start": _always(slow(2.0)),
    "whole": _always(unstreamed),
    "unicode": {FIRST: broken(f"data: {_UNICODE}\n\ndata: [DONE]\n\n".encode())},
}

FAILING: dict[str, Failing] = {
    f"sandbox/{name}": Failing(
        chat_model(
            f"sandbox/{name}",
            gated="manual" if name == "gated" else False,
            mapping_seconds=2.0 if name == "slow-mapping" else 0.0,
        ),
        behaviours,
    )
    for name, behaviours in _BEHAVIOURS.items()
}
RENAMED = (Model(name="sandbox/old-name", moved_to=_MOVED), chat_model(_MOVED))
