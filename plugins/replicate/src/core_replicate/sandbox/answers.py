"""What the sandbox's models say: a canned answer, cut as the input asks."""

from collections.abc import Mapping
from typing import Any

from core_chat.sandbox import canned_answer
from core_replicate.sandbox.models import Model

_MAX_TOKENS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "max_length")
_THOUGHTS = ("<think>", "\n", "The", " sandbox", " does", " not", " think", ".", "\n", "</think>", "\n\n")
_MESSAGE_KEYS = ("messages", "input_item_list")
_PROMPT_KEYS = ("prompt", "system_prompt", "system_instruction", "instructions")


def pieces(model: Model, given: Mapping[str, Any]) -> list[str]:
    """Return the pieces of a model's answer.

    The first and the last are empty, as those of the real models often are. The limits of the input (or the schema's
    defaults) hold; inputs that the schema does not have do nothing.
    """
    if model.behaviour.pieces is not None:
        return list(model.behaviour.pieces)
    words = [*(_THOUGHTS if model.thinks else ()), *canned_answer(prompt_of(model, given))]
    text = _until_stop(words[: _limit(model, given)], _stops(model, given))
    if "stream" in model.properties and not given.get("stream"):
        return ["".join(text)]
    return ["", *text, ""]


def prompt_of(model: Model, given: Mapping[str, Any]) -> str:
    """Return what is answered: the last message where the model takes messages and got some, else the prompt."""
    turns = _turns(model, given)
    text = _content(turns[-1].get("content")) if turns else str(given.get("prompt", ""))
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # JSON may escape half a character


def count_input(model: Model, given: Mapping[str, Any]) -> int:
    """Return the number of input tokens, which are words here; a prompt beside messages is not read."""
    texts = [_content(turn.get("content")) for turn in _turns(model, given)]
    texts = texts or [str(given[key]) for key in _PROMPT_KEYS if key in given]
    return sum(len(text.split()) for text in texts)


def _turns(model: Model, given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return next((given[key] for key in _MESSAGE_KEYS if key in model.properties and given.get(key)), [])


def _content(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict)).strip()
    return str(content or "")


def _limit(model: Model, given: Mapping[str, Any]) -> int | None:
    for key in _MAX_TOKENS:
        if key in model.properties:
            limit = given.get(key, model.properties[key].get("default"))
            return None if limit is None else max(0, int(limit))
    return None


def _stops(model: Model, given: Mapping[str, Any]) -> list[str]:
    if "stop_sequences" not in model.properties:
        return []
    return [stop for stop in given.get("stop_sequences", "").split(",") if stop]


def _until_stop(words: list[str], stops: list[str]) -> list[str]:
    text = "".join(words)
    left = min((text.find(stop) for stop in stops if stop in text), default=len(text))
    kept: list[str] = []
    for word in words:
        kept.append(word[:left])
        left -= len(kept[-1])
    return [word for word in kept if word]
