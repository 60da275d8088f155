"""Conversations that the service keeps: continued, in another process too, replayed when they are gone, and deleted."""

import asyncio
import json
import os
import sys
from typing import Any

import pytest
from attrs import evolve

from core_allenai.sandbox import DIALECTS, TOKEN, Dialect, Emulator
from core_chat import (
    AuthenticationError,
    Conversation,
    ConversationExpiredError,
    InvalidRequestError,
    Message,
    PermissionDeniedError,
    ProviderError,
    Registry,
    Reply,
    TextDelta,
    UnavailableError,
)
from core_chat.sandbox import canned_answer
from core_chat.testing import Canned

AWKWARD = (
    "emoji 👩‍👩‍👧🐕, 日本語, tab\t, line\nline, \u2028 and \u2029 and \x85 and \ufeff, 'quotes' \"too\" \\ & --boundary"
)

_THIRD_TURN = """
import asyncio, sys
from core_chat import Conversation, Registry

async def main():
    base_url, dialect = sys.argv[1:]
    conversation = Conversation.from_json(sys.stdin.buffer.read())
    async with Registry(config={"allenai": {"base_url": base_url, "api": dialect}}, only=["allenai"]) as registry:
        reply = await registry.chat("allenai:", "Third", conversation=conversation)
    assert not reply.notices, reply.notices
    sys.stdout.buffer.write(reply.conversation.to_json().encode())

asyncio.run(main())
"""


def codes(reply: Reply) -> list[str]:
    """The codes of a reply's notices."""
    return [notice.code for notice in reply.notices]


def sent(emulator: Emulator) -> dict[str, list[str]]:
    """The fields of the last form that came in."""
    return emulator.received[-1].form.fields


def with_state(conversation: Conversation, **changes: Any) -> Conversation:
    """The conversation with its state changed."""
    return evolve(conversation, state={"allenai": {**conversation.state["allenai"], **changes}})


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_conversation_goes_on_in_a_new_process_with_only_its_json(dialect: Dialect) -> None:
    """Stopped after turn two; the third turn sends its own text alone, and the service knows the other two."""
    emulator = Emulator(dialects=[dialect])
    async with emulator.running() as origin:
        async with Registry(config={"allenai": {"base_url": origin}}, only=["allenai"]) as registry:
            first = await registry.chat("allenai:", AWKWARD)
            second = await registry.chat("allenai:", "Second", conversation=first.conversation)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", _THIRD_TURN, origin, dialect),
            env=os.environ,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(second.conversation.to_json().encode())
    assert process.returncode == 0
    third = Conversation.from_json(out)
    assert sent(emulator)["content"] == ["Third"]
    assert sent(emulator)["parent"] == [second.conversation.state["allenai"]["parent_id"]]
    spoken = [turn["content"] for turn in emulator.history(third.state["allenai"]["parent_id"])[1:]]
    answers = ["".join(canned_answer(prompt)) for prompt in (AWKWARD, "Second", "Third")]
    assert spoken == [AWKWARD, answers[0], "Second", answers[1], "Third", answers[2]]
    assert [turn.text for turn in third.messages] == spoken


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_text_survives_both_ways_byte_for_byte(emulator: Emulator, registry: Registry, dialect: Dialect) -> None:
    """Whatever is in it."""
    reply = await registry.chat("allenai:", AWKWARD, options={"api": dialect})
    assert sent(emulator)["content"] == [AWKWARD]
    assert reply.text.endswith(AWKWARD)
    assert not reply.notices


async def test_line_ends_that_the_service_changes_are_told(registry: Registry) -> None:
    """It makes a line feed of CRLF."""
    reply = await registry.chat("allenai:", "one\r\ntwo")
    assert codes(reply) == ["line_ends"]
    assert reply.text.endswith("one\ntwo")


async def test_the_state_has_the_ids_and_nothing_else(emulator: Emulator, registry: Registry) -> None:
    """Who asked, the thread, the last assistant message, the model; the thread is in the route too."""
    reply = await registry.chat("allenai:", "Hi")
    state = reply.conversation.state["allenai"]
    assert set(state) == {"anonymous_user_id", "root_id", "parent_id", "model", "tools", "private"}
    assert reply.route is not None
    assert reply.route.upstream_id == state["root_id"]
    assert emulator.store.messages[state["parent_id"]].role == "assistant"
    assert emulator.received[0].headers["X-Anonymous-User-ID"] == state["anonymous_user_id"]


async def test_each_conversation_has_an_anonymous_id_of_its_own(emulator: Emulator, registry: Registry) -> None:
    """And keeps it."""
    first = await registry.chat("allenai:", "One")
    await registry.chat("allenai:", "Two", conversation=first.conversation)
    await registry.chat("allenai:", "Other")
    one, two, other = (request.headers["X-Anonymous-User-ID"] for request in emulator.received)
    assert one == two != other


async def test_an_anonymous_id_in_the_headers_is_kept(emulator: Emulator, registry: Registry) -> None:
    """The thread is that one's, so that the next turn is sent with it too."""
    first = await registry.chat("allenai:", "One", headers={"x-anonymous-user-id": "me-0002"})
    await registry.chat("allenai:", "Two", conversation=first.conversation)
    assert [request.headers["X-Anonymous-User-ID"] for request in emulator.received] == ["me-0002"] * 2


async def test_visibility_is_kept_for_the_whole_thread(emulator: Emulator, registry: Registry) -> None:
    """v4 refuses a turn that says nothing of it in a private thread of somebody who is signed in."""
    options = {"api": "v4", "private": True}
    first = await registry.chat("allenai:", "One", api_key=TOKEN, options=options)
    second = await registry.chat(
        "allenai:", "Two", api_key=TOKEN, options={"api": "v4"}, conversation=first.conversation
    )
    assert sent(emulator)["private"] == ["true"]
    assert not second.notices


async def test_a_given_anonymous_id_is_used(emulator: Emulator, origin: str) -> None:
    """For every new conversation."""
    config = {"allenai": {"base_url": origin, "anonymous_user_id": "me-0001"}}
    async with Registry(config=config, only=["allenai"]) as registry:
        await registry.chat("allenai:", "Hi")
    assert emulator.received[0].headers["X-Anonymous-User-ID"] == "me-0001"


async def test_a_failed_turn_changes_nothing(emulator: Emulator, registry: Registry) -> None:
    """The next try hangs below the last good answer, and the service's view is whole."""
    first = await registry.chat("allenai:", "One")
    with pytest.raises(UnavailableError):
        await registry.chat("allenai:sandbox/error-after-text", "Two", conversation=first.conversation)
    again = await registry.chat("allenai:", "Two", conversation=first.conversation)
    history = emulator.history(again.conversation.state["allenai"]["parent_id"])
    assert [turn["role"] for turn in history] == ["system", "user", "assistant", "user", "assistant"]
    assert not again.notices


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_expired_conversation_is_replayed(emulator: Emulator, registry: Registry, dialect: Dialect) -> None:
    """The transcript begins a new thread, a notice says so, and the next turn hangs below that one."""
    options = {"api": dialect}
    first = await registry.chat("allenai:", "One", options=options)
    emulator.store.expire()
    second = await registry.chat("allenai:", "Two", conversation=first.conversation, options=options)
    assert codes(second) == ["conversation_replayed", "history_as_text"]
    transcript = f"User: One\nAssistant: {first.text}\nUser: Two\nAssistant:"
    assert emulator.histories[-1][-1] == {"role": "user", "content": transcript}
    third = await registry.chat("allenai:", "Three", conversation=second.conversation, options=options)
    assert not third.notices
    assert sent(emulator)["content"] == ["Three"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_conversation_expires_from_its_beginning(
    emulator: Emulator, registry: Registry, dialect: Dialect
) -> None:
    """Each message has a day of its own, so that the first ones go while the last ones are still there."""
    options = {"api": dialect}
    first = await registry.chat("allenai:", "One", options=options)
    emulator.store.messages[first.conversation.state["allenai"]["root_id"]].expires = 0.0
    second = await registry.chat("allenai:", "Two", conversation=first.conversation, options=options)
    assert codes(second) == ["conversation_replayed", "history_as_text"]


async def test_an_expired_conversation_without_a_transcript_is_an_error(emulator: Emulator, registry: Registry) -> None:
    """There is nothing to begin again with."""
    first = await registry.chat("allenai:", "One")
    emulator.store.expire()
    bare = Conversation(state=first.conversation.state)
    with pytest.raises(ConversationExpiredError):
        await registry.chat("allenai:", "Two", conversation=bare)


async def test_another_model_can_go_on(emulator: Emulator, registry: Registry) -> None:
    """In the same thread."""
    first = await registry.chat("allenai:", "One")
    second = await registry.chat("allenai:Olmo-3-7B-Instruct", "Two", conversation=first.conversation)
    assert second.route is not None
    assert second.route.model == "Olmo-3-7B-Instruct"
    assert not second.notices
    assert len(emulator.histories[-1]) == 4


async def test_a_conversation_begun_elsewhere_goes_on_here(emulator: Emulator, registry: Registry) -> None:
    """As one text, since the service takes no list; a notice says so."""
    registry.register(Canned("Ciao!"), "elsewhere")
    before = await registry.chat("elsewhere:", "Hello")
    reply = await registry.chat("allenai:", "And now?", conversation=before.conversation)
    assert codes(reply) == ["history_as_text"]
    assert emulator.histories[-1][-1]["content"] == "User: Hello\nAssistant: Ciao!\nUser: And now?\nAssistant:"


async def test_a_conversation_leaves_and_comes_back(emulator: Emulator, registry: Registry) -> None:
    """What another provider answered meanwhile is known here too."""
    registry.register(Canned("Ciao!"), "elsewhere")
    first = await registry.chat("allenai:", "One")
    away = await registry.chat("elsewhere:", "Two", conversation=first.conversation)
    back = await registry.chat("allenai:", "Three", conversation=away.conversation)
    assert "Ciao!" in emulator.histories[-1][-1]["content"]
    assert len(back.conversation.messages) == 6


async def test_system_messages_go_before_the_first_user_turn(emulator: Emulator, registry: Registry) -> None:
    """The service has no system role for callers."""
    reply = await registry.chat("allenai:", [Message("system", "Be brief."), Message("user", "Hi")])
    assert sent(emulator)["content"] == ["Be brief.\n\nHi"]
    assert not reply.notices
    await registry.chat("allenai:", "Again", conversation=reply.conversation)
    assert sent(emulator)["content"] == ["Again"]


async def test_trimmed_input_leaves_the_thread(emulator: Emulator, registry: Registry) -> None:
    """The thread would bring back what was left out."""
    first = await registry.chat("allenai:", "A" * 100)
    await registry.chat("allenai:", "Short", conversation=first.conversation, max_input_chars=40)
    assert sent(emulator)["content"] == ["Short"]
    assert "parent" not in sent(emulator)


async def test_somebody_elses_conversation_is_refused(registry: Registry) -> None:
    """The reason is the owner."""
    first = await registry.chat("allenai:", "One")
    foreign = with_state(first.conversation, anonymous_user_id="somebody-else")
    for dialect in DIALECTS:
        with pytest.raises(PermissionDeniedError, match="somebody else") as caught:
            await registry.chat("allenai:", "Two", conversation=foreign, options={"api": dialect})
        assert caught.value.reason == "owner"


@pytest.mark.parametrize("broken", [{"parent_id": None}, {"root_id": 7}, {"model": []}])
async def test_a_state_that_cannot_be_read_is_replayed(registry: Registry, broken: dict[str, Any]) -> None:
    """As when it has expired."""
    first = await registry.chat("allenai:", "One")
    second = await registry.chat("allenai:", "Two", conversation=with_state(first.conversation, **broken))
    assert codes(second) == ["conversation_replayed", "history_as_text"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_token_says_who_asks(emulator: Emulator, registry: Registry, dialect: Dialect) -> None:
    """Then no anonymous id is sent, and the thread is that person's."""
    reply = await registry.chat("allenai:", "One", api_key=TOKEN, options={"api": dialect})
    assert "X-Anonymous-User-ID" not in emulator.received[0].headers
    state = reply.conversation.state["allenai"]
    assert state["anonymous_user_id"] is None
    assert emulator.store.messages[state["root_id"]].creator == "sandbox-user"
    again = await registry.chat("allenai:", "Two", api_key=TOKEN, conversation=reply.conversation)
    assert not again.notices


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_bad_token_is_refused(registry: Registry, dialect: Dialect) -> None:
    """v5 would take it for an anonymous call if an anonymous id came with it."""
    with pytest.raises(AuthenticationError) as caught:
        await registry.chat("allenai:", "Hi", api_key="no-such-token", options={"api": dialect})
    assert "no-such-token" not in str(caught.value)


async def test_a_thread_stays_with_whoever_began_it(emulator: Emulator, registry: Registry) -> None:
    """With a token an anonymous conversation is begun again, and the other way round."""
    anonymous = await registry.chat("allenai:", "One")
    signed = await registry.chat("allenai:", "Two", conversation=anonymous.conversation, api_key=TOKEN)
    assert signed.notices[0].text.startswith("the conversation was begun anonymously")
    back = await registry.chat("allenai:", "Three", conversation=signed.conversation)
    assert back.notices[0].text.startswith("the conversation was begun with a token")
    assert emulator.received[-1].headers["X-Anonymous-User-ID"]


async def test_leaving_early_closes_the_connection(emulator: Emulator, registry: Registry) -> None:
    """The emulator sees the caller go."""
    emulator.slow = 60.0
    async with registry.stream("allenai:sandbox/slow-start", "Hi") as stream:
        waiting = asyncio.ensure_future(anext(stream))
        await emulator.opened.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.wait_for(emulator.left.wait(), 10)


def http_chunk(*values: dict[str, Any]) -> bytes:
    """JSON lines as one chunk of a body."""
    body = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    return b"%x\r\n%b\r\n" % (len(body), body)


async def test_what_came_before_the_connection_broke_reaches_a_slow_reader() -> None:
    """The text and the failure of one last piece, though the connection was gone when they were read."""
    read, written = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(http_chunk({"type": "modelResponse", "message": "m", "content": "Hel"}))
        await read.wait()
        failure = {"error": "status_code: 500", "message": "m", "reason": "Model http error"}
        writer.write(http_chunk({"type": "modelResponse", "message": "m", "content": "lo"}, failure))
        writer.close()
        await writer.wait_closed()
        written.set()

    async def read_slowly(registry: Registry) -> None:
        async with registry.stream("allenai:", "Hi") as stream:
            async for event in stream:
                if event == TextDelta("Hel"):
                    read.set()
                    await written.wait()
                    for _ in range(20):  # turns of the loop, in which the client's side sees the end
                        await asyncio.sleep(0)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    config = {"allenai": {"base_url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}}
    async with server, Registry(config=config, only=["allenai"]) as registry:
        with pytest.raises(UnavailableError, match="status_code: 500") as caught:
            await read_slowly(registry)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hello"


@pytest.mark.parametrize("dialects", [DIALECTS, ("v5",), ("v4",), ("v4-message",)])
async def test_a_conversation_can_be_deleted(dialects: tuple[Dialect, ...]) -> None:
    """From whichever generation there is; what is gone cannot be deleted again."""
    emulator = Emulator(dialects=dialects)
    async with (
        emulator.running() as origin,
        Registry(config={"allenai": {"base_url": origin}}, only=["allenai"]) as registry,
    ):
        reply = await registry.chat("allenai:", "Hi")
        assert await registry.delete(reply.conversation) == ("allenai",)
        assert not emulator.store.messages
        with pytest.raises(ConversationExpiredError):
            await registry.delete(reply.conversation)


@pytest.mark.parametrize("api", [*DIALECTS, "auto"])
async def test_the_deleting_endpoint_follows_the_generation(emulator: Emulator, origin: str, api: str) -> None:
    """A fixed one is kept to."""
    config = {"allenai": {"base_url": origin, "api": api}}
    async with Registry(config=config, only=["allenai"]) as registry:
        reply = await registry.chat("allenai:", "Hi")
        await registry.delete(reply.conversation)
    assert not emulator.store.messages


async def test_a_signed_in_conversation_is_deleted_with_the_token(emulator: Emulator, origin: str) -> None:
    """That of the configuration, since deleting takes no other."""
    config = {"allenai": {"base_url": origin, "token": TOKEN}}
    async with Registry(config=config, only=["allenai"]) as registry:
        reply = await registry.chat("allenai:", "Hi")
        await registry.delete(reply.conversation)
    assert not emulator.store.messages


async def test_only_the_owner_deletes(registry: Registry) -> None:
    """Whoever else tries is refused."""
    reply = await registry.chat("allenai:", "Hi")
    with pytest.raises(ProviderError) as caught:
        await registry.delete(with_state(reply.conversation, anonymous_user_id="somebody-else"))
    assert isinstance(caught.value, PermissionDeniedError)
    assert caught.value.reason == "owner"


async def test_a_conversation_without_a_thread_cannot_be_deleted(registry: Registry) -> None:
    """There is nothing at the service."""
    with pytest.raises(InvalidRequestError, match="no thread"):
        await registry.delete(Conversation(state={"allenai": {}}))
