"""From messages to posts."""

from typing import Any

import pytest

from core_allenai._state import ThreadState
from core_allenai._turns import Plan, Post, from_transcript, plan_posts
from core_chat import (
    ChatRequest,
    Conversation,
    Image,
    InvalidRequestError,
    Message,
    ModelInfo,
    ToolCall,
    ToolResult,
)

STATE = ThreadState(anonymous_user_id="u", root_id="r", parent_id="p", model="m")
PICTURE = Image(b"\x89PNG\r\n\x1a\n")
ASKED = Message("user", "Weather?")
CALLED = Message("assistant", [ToolCall("a", "weather"), ToolCall("b", "weather")])


def planned(before: list[Message], new: list[Message]) -> Plan:
    """The plan for new turns after others, below a thread."""
    conversation = Conversation(tuple(before))
    messages = (*before, *new)
    return plan_posts(
        ChatRequest(model=ModelInfo("m"), messages=messages, new_messages=tuple(new), conversation=conversation), STATE
    )


def results(*ids: str, content: str = "sunny") -> Message:
    """Results of tool calls."""
    return Message("tool", [ToolResult(call_id, content) for call_id in ids])


def codes(plan: Plan) -> list[str]:
    """The codes of a plan's notices."""
    return [notice.code for notice in plan.notices]


@pytest.mark.parametrize(
    ("messages", "content"),
    [
        ([Message("user", "Hi")], "Hi"),
        ([Message("user", "  Hi\n")], "  Hi\n"),
        ([Message("system", "Be brief"), Message("user", "Hi")], "Be brief\n\nHi"),
        ([Message("user", "Hi"), Message("system", "Be brief")], "Be brief\n\nHi"),
        ([Message("user", "One"), Message("user", "Two")], "One\n\nTwo"),
    ],
)
def test_user_and_system_turns_are_one_text(messages: list[Message], content: str) -> None:
    """The system's first; a lone text stays as it is."""
    assert from_transcript(messages) == Plan(posts=(Post(content=content),))


def test_a_history_becomes_one_prompt() -> None:
    """Flattened as everywhere, and told."""
    plan = from_transcript([Message("user", "One"), Message("assistant", "1"), Message("user", "Two")])
    assert plan.posts == (Post(content="User: One\nAssistant: 1\nUser: Two\nAssistant:"),)
    assert codes(plan) == ["history_as_text"]


def test_a_trailing_assistant_turn_is_left_open() -> None:
    """The service cannot continue it; a notice names the messages."""
    plan = from_transcript([Message("user", "Count"), Message("assistant", "1, 2,")])
    assert plan.posts[0].content == "User: Count\nAssistant: 1, 2,"
    assert [(notice.code, notice.parameter) for notice in plan.notices] == [
        ("history_as_text", None),
        ("continuation_uncertain", "messages"),
    ]


def test_pictures_come_along() -> None:
    """Those of all turns, in order."""
    other = Image("https://example.org/x.png")
    plan = from_transcript(
        [Message("user", ["One", PICTURE]), Message("assistant", "1"), Message("user", ["2", other])]
    )
    assert plan.posts[0].images == (PICTURE, other)


@pytest.mark.parametrize("parts", [[PICTURE], [" ", PICTURE]])
def test_a_post_needs_text(parts: list[Any]) -> None:
    """The service refuses a picture alone."""
    with pytest.raises(InvalidRequestError, match="needs some text"):
        from_transcript([Message("user", parts)])


def test_below_a_thread_only_the_new_turn_is_posted() -> None:
    """With the state it continues."""
    plan = planned([Message("user", "One"), Message("assistant", "1")], [Message("user", "Two")])
    assert plan == Plan(posts=(Post(content="Two"),), state=STATE)


def test_new_turns_of_both_sides_are_one_text_below_the_thread() -> None:
    """Nothing of them is lost, and the thread stays."""
    new = [Message("user", "Two"), Message("assistant", "2"), Message("user", "Three")]
    plan = planned([Message("user", "One"), Message("assistant", "1")], new)
    assert plan.posts == (Post(content="User: Two\nAssistant: 2\nUser: Three\nAssistant:"),)
    assert (plan.state, codes(plan)) == (STATE, ["history_as_text"])


def test_each_tool_result_is_a_post() -> None:
    """In the order in which they were given; an empty one becomes a space, which the service takes."""
    plan = planned([ASKED, CALLED], [results("b"), results("a", content="")])
    assert plan.posts == (
        Post(role="tool_call_result", content="sunny", tool_call_id="b"),
        Post(role="tool_call_result", content=" ", tool_call_id="a"),
    )
    assert plan.state == STATE


@pytest.mark.parametrize(
    ("new", "told"),
    [([results("a")], "'b' needs a result too"), ([results("a", "b", "c")], "no tool call waits for a result 'c'")],
)
def test_results_must_fit_the_calls(new: list[Message], told: str) -> None:
    """Else the service would answer nothing, or refuse."""
    with pytest.raises(InvalidRequestError, match=told):
        planned([ASKED, CALLED], new)


@pytest.mark.parametrize("new", [[Message("user", "Never mind")], [results("a", "b"), Message("user", "And?")]])
def test_turns_that_do_not_fit_below_open_calls_begin_anew(new: list[Message]) -> None:
    """The service would wait for the results for ever."""
    plan = planned([ASKED, CALLED], new)
    assert plan.state is None
    assert codes(plan) == ["conversation_replayed", "history_as_text"]
    assert "Weather?" in plan.posts[0].content


def test_results_that_were_given_before_are_not_waited_for() -> None:
    """The thread goes on."""
    before = [ASKED, CALLED, results("a", "b"), Message("assistant", "Sunny")]
    assert planned(before, [Message("user", "Thanks")]).posts == (Post(content="Thanks"),)
