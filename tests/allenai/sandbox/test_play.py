"""The lines of the emulator's answers, as each generation writes them."""

import json
from typing import Any

import aiohttp
import pytest
from tests.allenai.sandbox.conftest import USER, Post

from core_allenai.sandbox import CHOSEN_BEHAVIOUR, MODELS, Emulator
from core_allenai.sandbox._answers import UNICODE, example
from core_chat.sandbox import canned_answer

OLMO = "Olmo-3.1-32B-Instruct"
V4, V5, OLDEST = "/v4/threads/", "/v5/threads/chat", "/v4/message/stream"
ANSWER = canned_answer("Hello there")


def kinds(lines: list[dict[str, Any]]) -> list[str]:
    """The types of lines; a state line of v4 has none."""
    return [line.get("type", "state" if "messages" in line or "children" in line else "failure") for line in lines]


async def test_v4_writes_states_around_the_chunks(post: Post) -> None:
    """The first state is not final and the answer in it empty; the last one is, and whole."""
    _, lines = await post(V4, model=OLMO, content="Hello there")
    assert kinds(lines) == ["start", "state", *["modelResponse"] * (len(ANSWER) + 1), "state", "end"]
    first, last = (line["messages"] for line in lines if "messages" in line)
    assert [message["role"] for message in first] == ["system", "user", "assistant"]
    assert (first[2]["content"], first[2]["final"]) == ("", False)
    assert (last[2]["content"], last[2]["final"]) == ("".join(ANSWER), True)
    assert lines[0]["message"] == lines[-1]["message"] == first[0]["id"] == first[2]["root"]
    assert first[0]["children"] == [first[1]["id"]]
    assert "".join(line["content"] for line in lines if line.get("type") == "modelResponse") == "".join(ANSWER)


async def test_the_fields_are_those_of_the_service(post: Post) -> None:
    """By name, in the newer generations and in the oldest."""
    _, lines = await post(V4, model=OLMO, content="Hello there")
    known = (
        "agentId children completion content created creator deleted errorCode errorDescription errorSeverity "
        "expirationTime extraParameters fileUrls final finishReason harmful id inputParts isLimitReached "
        "isOlderThan30Days labels modelHost modelId modelType opts original parent private role root snippet template "
        "thinking toolCalls toolDefinitions"
    )
    assert sorted(lines[1]["messages"][0]) == known.split()
    assert lines[1]["messages"][0]["creator"] == USER
    _, lines = await post(OLDEST, model=OLMO, host="ai2_model_hub", content="Hello there")
    old = (
        "id content snippet creator role opts root created model_id model_host deleted parent template logprobs "
        "children completion final original private model_type finish_reason harmful expiration_time labels file_urls "
        "thinking error_code error_description error_severity"
    )
    assert sorted(lines[1]) == sorted(old.split())


async def test_v5_puts_the_first_piece_into_the_message(post: Post) -> None:
    """And does not repeat it; every line has a type and a message."""
    _, lines = await post(V5, model=OLMO, content="Hello there")
    expected = ["start", "startThread", "addMessage", *["modelResponse"] * (len(ANSWER) - 1), "finalThread", "end"]
    assert kinds(lines) == expected
    assert all(line["message"] for line in lines)
    assert lines[2]["messages"][0]["content"] == ANSWER[0]
    assert lines[3]["content"] == ANSWER[1]


async def test_the_oldest_nests_its_messages(post: Post) -> None:
    """With a system prompt the answer is two levels deep."""
    _, lines = await post(OLDEST, model=OLMO, host="ai2_model_hub", content="Hello there")
    state = lines[-2]
    chain = [state, *state["children"], *state["children"][0]["children"]]
    assert [message["role"] for message in chain] == ["system", "user", "assistant"]
    assert chain[2]["content"] == "".join(ANSWER)
    assert kinds(lines)[-1] == "end"


@pytest.mark.parametrize(("path", "kind"), [(V4, "state"), (V5, "addMessage")])
async def test_a_follow_up_shows_only_what_is_new(post: Post, path: str, kind: str) -> None:
    """The thread is named at the start and the end, the new turn in between."""
    _, lines = await post(path, model=OLMO, content="One")
    root, parent = lines[0]["message"], lines[-2]["messages"][-1]["id"]
    _, lines = await post(path, model=OLMO, content="Two", parent=parent)
    assert kinds(lines)[1] == kind
    assert lines[0]["message"] == lines[-1]["message"] == root
    assert lines[1]["messages"][0]["content"] == "Two"
    assert lines[1]["messages"][0]["parent"] == parent


@pytest.mark.parametrize(("path", "ascii_only"), [(V4, True), (V5, False)])
async def test_bytes_are_written_as_each_part_writes_them(
    session: aiohttp.ClientSession, path: str, *, ascii_only: bool
) -> None:
    """v4 escapes and sorts, v5 writes UTF-8."""
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("model", "sandbox/unicode")
    form.add_field("content", "Hi")
    async with session.post(path, data=form) as response:
        assert response.content_type == "application/jsonl"
        body = await response.read()
    assert body.isascii() is ascii_only
    lines = [json.loads(line) for line in body.split(b"\n") if line]
    assert lines[-2]["messages"][-1]["content"] == "".join(UNICODE)
    assert body.startswith(b'{"message": ' if ascii_only else b'{"message":"')


async def test_a_failure_in_v4_breaks_the_body_off(session: aiohttp.ClientSession) -> None:
    """After a line without a type, and without the last chunk."""
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("model", "sandbox/error-after-text")
    form.add_field("content", "Hi")
    received = b""
    async with session.post(V4, data=form) as response:
        with pytest.raises(aiohttp.ClientPayloadError):  # noqa: PT012 - what came before it counts
            while True:
                received += await response.content.readany()
    failure = json.loads(received.splitlines()[-1])
    assert set(failure) == {"error", "message", "reason"}


async def test_a_failure_in_v5_is_told_and_closed(post: Post) -> None:
    """A typed line, the final state, the end."""
    _, lines = await post(V5, model="sandbox/error-after-text", content="Hi")
    assert kinds(lines)[-3:] == ["error", "finalThread", "end"]
    _, lines = await post(V5, model="sandbox/error-before-text", content="Hi")
    assert kinds(lines) == ["start", "startThread", "error", "finalThread", "end"]


@pytest.mark.parametrize("path", [V4, V5])
async def test_a_wrong_tool_ends_the_answer_cleanly(post: Post, path: str) -> None:
    """In v4 the text is not even stored."""
    _, lines = await post(path, model="sandbox/tool-error", content="Hi")
    assert kinds(lines)[-3:] == ["error", "state" if path == V4 else "finalThread", "end"]
    assert lines[-3]["errorCode"] == "toolCallError"
    last = lines[-2]["messages"][-1]
    assert (last["content"], last["final"]) == ("" if path == V4 else "This is a", False)


@pytest.mark.parametrize("path", [V4, V5])
async def test_tools_the_service_runs_itself_take_two_answers(post: Post, path: str) -> None:
    """The call, its result as a message, and a second assistant message with the text."""
    _, lines = await post(path, model="sandbox/server-tool", content="Hi")
    roles = [message["role"] for message in lines[-2]["messages"]]
    assert roles == ["system", "user", "assistant", "tool_call_result", "assistant"]
    assert {line["toolSource"] for line in lines if line.get("type") == "toolCall"} == {"model_context_protocol", None}


@pytest.mark.parametrize("path", [V4, V5])
async def test_a_tool_result_among_several_is_stored_without_an_answer(
    emulator: Emulator, post: Post, path: str
) -> None:
    """The model is asked once the last result is there."""
    tools = json.dumps([{"name": name, "description": "", "parameters": {"type": "object"}} for name in ("a", "b")])
    asked = {"model": "sandbox/all-tools", "content": "Go", "enableToolCalling": "true", "toolDefinitions": tools}
    _, lines = await post(path, **asked)
    assert [line["toolName"] for line in lines if line.get("type") == "toolCall" and line["toolName"]] == ["a", "b"]
    result = {"model": OLMO, "role": "tool_call_result", "content": "7"}
    _, first = await post(path, toolCallId="call_1", parent=list(emulator.store.messages)[-1], **result)
    assert not any(line.get("type") == "modelResponse" for line in first)
    assert kinds(first)[-1] == "end"
    _, second = await post(path, toolCallId="call_2", parent=list(emulator.store.messages)[-1], **result)
    assert second[-2]["messages"][-1]["role"] == "assistant"


def test_every_chosen_behaviour_is_a_model() -> None:
    """That is hidden from people, but served."""
    models = {model.id: model for model in MODELS}
    assert {f"sandbox/{name}" for name in CHOSEN_BEHAVIOUR} <= set(models)
    assert all(model.internal or model.deprecated for name, model in models.items() if name.startswith("sandbox/"))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "array"}}}, {"a": 1, "b": []}),
        ({"type": "boolean"}, True),
        ({"type": "number"}, 1.5),
        ({}, None),
    ],
)
def test_example_arguments_fit_their_schema(schema: dict[str, Any], value: Any) -> None:
    """So that a caller can try the tool."""
    assert example(schema) == value
