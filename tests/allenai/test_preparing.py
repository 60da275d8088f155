"""What is checked before the first post: limits, parameters, tools and pictures."""

from typing import Any

import pytest
from tests.allenai.test_files import GIF, PNG
from tests.allenai.wires import answer

from core_allenai.sandbox import DIALECTS, Dialect, Emulator
from core_chat import Image, InvalidRequestError, Message, Notice, Registry, Reply, Tool
from core_chat.testing import Response, Upstream

WEATHER = Tool("weather", "Tells the weather", {"type": "object", "properties": {"city": {"type": "string"}}})


def look(*images: Image, text: str = "What is it?") -> list[Message]:
    """A question about pictures."""
    return [Message("user", [text, *images])]


def named(reply: Reply) -> list[str | None]:
    """The parameters that a reply's notices name."""
    return [notice.parameter for notice in reply.notices]


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"temperature": 1.5}, "temperature for Olmo-3.1-32B-Instruct goes from 0 to 1, not 1.5"),
        ({"max_tokens": 4096}, "max_tokens for Olmo-3.1-32B-Instruct goes from 1 to 2048, not 4096"),
    ],
)
async def test_limits_are_those_of_the_live_entry(
    *, emulator: Emulator, registry: Registry, parameters: dict[str, Any], told: str
) -> None:
    """And nothing is sent beyond them."""
    with pytest.raises(InvalidRequestError, match=told):
        await registry.chat("allenai:", "Hi", **parameters)
    assert not emulator.received


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_parameters_arrive(emulator: Emulator, registry: Registry, dialect: Dialect) -> None:
    """In every generation, as the service stores them."""
    parameters: dict[str, Any] = {"temperature": 0.25, "top_p": 0.5, "max_tokens": 99, "stop": ["x", "y"]}
    reply = await registry.chat("allenai:", "Hi", options={"api": dialect}, **parameters)
    stored = emulator.store.messages[reply.conversation.state["allenai"]["parent_id"]].opts
    assert stored.items() >= parameters.items()
    assert not reply.notices


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["temperature", "top_p"])
async def test_a_zero_is_honoured_or_told(
    *, emulator: Emulator, registry: Registry, dialect: Dialect, name: str
) -> None:
    """v4 takes it for the default, so that a strict call is refused before anything is generated."""
    options = {"api": dialect}
    reply = await registry.chat("allenai:", "Hi", options=options, **{name: 0})  # type: ignore[arg-type]
    stored = emulator.store.messages[reply.conversation.state["allenai"]["parent_id"]].opts
    if dialect == "v5":
        assert (named(reply), stored[name]) == ([], 0)
        return
    assert (named(reply), stored[name]) == ([name], {"temperature": 0.7, "top_p": 1.0}[name])
    before = len(emulator.received)
    with pytest.raises(InvalidRequestError):
        await registry.chat("allenai:", "Hi", options=options, strict=True, **{name: 0})  # type: ignore[arg-type]
    assert len(emulator.received) == before


async def test_what_the_service_does_not_take_is_told(registry: Registry) -> None:
    """Each by its name."""
    asked: dict[str, Any] = {
        "top_k": 5,
        "seed": 0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.1,
        "reasoning_effort": "low",
        "response_format": "json",
        "width": 8,
        "height": 8,
        "aspect_ratio": "1:1",
    }
    reply = await registry.chat("allenai:", "Hi", **asked)
    assert sorted(map(str, named(reply))) == sorted(asked)


async def test_settings_that_a_generation_ignores_are_told(emulator: Emulator, registry: Registry) -> None:
    """Privacy in v5, the host in all but the oldest."""
    v5 = await registry.chat("allenai:", "Hi", options={"private": True, "host": "modal"})
    assert named(v5) == ["options", "options"]
    assert "private" not in emulator.received[-1].form.fields
    v4 = await registry.chat("allenai:", "Hi", options={"private": True, "api": "v4"})
    again = await registry.chat("allenai:", "Hi", options={"private": True, "api": "v4"}, conversation=v4.conversation)
    assert named(v4) == named(again) == []
    assert emulator.received[-1].form.one("private") == "true"


async def test_a_configured_default_is_no_wish_of_a_call(emulator: Emulator, origin: str) -> None:
    """Where a generation has no use for it, nothing needs to be told."""
    config = {"allenai": {"base_url": origin, "private": True, "host": "modal"}}
    async with Registry(config=config, only=["allenai"]) as registry:
        assert named(await registry.chat("allenai:", "Hi", strict=True)) == []
        await registry.chat("allenai:", "Hi", options={"api": "v4"})
    assert ["private" in request.form.fields for request in emulator.received] == [False, True]


async def test_the_oldest_generation_is_told_the_host(emulator: Emulator, registry: Registry) -> None:
    """As the list says, or as the caller does."""
    options = {"api": "v4-message"}
    await registry.chat("allenai:cs-Llama-3.1-Tulu-3.1-8B", "Hi", options=options)
    assert emulator.received[-1].form.one("host") == "cirrascale"
    with pytest.raises(Exception, match="does not serve"):
        await registry.chat("allenai:", "Hi", options={**options, "host": "modal"})
    assert emulator.received[-1].form.one("host") == "modal"


async def test_without_a_list_the_limits_are_not_checked() -> None:
    """A notice says so, and the request is sent; the list is asked for once more next time."""
    routes = {"POST /v5/threads/chat": Response.lines(answer(["Hi"], generation="v5")), "*": Response(status=503)}
    async with Upstream(routes=routes) as upstream:
        config = {"allenai": {"base_url": upstream.url}}
        async with Registry(config=config, only=["allenai"]) as registry:
            reply = await registry.chat("allenai:", "Hi", temperature=2.0)
    assert [(notice.code, notice.parameter) for notice in reply.notices] == [("limits_unknown", None)]


async def test_the_list_is_asked_for_only_when_it_matters_and_kept() -> None:
    """A plain chat needs no list; two calls with parameters need one."""
    routes = {
        "POST /v5/threads/chat": Response.lines(answer(["Hi"], generation="v5")),
        "GET /v5/models/": Response.json([{"id": "Olmo-3.1-32B-Instruct", "temperatureUpper": 1.0}]),
    }
    async with Upstream(routes=routes) as upstream:
        config = {"allenai": {"base_url": upstream.url}}
        async with Registry(config=config, only=["allenai"]) as registry:
            await registry.chat("allenai:", "Hi")
            assert [request.method for request in upstream.requests] == ["POST"]
            for _ in range(2):
                await registry.chat("allenai:", "Hi", temperature=0.5)
            assert [request.method for request in upstream.requests] == ["POST", "GET", "POST", "POST"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_pictures_arrive_with_their_text(emulator: Emulator, registry: Registry, dialect: Dialect) -> None:
    """Several, byte for byte, as files, beside parameters; the model is shown as many."""
    messages = look(Image(PNG), Image(GIF))
    reply = await registry.chat("allenai:molmo2-8b", messages, options={"api": dialect}, temperature=0.5)
    files = emulator.received[-1].form.files
    assert [(file.media_type, file.data) for file in files] == [("image/png", PNG), ("image/gif", GIF)]
    assert emulator.histories[-1][-1]["files"] == 2
    assert reply.text.endswith("What is it?")


@pytest.mark.parametrize(
    ("model", "messages", "told"),
    [
        ("", look(Image(PNG)), "takes no pictures; these do: molmo2-8b, molmo2-4b"),
        ("molmo2-8b", look(*[Image(PNG)] * 4), "takes 3 pictures with a message, not 4"),
        ("molmo2-8b", look(Image(PNG + bytes(1_000_000))), "larger than 1000000 bytes"),
        ("molmo2-8b", look(Image(PNG), text=""), "needs some text"),
    ],
)
async def test_pictures_that_cannot_go_are_refused_before_anything_is_sent(
    *, emulator: Emulator, registry: Registry, model: str, messages: list[Message], told: str
) -> None:
    """With the models that take them."""
    with pytest.raises(InvalidRequestError, match=told):
        await registry.chat(f"allenai:{model}", messages)
    assert not emulator.received


async def test_pictures_in_follow_ups_depend_on_the_model(emulator: Emulator, registry: Registry) -> None:
    """One takes them with the first message only, the other always."""
    first = await registry.chat("allenai:molmo2-8b", look(Image(PNG)))
    with pytest.raises(InvalidRequestError, match="first message of a conversation only"):
        await registry.chat("allenai:molmo2-8b", look(Image(PNG)), conversation=first.conversation)
    await registry.chat("allenai:molmo2-4b", look(Image(PNG)), conversation=first.conversation)
    assert len(emulator.histories[-1]) == 3


async def test_pictures_of_a_replayed_transcript_come_along_as_far_as_they_can(
    emulator: Emulator, registry: Registry
) -> None:
    """With a model that takes none they are left out, and a notice names the messages."""
    first = await registry.chat("allenai:molmo2-8b", look(Image(PNG)))
    emulator.store.expire()
    second = await registry.chat("allenai:molmo2-8b", "And now?", conversation=first.conversation)
    assert emulator.histories[-1][-1]["files"] == 1
    emulator.store.expire()
    third = await registry.chat("allenai:", "And with Olmo?", conversation=second.conversation)
    assert "files" not in emulator.histories[-1][-1]
    assert (
        Notice(
            "images_left_out",
            "1 pictures of earlier turns were left out: Olmo-3.1-32B-Instruct does not take them",
            parameter="messages",
        )
        in third.notices
    )


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_tool_call_and_its_result(emulator: Emulator, registry: Registry, dialect: Dialect) -> None:
    """The call comes to the caller, the result goes on the next turn, and the service knows whose it is."""
    options = {"api": dialect}
    asked = await registry.chat("allenai:", "Weather in Rome?", tools=[WEATHER], options=options)
    assert asked.finish is not None
    assert asked.finish.reason == "tool_calls"
    (called,) = asked.tool_calls
    assert (called.name, called.arguments) == ("weather", '{"city": "sandbox"}')
    result = {"role": "tool", "tool_call_id": called.id, "content": "Sunny, 23 °C"}
    told = await registry.chat("allenai:", [result], tools=[WEATHER], conversation=asked.conversation, options=options)
    assert told.text.endswith("You wrote: Sunny, 23 °C")
    assert not told.notices
    assert [turn["role"] for turn in emulator.histories[-1]] == ["system", "user", "assistant", "tool_call_result"]
    after = await registry.chat("allenai:", "Thanks", conversation=told.conversation, options=options)
    assert not after.notices


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_two_tool_calls_and_their_results(emulator: Emulator, registry: Registry, dialect: Dialect) -> None:
    """Each result is a post below the one before; only after the last one does the model answer."""
    options = {"api": dialect}
    tools = [WEATHER, Tool("time", "Tells the time")]
    asked = await registry.chat("allenai:sandbox/all-tools", "Rome?", tools=tools, options=options)
    assert [call.name for call in asked.tool_calls] == ["weather", "time"]
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"result of {call.name}"} for call in asked.tool_calls
    ]
    told = await registry.chat("allenai:", results, tools=tools, conversation=asked.conversation, options=options)
    assert told.text.endswith("You wrote: result of time")
    contents = [turn["content"] for turn in emulator.histories[-1][-2:]]
    assert contents == ["result of weather", "result of time"]
    assert len(emulator.received) == 3


async def test_tools_a_model_cannot_call_are_told(emulator: Emulator, registry: Registry) -> None:
    """And not sent."""
    reply = await registry.chat("allenai:Olmo-3-7B-Instruct", "Hi", tools=[WEATHER])
    assert named(reply) == ["tools"]
    assert "toolDefinitions" not in emulator.received[0].form.fields


@pytest.mark.parametrize(
    ("choice", "noticed"), [("auto", []), ("required", ["tool_choice"]), ("weather", ["tool_choice"])]
)
async def test_the_model_chooses_its_tools_itself(registry: Registry, choice: str, noticed: list[str]) -> None:
    """Anything firmer is told."""
    assert named(await registry.chat("allenai:", "Hi", tools=[WEATHER], tool_choice=choice)) == noticed


async def test_no_tools_can_be_chosen(emulator: Emulator, registry: Registry) -> None:
    """Then none are sent, and nothing has to be told."""
    reply = await registry.chat("allenai:", "Hi", tools=[WEATHER], tool_choice="none")
    assert (named(reply), reply.tool_calls) == ([], ())
    assert "toolDefinitions" not in emulator.received[0].form.fields


async def test_what_the_service_drops_from_a_schema_is_told(registry: Registry) -> None:
    """A strict caller would rather not ask."""
    tool = Tool("weather", "", {"type": "object", "properties": {"city": {"type": "string", "enum": ["Rome"]}}})
    reply = await registry.chat("allenai:", "Hi", tools=[tool])
    assert Notice("adjusted_parameter", "the Playground drops enum from tool schemas", "tools") in reply.notices


@pytest.mark.parametrize(("dialect", "noticed"), [("v5", []), ("v4", ["tools"]), ("v4-message", ["tools"])])
async def test_v4_keeps_the_tools_of_the_first_turn(registry: Registry, dialect: str, noticed: list[str]) -> None:
    """Other tools later are told; the same ones are not."""
    first = await registry.chat("allenai:", "Hi", options={"api": dialect})
    later = await registry.chat(
        "allenai:", "Hi", tools=[WEATHER], conversation=first.conversation, options={"api": dialect}
    )
    assert named(later) == noticed


async def test_unknown_service_tools_are_refused(emulator: Emulator, registry: Registry) -> None:
    """With those that the model has."""
    with pytest.raises(InvalidRequestError, match="no service tool 'dice': it has create_random_number"):
        await registry.chat("allenai:", "Hi", options={"selected_tools": ["dice"]})
    with pytest.raises(InvalidRequestError, match="no service tool 'dice': it has none"):
        await registry.chat("allenai:Olmo-3-7B-Instruct", "Hi", options={"selected_tools": ["dice"]})
    assert not emulator.received
