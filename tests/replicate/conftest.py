"""A sandbox in virtual time, and a registry that talks to it."""

from collections.abc import AsyncIterator

import pytest

from core_chat import Registry
from core_chat.testing import ManualClock
from core_replicate.sandbox import Emulator, emulate


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's own settings out."""
    for name in ("REPLICATE_API_TOKEN", "REPLICATE_BASE_URL", "REPLICATE_POLL_INTERVAL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clock() -> ManualClock:
    """Return virtual time, so that no wait takes any."""
    return ManualClock()


@pytest.fixture
async def emulator(clock: ManualClock) -> AsyncIterator[Emulator]:
    """Serve a sandbox."""
    async with emulate(Emulator(clock=clock)) as served:
        yield served


@pytest.fixture
async def registry(emulator: Emulator, clock: ManualClock) -> AsyncIterator[Registry]:
    """Return a registry whose Replicate is the sandbox."""
    async with Registry(only=["replicate"], config={"replicate": emulator.settings}, clock=clock) as opened:
        yield opened
