"""The contract of the core, kept by `huggingface-inference` on each of its wires."""

import json
from typing import Any

from core_chat.errors import InvalidRequestError
from core_chat.testing import ProviderContract, Response
from core_huggingface import HuggingFaceInference

LISTING = Response.json({"object": "list", "data": [{"id": "org/one"}, {"id": "org/two", "max_model_len": 4096}]})


def _tgi(pieces: list[str]) -> list[str]:
    tokens: list[dict[str, Any]] = [
        {"index": index, "token": {"id": index, "text": piece, "logprob": -1, "special": False}}
        for index, piece in enumerate(pieces, start=1)
    ]
    end = {"finish_reason": "eos_token", "generated_tokens": len(pieces), "seed": None, "input_length": 5}
    last = {"token": {"id": 2, "text": "</s>", "logprob": -1, "special": True}}
    events = [{**token, "generated_text": None, "details": None} for token in tokens]
    events.append({**last, "generated_text": "".join(pieces), "details": end})
    return [f"data:{json.dumps(event, ensure_ascii=False)}\n\n" for event in events]


def _completions(pieces: list[str]) -> list[str]:
    events = [{"id": "c1", "choices": [{"index": 0, "text": piece, "finish_reason": None}]} for piece in pieces]
    events.append({"id": "c1", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
    return [*(json.dumps(event, ensure_ascii=False) for event in events), "[DONE]"]


class TestTgi(ProviderContract):
    """hf-inference, a TGI or an Inference Endpoint: the wire that is tried first."""

    optional_end = 0

    def make(self, base_url: str) -> object:
        return HuggingFaceInference(token=self.key, base_url=base_url, format="plain")

    def answer(self, pieces: list[str]) -> Response:
        return Response.stream(_tgi(pieces), content_type="text/event-stream")

    def listing(self) -> Response:
        return LISTING


class TestHfInference(TestTgi):
    """The vendor's own layout: a path for each model, and the Hub beside it, which says that there is no template."""

    model = "openai-community/gpt2"

    def make(self, base_url: str) -> object:
        return HuggingFaceInference(token=self.key, base_url=f"{base_url}/hf-inference", hub_url=base_url)

    def answer(self, pieces: list[str]) -> Any:
        return {
            "GET /api/models/*": Response.json({"id": self.model, "config": {"tokenizer_config": {}}}),
            "POST /hf-inference/models/*": Response.stream(_tgi(pieces), content_type="text/event-stream"),
        }

    def test_conversations_can_be_kept(self) -> None:
        """A base model has no template for more than one message: the error lists the formats."""

        async def scenario() -> None:
            async with self.bench(self.play(), times=2) as bench:
                async with bench.stream() as stream:
                    reply = await stream.reply()
                outcome = await bench.ask(conversation=reply.conversation)
            assert isinstance(outcome.error, InvalidRequestError)
            assert "qwen2" in str(outcome.error)

        self.run(scenario)

    def listing(self) -> Any:
        serving = {"provider": "hf-inference", "providerId": "x", "status": "live", "task": "text-generation"}
        return {
            "GET /api/models": Response.json([{"id": name, "inferenceProviderMapping": [serving]} for name in "ab"])
        }


class TestCompletions(ProviderContract):
    """A server that has only the newer wire."""

    def make(self, base_url: str) -> object:
        return HuggingFaceInference(token=self.key, base_url=f"{base_url}/v1", format="plain")

    def answer(self, pieces: list[str]) -> Response:
        return Response.sse(_completions(pieces))

    def listing(self) -> Response:
        return LISTING
