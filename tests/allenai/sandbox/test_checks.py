"""What the emulator refuses, in both families of bodies."""

from typing import Any

import aiohttp
import pytest
from tests.allenai.sandbox.conftest import Post

from core_allenai.sandbox import Emulator

PLAIN = "cs-Llama-3.1-Tulu-3.1-8B"
V4, V5 = "/v4/threads/", "/v5/threads/chat"


def sentence(refusal: Any) -> str:
    """The text of a refusal of either family."""
    parts = refusal.get("errors") or refusal.get("error", {}).get("validation_errors") or []
    return str(parts[0]["msg"] if parts else refusal.get("detail") or refusal["error"]["message"])


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"content": "Hi"}, "Field required"),
    ({"model": PLAIN}, "One of content or inputParts is required"),
    ({"model": PLAIN, "content": ""}, "One of content or inputParts is required"),
    ({"model": PLAIN, "content": "Hi", "parent": "msg_DOESNOTEXIST"}, "Parent message msg_DOESNOTEXIST not"),
    ({"model": PLAIN, "content": "Hi", "parent": ""}, "Parent message  not"),
    ({"model": PLAIN, "content": "Hi", "private": "maybe"}, "valid boolean"),
    ({"model": PLAIN, "content": "Hi", "temperature": "hot"}, "valid number"),
    ({"model": PLAIN, "content": "Hi", "temperature": "1.5"}, "upper limit of 1.0"),
    (
        {"model": PLAIN, "content": "Hi", "maxTokens": "0"},
        "max tokens must be greater than or equal to",
    ),
    ({"model": PLAIN, "content": "Hi", "n": "2"}, "less than or equal to 1"),
    ({"model": PLAIN, "content": "Hi", "toolDefinitions": "[{"}, "Invalid JSON"),
    ({"model": PLAIN, "content": "Hi", "role": "tool_call_result"}, "Field required"),
    ({"model": PLAIN, "content": "Hi", "bypassSafetyCheck": "true"}, "not allowed to change this setting"),
    ({"model": PLAIN, "content": "It is [flagged]."}, "nappropriate"),
    ({"model": "olmoasr", "content": "Hi"}, "isn't available yet"),
    ({"model": "molmo2-4b", "content": "Hi"}, "requires a file"),
    ({"model": "sandbox/captcha", "content": "Hi"}, "Failed to evaluate captcha"),
]


@pytest.mark.parametrize("path", [V4, V5])
@pytest.mark.parametrize(("fields", "told"), REFUSED)
async def test_refusals_are_those_of_the_service(post: Post, path: str, fields: dict[str, Any], *, told: str) -> None:
    """400 and an error object in v4, 422 and a problem in v5, and the same words."""
    status, refusal = await post(path, **fields)
    expected = (400, 403) if path == V4 else (422, 403)
    assert status in expected
    assert told in sentence(refusal)


@pytest.mark.parametrize(("path", "status"), [(V4, 500), (V5, 422)])
@pytest.mark.parametrize("role", ["system", "assistant", "nobody"])
async def test_only_two_roles_are_for_callers(post: Post, path: str, role: str, *, status: int) -> None:
    """v4 breaks on the others."""
    assert (await post(path, model=PLAIN, content="Hi", role=role))[0] == status


@pytest.mark.parametrize(("path", "told"), [(V4, "Invalid model nope"), (V5, "Model with ID 'nope' not found")])
async def test_an_unknown_model_has_words_of_its_own(post: Post, path: str, told: str) -> None:
    """In each generation."""
    assert sentence((await post(path, model="nope", content="Hi"))[1]) == told


async def test_files_are_checked(post: Post) -> None:
    """Their number, their size together, their type; on a text model they are silently accepted."""
    picture = b"\x89PNG\r\n\x1a\n"
    asked = {"model": "molmo2-8b", "content": "Hi"}
    assert "only allows 3 files" in sentence((await post(V4, files=(picture,) * 4, **asked))[1])
    assert "max total file size" in sentence((await post(V4, files=(picture + bytes(1_000_000),), **asked))[1])
    follow_up = {**asked, "parent": (await post(V4, files=(picture,), **asked))[1][-2]["messages"][-1]["id"]}
    assert "in follow-up messages" in sentence((await post(V4, files=(picture,), **follow_up))[1])
    assert "only accepts files of types" in sentence((await post(V4, files=(picture,), kind="text/plain", **asked))[1])
    assert (await post(V4, files=(picture,), model=PLAIN, content="Hi"))[0] == 200


@pytest.mark.parametrize("path", [V4, V5])
async def test_a_turn_hangs_below_one_of_the_other_side(emulator: Emulator, post: Post, path: str) -> None:
    """And below one of the same person."""
    await post(path, model=PLAIN, content="One")
    asked, answered = emulator.store.messages
    _, refusal = await post(path, model=PLAIN, content="Two", parent=asked)
    assert "different roles" in sentence(refusal)
    status, _ = await post(path, model=PLAIN, content="Two", parent=answered, headers={"X-Anonymous-User-ID": "x"})
    assert status == 403


async def test_visibility_must_stay(emulator: Emulator, post: Post) -> None:
    """v5 compares with a flag it never stored, so that a private thread breaks at its second turn."""
    assert (await post(V5, model=PLAIN, content="One", private="true"))[0] == 200
    answered = list(emulator.store.messages)[-1]
    status, refusal = await post(V5, model=PLAIN, content="Two", private="true", parent=answered)
    assert (status, "Visibility" in sentence(refusal)) == (422, True)


async def test_zeros_are_taken_for_nothing_in_v4(emulator: Emulator, post: Post) -> None:
    """In v5 they are kept; later turns inherit, but the stop texts."""
    for path, expected in ((V4, 0.7), (V5, 0.0)):
        await post(path, model=PLAIN, content="One", temperature="0", max_tokens="99", stop=["x"])
        last = list(emulator.store.messages.values())[-1]
        assert (last.opts["temperature"], last.opts["max_tokens"], last.opts["stop"]) == (expected, 99, ["x"])
        await post(path, model=PLAIN, content="Two", parent=last.id)
        last = list(emulator.store.messages.values())[-1]
        assert (last.opts["temperature"], last.opts["max_tokens"], last.opts["stop"]) == (expected, 99, [])


async def test_the_oldest_generation_wants_the_right_host(post: Post) -> None:
    """Both, model and host."""
    path = "/v4/message/stream"
    assert sentence((await post(path, model=PLAIN, content="Hi"))[1]) == "Field required"
    assert "model/host" in sentence((await post(path, model=PLAIN, content="Hi", host="inferd"))[1])
    assert (await post(path, model=PLAIN, content="Hi", host="cirrascale"))[0] == 200


@pytest.mark.parametrize(
    ("path", "how", "status"),
    [(V4, "json", 200), (V4, "data", 400), (V5, "json", 422), (V5, "data", 200)],
)
async def test_each_part_reads_its_own_content_types(
    *, session: aiohttp.ClientSession, path: str, how: str, status: int
) -> None:
    """v4 multipart and JSON, v5 multipart and urlencoded; what is not read leaves the form empty."""
    body: Any = {"model": PLAIN, "content": "Hi", "role": "user"}
    async with session.post(path, **{how: body}) as response:
        assert response.status == status
        if status != 200:
            assert sentence(await response.json()) == "Field required"


async def test_line_ends_are_made_the_same(emulator: Emulator, post: Post) -> None:
    """CRLF becomes LF."""
    await post(V5, model=PLAIN, content="one\r\ntwo")
    assert emulator.histories[0][-1]["content"] == "one\ntwo"


async def test_names_are_taken_in_both_spellings_and_unknown_ones_passed_over(emulator: Emulator, post: Post) -> None:
    """Lists only in one."""
    status, _ = await post(V4, model=PLAIN, content="Hi", max_tokens="9", more="?")
    assert status == 200
    assert list(emulator.store.messages.values())[-1].opts["max_tokens"] == 9


async def test_a_captcha_can_be_demanded_of_everybody(emulator: Emulator, post: Post) -> None:
    """A token, whatever it is, is taken."""
    emulator.captcha = True
    status, refusal = await post(V4, model=PLAIN, content="Hi")
    assert (status, refusal["error"]["validation_errors"][0]["loc"]) == (400, ["captchaToken"])
    assert (await post(V4, model=PLAIN, content="Hi", captchaToken="x"))[0] == 200


async def test_a_tool_result_needs_its_call(emulator: Emulator, post: Post) -> None:
    """A call id, and one that stands in the thread."""
    await post(V5, model=PLAIN, content="One")
    answered = list(emulator.store.messages)[-1]
    result = {"model": PLAIN, "role": "tool_call_result", "content": "7", "parent": answered}
    assert sentence((await post(V5, **result))[1]) == "Field required"
    assert "Can not find tool id" in sentence((await post(V5, toolCallId="call_9", **result))[1])
