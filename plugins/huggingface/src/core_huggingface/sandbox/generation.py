"""The sandbox's generated text, in the dialects of TGI, of a pipeline and of completions, whole and in pieces."""

import json
from collections.abc import Iterator
from typing import Any

from attrs import field, frozen


@frozen(kw_only=True)
class Generated:
    """What is answered to a prompt, before any wire.

    Attributes:
        prompt: The prompt.
        pieces: The text, a piece for each token.
        reason: TGI's word for why it ended.
        details: Whether that is told.
        full: Whether the prompt is repeated.
    """

    prompt: str
    pieces: tuple[str, ...]
    reason: str = "eos_token"
    details: bool = False
    full: bool = False
    seed: int | None = field(default=None)

    @property
    def text(self) -> str:
        """The whole text."""
        return (self.prompt if self.full else "") + "".join(self.pieces)

    @property
    def prompt_tokens(self) -> int:
        """A count that looks like tokens: words."""
        return max(1, len(self.prompt.split()))

    def tgi_events(self) -> Iterator[dict[str, Any]]:
        """Yield the events of a TGI's stream; the last one has the end of the text, and a special token if it ended."""
        ended = self.reason == "eos_token"
        texts = [*((piece, False) for piece in self.pieces), *([("<|im_end|>", True)] if ended else [])]
        for index, (piece, special) in enumerate(texts, start=1):
            last = index == len(texts)
            yield {
                "index": index,
                "token": {"id": index, "text": piece, "logprob": -0.25, "special": special},
                "generated_text": self.text if last else None,
                "details": self._tgi_details() if last and self.details else None,
            }

    def _tgi_details(self) -> dict[str, Any]:
        return {
            "finish_reason": self.reason,
            "generated_tokens": len(self.pieces),
            "seed": self.seed,
            "input_length": self.prompt_tokens,
        }

    def pipeline_body(self) -> dict[str, Any]:
        """Return the answer of a server that was not asked for a stream, or cannot."""
        return {"generated_text": self.text} | ({"details": self._tgi_details()} if self.details else {})

    def completion(self, *, text: str, reason: str | None, usage: bool) -> dict[str, Any]:
        """Return a completion, or a piece of one."""
        body: dict[str, Any] = {
            "id": "cmpl-sandbox",
            "object": "text_completion",
            "created": 1,
            "model": "sandbox",
            "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": reason}],
        }
        written = len(self.pieces)
        counts = {"prompt_tokens": self.prompt_tokens, "completion_tokens": written}
        return body | ({"usage": counts | {"total_tokens": self.prompt_tokens + written}} if usage else {})

    @property
    def completion_reason(self) -> str:
        """Why it ended, in the word of completions."""
        return "length" if self.reason == "length" else "stop"

    def completion_events(self, *, usage: bool) -> Iterator[str]:
        """Yield the data of a stream of completions."""
        for piece in self.pieces:
            yield json.dumps(self.completion(text=piece, reason=None, usage=False))
        yield json.dumps(self.completion(text="", reason=self.completion_reason, usage=False))
        if usage:
            yield json.dumps(self.completion(text="", reason=None, usage=True) | {"choices": []})
        yield "[DONE]"
