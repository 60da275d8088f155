"""A served emulator and short ways to call it without the plugin."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from core_allenai.sandbox import Emulator

Post = Callable[..., Awaitable[tuple[int, Any]]]
USER = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
async def session(emulator: Emulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A session of one anonymous person, at the emulator."""
    async with (
        emulator.running() as origin,
        aiohttp.ClientSession(origin, headers={"X-Anonymous-User-ID": USER}) as opened,
    ):
        yield opened


@pytest.fixture
def post(session: aiohttp.ClientSession) -> Post:
    """A function that posts a multipart form and returns the status and the lines or the refusal."""

    async def send(
        path: str, *, files: tuple[bytes, ...] = (), kind: str = "image/png", headers: Any = None, **fields: Any
    ) -> tuple[int, Any]:
        form = aiohttp.FormData(default_to_multipart=True)
        for name, value in fields.items():
            for item in value if isinstance(value, list) else [value]:
                form.add_field(name, item)
        for data in files:
            form.add_field("files", data, filename="a.png", content_type=kind)
        async with session.post(path, data=form, headers=headers, allow_redirects=False) as response:
            return response.status, read(await response.read(), response.content_type)

    return send


def read(body: bytes, content_type: str) -> Any:
    """A body, as far as its type tells how to read it."""
    if content_type == "application/jsonl":
        return [json.loads(line) for line in body.split(b"\n") if line]
    return json.loads(body) if "json" in content_type else body.decode()
