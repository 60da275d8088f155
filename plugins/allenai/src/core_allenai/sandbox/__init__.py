"""An emulator of the Ai2 Playground's API on loopback: three generations of the wire, canned answers, failures."""

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
