"""The provider `huggingface` keeps the contract: over the router, and as the client of a server of one's own."""

import json

from core_chat.testing import ProviderContract, Response
from core_chat.testing.contract import Play
from core_huggingface import HuggingFace


def stream(pieces: list[str]) -> Response:
    """The router's answer: one chunk a piece, the finish reason, the usage, the end marker."""
    chunks = [
        *({"id": "c-1", "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces),
        {"id": "c-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"id": "c-1", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": len(pieces)}},
    ]
    return Response.sse([*(json.dumps(chunk, ensure_ascii=False) for chunk in chunks), "[DONE]"])


class TestHuggingFace(ProviderContract):
    """With the router and the Hub."""

    name = "huggingface"
    optional_end = 2  # the usage and the end marker

    def make(self, base_url: str) -> object:
        """Talk to the scripted upstream, which is the Hub too."""
        return HuggingFace(token=None, base_url=f"{base_url}/v1", hub_url=base_url)

    def answer(self, pieces: list[str]) -> Play:
        """Stream the pieces."""
        return {"POST /v1/chat/completions": stream(pieces)}

    def listing(self) -> Play:
        """Two models that chat and one that makes pictures."""
        pictures = [
            {"id": "a/p", "inferenceProviderMapping": [{"provider": "f", "providerId": "x", "task": "text-to-image"}]}
        ]
        return {
            "GET /v1/models": Response.json({"object": "list", "data": [{"id": "a/1"}, {"id": "a/2"}]}),
            "GET /api/models": Response.json(pictures),
        }


class TestServerOfOnesOwn(TestHuggingFace):
    """With any OpenAI-compatible server."""

    def make(self, base_url: str) -> object:
        """Talk to the scripted upstream alone."""
        return HuggingFace(token=None, base_url=f"{base_url}/v1")
