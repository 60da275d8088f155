"""An emulator of the Ai2 Playground's API on loopback, wire-compatible with it as of 2026-11; answers are canned.

It speaks `v5/threads/chat`, `v4/threads/` and `v4/message/stream`, and keeps threads as the service does: histories are
rebuilt from parents, threads belong to whoever began them, anonymous ones expire after a day. A message with
`[flagged]` in it is refused as inappropriate; models that can call tools call the first one they are given. The models
below misbehave in a chosen way.

Refused before the answer begins:
    - `sandbox/captcha`: a reCAPTCHA token is demanded. `sandbox/moderated`: the content is inappropriate.
    - `sandbox/server-error`: 500. `sandbox/bad-gateway`, `sandbox/too-many-requests`: 502 and 429 of the ingress.
    - `sandbox/html`: a page with status 200.

Failing inside the answer:
    - `sandbox/error-before-text`, `sandbox/error-after-text`: the model's server fails. `sandbox/rate-limited`: with
      429. `sandbox/context-length`: the messages are too long. `sandbox/overloaded`: it took too long.
    - `sandbox/retired`: the model runs nowhere any more. `sandbox/save-failed`: the thread cannot be stored.
    - `sandbox/tool-error`: a tool that does not exist. `sandbox/tool-limit`: too many calls of the service's tools.
    - `sandbox/cut-midway`: the connection breaks. `sandbox/no-end`: the closing line is missing.

Odd but good:
    - `sandbox/empty`: no text. `sandbox/length`: ended on its length. `sandbox/slow-start`: 5 s of silence first.
    - `sandbox/thinking`: thoughts first. `sandbox/unicode`: text that careless decoders break.
    - `sandbox/all-tools`: calls every tool it is given. `sandbox/server-tool`: the service runs one of its own.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from core_allenai.sandbox._app import DIALECTS, TOKEN, Dialect, Emulator, Received
from core_allenai.sandbox._models import CHOSEN_BEHAVIOUR, MODELS, Model


@asynccontextmanager
async def sandbox(*, port: int = 0) -> AsyncIterator[dict[str, dict[str, Any]]]:
    """Serve the emulator on loopback (0 is any free port) and yield the constructor arguments that lead there."""
    async with Emulator().running(port=port) as origin:
        yield {"allenai": {"base_url": origin}}


__all__ = ["CHOSEN_BEHAVIOUR", "DIALECTS", "MODELS", "TOKEN", "Dialect", "Emulator", "Model", "Received", "sandbox"]
