"""An emulator of Replicate's HTTP API on loopback, wire-compatible with it as of 2026-11.

It serves one model of each family (`meta/meta-llama-3-70b-instruct` is the default one), validates inputs against each
model's own schema, and gives canned answers that say so. Rate limits are shown but not enforced; webhooks are accepted
but never called.

The models below misbehave in a chosen way, as the test cards of a payment service do; each is official and has the
inputs of `meta/meta-llama-3-8b-instruct`.

Refused on creation:
    - `sandbox/rate-limited`: 429, always; the wait is in the body and its text. `sandbox/rate-limited-once`: 429 at
      every first try, the next one is served.
    - `sandbox/payment-required`: 402. `sandbox/unauthenticated`: 401. `sandbox/invalid`: 422. `sandbox/not-found`: 404.
    - `sandbox/server-error`: 500. `sandbox/unavailable`: 503 with Retry-After. `sandbox/bad-gateway`: 502 with HTML.
    - `sandbox/html`: 200 with HTML. `sandbox/no-id`: 201 without an id.

Slow:
    - `sandbox/slow-create`: the prediction is made and never ends, the reply to its creation comes late.
    - `sandbox/slow-start`: stays `starting` for a while.
    - `sandbox/stuck`: gives two pieces, then nothing until it is cancelled.

Streams that break; the prediction itself goes on and succeeds:
    - `sandbox/cut-midway`: the first connection breaks inside a line; the next ones are whole.
    - `sandbox/silent-close`: the first connection ends early without `done`; the next ones are whole.
    - `sandbox/never-done`: every connection ends early without `done`; only the prediction has the rest.
    - `sandbox/expired-stream`: every connection ends early with the comment `:408: 408 Request Timeout`.
    - `sandbox/lingering`: the connection stays open after `done`, until the silence is too long.
    - `sandbox/foreign-stream`: the stream is on another origin, `localhost` for `127.0.0.1`, which must get no token.
    - `sandbox/no-stream`: there is no `urls.stream`. `sandbox/instant`: nor here, and the create reply is final.

Predictions that end badly, or oddly:
    - `sandbox/stream-error`: fails (E1000) after two pieces, with an `error` event. `sandbox/plain-error`: the same,
      but the event's data is plain text.
    - `sandbox/failed`: fails (E1001) before any output. `sandbox/moderated`: the same with E005.
    - `sandbox/canceled-by-upstream`: `canceled` after two pieces. `sandbox/aborted`: `aborted` before it started.
    - `sandbox/empty`: succeeds without output. `sandbox/unicode`: pieces that naive line splitting tears apart.
    - `sandbox/no-schema`: its `latest_version` is null. `sandbox/no-prompt`: its schema knows no prompt.

A test looks behind the wire through the emulator:

```python
async with emulate(Emulator(delays=Delays(token=0.01))) as emulator, Registry(
    config={"replicate": emulator.settings}
) as registry:
    async with registry.stream("replicate:sandbox/stuck", "Hello") as stream:
        await anext(stream.text())
    prediction = await emulator.canceled()
    assert prediction.input["prompt"] == "Hello"
```
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from core_replicate.sandbox.app import emulate
from core_replicate.sandbox.emulator import TOKEN, Emulator
from core_replicate.sandbox.models import Delays
from core_replicate.sandbox.prediction import Prediction

__all__ = ["TOKEN", "Delays", "Emulator", "Prediction", "emulate", "sandbox"]


@asynccontextmanager
async def sandbox(*, port: int = 0) -> AsyncIterator[Mapping[str, Mapping[str, Any]]]:
    """Serve the sandbox on 127.0.0.1 and yield the provider's constructor arguments; port 0 is any free one."""
    async with emulate(Emulator(), port=port) as emulator:
        yield {"replicate": emulator.settings}
