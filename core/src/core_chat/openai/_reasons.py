"""What the upstreams' words for the end of an answer mean."""

from core_chat.events import FinishReason

_REASONS: dict[str, FinishReason] = {
    "content_filter": "content_filter",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "function_call": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "stop": "stop",
    "stop_sequence": "stop",
    "tool_calls": "tool_calls",
}
_FAILED = frozenset({"abort", "aborted", "cancelled", "canceled", "error"})


def reason_of(raw: str | None, *, called: bool) -> FinishReason:
    """Map an upstream's word; an answer that stopped to call a tool says so, whatever the word for stopping."""
    reason = "stop" if raw is None else _REASONS.get(raw.lower(), "other")
    return "tool_calls" if reason == "stop" and called else reason


def has_failed(raw: str | None) -> bool:
    """Whether the word says that the upstream gave its answer up."""
    return raw is not None and raw.lower() in _FAILED
