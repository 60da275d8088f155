"""The three generations of the API, spoken one at a time, give the same events."""

from typing import Any

import pytest
from attrs import evolve

from core_allenai.sandbox import DIALECTS, Dialect, Emulator
from core_chat import (
    Conversation,
    Event,
    Finish,
    ProviderError,
    ReasoningDelta,
    Registry,
    Retry,
    Route,
    TextDelta,
)
from core_chat.sandbox import canned_answer

SITUATIONS = {
    "new": "Olmo-3.1-32B-Instruct",
    "follow-up": "Olmo-3.1-32B-Instruct",
    "thinking": "Olmo-3.1-32B-Think",
    "error before text": "sandbox/error-before-text",
    "error after text": "sandbox/error-after-text",
    "cut": "sandbox/cut-midway",
}
PROMPT = "Wie geht's, 日本?\nZeile 🐕"


def comparable(events: list[Event]) -> list[Event]:
    """Events without the ids, which differ each time."""
    plain: list[Event] = []
    for event in events:
        match event:
            case Route(upstream_id=str()):
                plain.append(evolve(event, upstream_id="the thread"))
            case Finish(state=dict()):
                plain.append(evolve(event, state=sorted(event.state)))
            case _:
                plain.append(event)
    return plain


async def heard(registry: Registry, model: str, **more: Any) -> tuple[list[Event], str, str]:
    """The events of an answer, the class of the error that ended it, and the text that had come by then."""
    events: list[Event] = []
    try:
        async with registry.stream(f"allenai:{model}", PROMPT, **more) as stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - those before an error count too
    except ProviderError as error:
        partial = error.partial.text if error.partial else "?"
        return comparable(events), type(error).__name__, partial
    return comparable(events), "", ""


async def situation(dialect: Dialect, name: str) -> tuple[Any, ...]:
    """Everything that can be seen of one situation over one generation, the service's view included."""
    emulator = Emulator(dialects=[dialect])
    async with (
        emulator.running() as origin,
        Registry(config={"allenai": {"base_url": origin}}, only=["allenai"], retry=Retry(attempts=1)) as registry,
    ):
        before = Conversation()
        if name == "follow-up":
            before = (await registry.chat("allenai:", "First")).conversation
        result = await heard(registry, SITUATIONS[name], conversation=before)
    return *result, emulator.histories[-1]


@pytest.mark.parametrize("name", SITUATIONS)
async def test_the_generations_give_the_same_events(name: str) -> None:
    """Found automatically, each from a server that has no other; the events, the failure and the partial text agree."""
    seen = {dialect: await situation(dialect, name) for dialect in DIALECTS}
    assert seen["v4"] == seen["v5"]
    assert seen["v4-message"] == seen["v5"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_events_are_the_expected_ones(dialect: Dialect) -> None:
    """Not only the same: every piece of text and thought, the route, and the state that continues."""
    route = Route("allenai", "Olmo-3.1-32B-Think", backend="ai2_model_hub", upstream_id="the thread")
    state = ["anonymous_user_id", "model", "parent_id", "private", "root_id", "tools"]
    events, error, _, history = await situation(dialect, "thinking")
    thoughts = [ReasoningDelta(text) for text in ("A sandbox has ", "no thoughts;\n", "these are canned.")]
    text = [TextDelta(piece) for piece in canned_answer(PROMPT)]
    assert events == [route, *thoughts, *text, Finish("stop", state=state)]
    assert error == ""
    assert [turn["role"] for turn in history] == ["system", "user"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("error before text", "UnavailableError", ""),
        ("error after text", "UnavailableError", "This is a"),
        ("cut", "IncompleteStreamError", "This is a"),
    ],
)
async def test_failures_keep_the_partial_text(*, dialect: Dialect, name: str, error: str, text: str) -> None:
    """An error line is that error, though v4's body breaks off after it; a body that just breaks off is incomplete."""
    _, kind, partial, _ = await situation(dialect, name)
    assert (kind, partial) == (error, text)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_service_sees_the_whole_conversation(dialect: Dialect) -> None:
    """Only the new text was sent, and the service rebuilt the rest from the parent."""
    *_, history = await situation(dialect, "follow-up")
    assert [turn["content"] for turn in history[1:]] == ["First", "".join(canned_answer("First")), PROMPT]
