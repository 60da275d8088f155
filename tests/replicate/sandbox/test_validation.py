"""What a create request may hold: its top level, and the input of each model."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from core_replicate.sandbox import Emulator
from core_replicate.sandbox.validation import check_input

Call = Callable[..., Awaitable[tuple[int, Any]]]
CHAT = "meta/meta-llama-3-8b-instruct"
PROMPT = {"prompt": "Hello you"}
RECORDED = Path(__file__).parents[4] / "shared" / "recorded" / "replicate" / "http"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"model": CHAT, "input": {}}, "- version is required\n- Additional property model is not allowed\n"),
        ({"version": CHAT}, "- input is required\n"),
        ({"version": CHAT, "input": [1]}, "- input: Invalid type. Expected: object, given: array\n"),
        ({"version": CHAT, "input": {}, "stream": 1}, "- stream: Invalid type. Expected: boolean, given: integer\n"),
        ({"version": CHAT, "input": PROMPT, "signal": {}}, "- Additional property signal is not allowed\n"),
        ({"version": 7, "input": PROMPT}, "- version: Invalid type. Expected: string, given: integer\n"),
    ],
)
async def test_top_levels_that_are_refused(call: Call, body: Any, detail: str) -> None:
    """Missing, misplaced, mistyped and unknown top-level keys are refused."""
    status, answer = await call("POST", "/predictions", json=body)
    assert (status, answer["title"], answer["detail"]) == (422, "Input validation failed", detail)


@pytest.mark.parametrize("data", ["{", "[]", '"text"', "", b"\xff", '{"input": {"prompt": NaN}}'])
async def test_bodies_that_are_no_object(emulator: Emulator, call: Call, data: str | bytes) -> None:
    """A body that is no JSON object is a bad request, and no prediction is made."""
    assert (await call("POST", f"/models/{CHAT}/predictions", data=data))[0] == 400
    assert not emulator.predictions


@pytest.mark.parametrize(
    ("case", "lines"),
    [
        ((CHAT, {}), ["- input: prompt is required"]),
        ((CHAT, {"prompt": 1}), ["- input.prompt: Invalid type. Expected: string, given: integer"]),
        ((CHAT, PROMPT | {"top_k": 1.5}), ["- input.top_k: Invalid type. Expected: integer, given: number"]),
        ((CHAT, PROMPT | {"top_k": True}), ["- input.top_k: Invalid type. Expected: integer, given: boolean"]),
        ((CHAT, PROMPT | {"seed": None}), ["- input.seed: Invalid type. Expected: integer, given: null"]),
        (
            (CHAT, {"prompt": [], "top_p": 2}),
            [
                "- input.prompt: Invalid type. Expected: string, given: array",
                "- input.top_p: Must be less than or equal to 1",
            ],
        ),
        (
            ("meta/llama-2-70b-chat", PROMPT | {"temperature": 0}),
            ["- input.temperature: Must be greater than or equal to 0.01"],
        ),
        (
            ("anthropic/claude-4-sonnet", PROMPT | {"image": "no address"}),
            ["- input.image: Does not match format 'uri'"],
        ),
        (
            ("openai/gpt-4o-mini", {"messages": ["text"]}),
            ["- input.messages.0: Invalid type. Expected: object, given: string"],
        ),
        (
            ("black-forest-labs/flux-schnell", PROMPT | {"output_format": "bmp"}),
            ['- input.output_format: input.output_format must be one of the following: "png"'],
        ),
    ],
)
async def test_inputs_that_are_refused(create: Call, case: tuple[str, Any], lines: list[str]) -> None:
    """Required inputs, types, limits, choices and formats are checked against the model's own schema."""
    status, answer = await create(*case)
    assert (status, answer["title"]) == (422, "Input validation failed")
    assert answer["detail"].splitlines() == lines
    assert [field["description"] for field in answer["invalid_fields"]] == [line.split(": ", 1)[1] for line in lines]


async def test_whole_numbers_may_be_written_as_floats(create: Call) -> None:
    """40.0 is an integer, as for the upstream's validator."""
    assert (await create(CHAT, PROMPT | {"top_k": 40.0, "max_tokens": 2.0}))[0] == 201


def test_no_schema_takes_anything() -> None:
    """Without a schema nothing is refused."""
    assert check_input({"prompt": 1}, None) == []


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded bodies are not on this machine")
@pytest.mark.parametrize(
    ("file", "version", "token"),
    [
        ("error_401_problem.json", CHAT, "r8_invalid"),
        ("error_422_required.json", CHAT, "r8_any"),
        ("error_422_version.json", "unknown", "r8_any"),
    ],
)
async def test_errors_have_the_recorded_bodies(call: Call, file: str, version: str, *, token: str) -> None:
    """An error's body is the one that the real server was seen to send."""
    headers = {"Authorization": f"Bearer {token}"}
    _, body = await call("POST", "/predictions", json={"version": version, "input": {}}, headers=headers)
    assert body == json.loads((RECORDED / file).read_text())
