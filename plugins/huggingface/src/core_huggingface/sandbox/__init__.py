"""An emulator of the Hub and of the router on loopback, wire-compatible with them as of 2026-11; answers are canned.

Any token is taken but `hf_invalid`. Chat models are served by `cerebras` (the fastest, which the router picks),
`novita` and `together`, each in its own dialect; `deepseek-ai/DeepSeek-R1` reasons; tools that are given are called;
request fields that the router does not know are refused. The models below misbehave in a chosen way.

Refused:
    - `sandbox/payment-required`: 402 everywhere, the account is empty. `sandbox/own-key-elsewhere`: the same at the
      first provider only. `sandbox/provider-depleted`: 402 of the first provider's own; `sandbox/slow-mapping`: the
      same, and the Hub takes 2 s to tell who else serves it.
    - `sandbox/all-fail`: 402, 503, 500. `sandbox/all-busy`: 429, 503, 429, each with Retry-After.
    - `sandbox/not-enabled`: 400 unless a provider is named. `sandbox/old-name` was renamed to `sandbox/new-name`.
    - `sandbox/rate-limited`: 429. `sandbox/unavailable`: 503. `sandbox/server-error`: 500. `sandbox/bad-gateway`: 502.
    - `sandbox/forbidden-by-provider`: 403 of the first provider. `sandbox/token-scope`, `sandbox/gated`: 403.
      `sandbox/unauthorized`: 401. `sandbox/invalid`, `sandbox/too-long`: 422.

Answered with 200, and broken:
    - `sandbox/error-at-once`: an error as the first provider's first event. `sandbox/error-midway`: after some text.
    - `sandbox/cut-midway`: the connection breaks. `sandbox/no-end`: the stream ends early. `sandbox/empty`: at once.
    - `sandbox/stuck`: silence after some text. `sandbox/html`: a page.

Odd but good:
    - `sandbox/slow-start`: 2 s of comments first. `sandbox/whole`: no stream. `sandbox/unicode`: line separators in
      the text.

`sandbox.inference` has the models of hf-inference (most of these names misbehave there too), `sandbox.images` those
that make pictures.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from core_chat.sandbox import serve
from core_huggingface.sandbox import hub, images, inference, router

__all__ = ["sandbox"]

TOKEN = "hf_sandbox"  # noqa: S105 - the sandbox takes any token, and this one is seen to be none of the user's


@asynccontextmanager
async def sandbox(*, port: int = 0) -> AsyncIterator[Mapping[str, Mapping[str, Any]]]:
    """Serve the sandbox on 127.0.0.1 and yield both providers' constructor arguments; port 0 is any free one."""
    application = web.Application()
    for part in (hub, router, inference, images):
        part.add_routes(application)
    async with serve(application, port=port) as origin:
        yield {
            "huggingface": {"token": TOKEN, "base_url": f"{origin}/v1", "hub_url": origin},
            "huggingface-inference": {"token": TOKEN, "base_url": f"{origin}/hf-inference", "hub_url": origin},
        }
