"""An emulator, a registry that talks to it, and a way to import the helpers of this folder, as `tests.allenai.…`."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core_allenai.sandbox import Emulator
from core_chat import Registry, Retry

_ROOT = str(Path(__file__).parents[2])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)


@pytest.fixture
def emulator() -> Emulator:
    """An emulator of all three generations."""
    return Emulator(slow=0.0)


@pytest.fixture
async def origin(emulator: Emulator) -> AsyncIterator[str]:
    """Where the emulator is served."""
    async with emulator.running() as served:
        yield served


@pytest.fixture
async def registry(origin: str) -> AsyncIterator[Registry]:
    """A registry over the emulator; what fails is not tried again."""
    config = {"allenai": {"base_url": origin}}
    async with Registry(config=config, only=["allenai"], retry=Retry(attempts=1)) as opened:
        yield opened
