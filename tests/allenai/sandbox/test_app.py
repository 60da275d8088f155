"""The emulator's routes: lists, redirects, threads, who may do what."""

from typing import Any

import aiohttp
import pytest
from tests.allenai.sandbox.conftest import Post

from core_allenai.sandbox import DIALECTS, TOKEN, Dialect, Emulator

OLMO = "Olmo-3.1-32B-Instruct"
PLAIN = "cs-Llama-3.1-Tulu-3.1-8B"
PATHS = {"v5": "/v5/threads/chat", "v4": "/v4/threads/", "v4-message": "/v4/message/stream"}


async def test_lists_come_in_both_spellings_and_need_nobody(emulator: Emulator) -> None:
    """snake_case in v4, camelCase in v5; the same models."""
    async with emulator.running() as origin, aiohttp.ClientSession(origin) as session:
        lists = []
        for path in ("/v4/models/", "/v5/models/"):
            async with session.get(path) as response:
                lists.append(await response.json())
    v4, v5 = lists
    assert [row["id"] for row in v4] == [row["id"] for row in v5]
    assert v4[0]["max_tokens_upper"] == v5[0]["maxTokensUpper"] == 2048
    molmo = next(row for row in v5 if row["id"] == "molmo2-8b")
    assert (molmo["acceptedFileTypes"], molmo["maxFilesPerMessage"]) == (["image/*"], 3)
    assert all(row["system_prompt"] is None for row in v4)


@pytest.mark.parametrize(
    ("method", "path", "status", "target"),
    [
        ("POST", "/v4/threads", 308, "/v4/threads/"),
        ("GET", "/v4/models", 308, "/v4/models/"),
        ("POST", "/v5/threads/chat/", 307, "/v5/threads/chat"),
        ("GET", "/v5/models", 307, "/v5/models/"),
    ],
)
async def test_slashes_at_the_end_matter(
    *, session: aiohttp.ClientSession, method: str, path: str, status: int, target: str
) -> None:
    """A redirect, and for a form that means that it is lost."""
    async with session.request(method, path, allow_redirects=False) as response:
        assert response.status == status
        assert response.headers["Location"].endswith(target)


async def test_it_is_healthy(session: aiohttp.ClientSession) -> None:
    """With nothing to say."""
    async with session.get("/health") as response:
        assert (response.status, await response.read()) == (204, b"")


@pytest.mark.parametrize("only", DIALECTS)
async def test_one_generation_can_be_served_alone(only: Dialect) -> None:
    """The routes of the others are missing, as they are told by the part of the service that is there."""
    emulator = Emulator(dialects=[only])
    async with (
        emulator.running() as origin,
        aiohttp.ClientSession(origin, headers={"X-Anonymous-User-ID": "u"}) as session,
    ):
        for dialect, path in PATHS.items():
            form = aiohttp.FormData(default_to_multipart=True)
            for name, value in (("model", PLAIN), ("host", "cirrascale"), ("content", "Hi")):
                form.add_field(name, value)
            async with session.post(path, data=form) as response:
                assert response.status == (200 if dialect == only else 404)
                if dialect != only:
                    assert (await response.json())["error"]["code"] == 404


async def test_a_missing_route_of_v5_is_a_problem(session: aiohttp.ClientSession) -> None:
    """Its framework's own, not the service's."""
    async with session.post("/v5/nothing") as response:
        assert response.content_type == "application/problem+json"
        assert (await response.json())["type"] == "http-not-found"


@pytest.mark.parametrize(("path", "kind"), [("/v5/threads/chat", "http-unauthorized"), ("/v4/threads/", 401)])
async def test_somebody_has_to_ask(emulator: Emulator, path: str, kind: Any) -> None:
    """An anonymous id or a token."""
    async with emulator.running() as origin, aiohttp.ClientSession(origin) as session, session.post(path) as response:
        assert response.status == 401
        body = await response.json()
        assert kind in (body.get("type"), body.get("error", {}).get("code"))


async def test_a_bad_token_counts_in_v4_only(post: Post) -> None:
    """v5 falls back to the anonymous id."""
    headers = {"Authorization": "Bearer nonsense"}
    assert (await post("/v4/threads/", headers=headers, model=PLAIN, content="Hi"))[0] == 401
    assert (await post("/v5/threads/chat", headers=headers, model=PLAIN, content="Hi"))[0] == 200


async def test_known_people_keep_their_threads(emulator: Emulator, post: Post) -> None:
    """Anonymous ones lose theirs after a day, and are always private in v4."""
    for headers in (None, {"Authorization": f"Bearer {TOKEN}"}):
        await post("/v4/threads/", headers=headers, model=PLAIN, content="Hi")
    anonymous, _, known, _ = emulator.store.messages.values()
    assert (anonymous.private, anonymous.expires is None) == (True, False)
    assert (known.private, known.expires, known.creator) == (False, None, "sandbox-user")
    emulator.store.expire()
    assert emulator.store.get(anonymous.id) is None
    assert emulator.store.get(known.id) is known


@pytest.mark.parametrize(("read", "deleted"), [("/v5/threads/", "/v5/threads/"), ("/v4/threads/", "/v3/message/")])
async def test_threads_can_be_read_and_deleted(
    *, session: aiohttp.ClientSession, post: Post, read: str, deleted: str
) -> None:
    """By whoever began them; what is gone is not found."""
    _, lines = await post("/v5/threads/chat", model=OLMO, content="Hi")
    root = lines[0]["message"]
    async with session.get(f"{read}{root}") as response:
        roles = [message["role"] for message in (await response.json())["messages"]]
    assert roles == ["system", "user", "assistant"]
    async with session.delete(f"{deleted}{root}", headers={"X-Anonymous-User-ID": "another"}) as response:
        assert response.status == 403
    async with session.delete(f"{deleted}{root}") as response:
        assert (response.status, await response.json()) == (200, None)
    async with session.delete(f"{deleted}{root}") as response:
        assert response.status == 404


async def test_v4_shows_threads_to_anybody_who_knows_their_id(session: aiohttp.ClientSession, post: Post) -> None:
    """As the service did; v5 does not."""
    _, lines = await post("/v4/threads/", model=PLAIN, content="Hi")
    foreign = {"X-Anonymous-User-ID": "another"}
    for path, status in (("/v4/threads/", 200), ("/v5/threads/", 403)):
        async with session.get(f"{path}{lines[0]['message']}", headers=foreign) as response:
            assert response.status == status


async def test_it_remembers_what_came_and_what_the_model_was_shown(emulator: Emulator, post: Post) -> None:
    """For tests that look behind the wire."""
    _, lines = await post("/v5/threads/chat", model=OLMO, content="One", stop=["a", "b"])
    answer = lines[-2]["messages"][-1]["id"]
    await post("/v5/threads/chat", model=OLMO, content="Two", parent=answer)
    assert emulator.received[0].form.many("stop") == ["a", "b"]
    assert emulator.received[1].path == "/v5/threads/chat"
    assert [turn["role"] for turn in emulator.histories[1]] == ["system", "user", "assistant", "user"]
    assert emulator.history(answer) == [*emulator.histories[0], emulator.histories[1][2]]
