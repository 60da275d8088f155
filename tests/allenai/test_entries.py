"""Rows of the model list, in both spellings."""

from typing import Any

import pytest

from core_allenai._entries import Entry, camel, read_entries
from core_chat import ChatRequest, InvalidRequestError, Message, ModelInfo, ProtocolError

ROW: dict[str, Any] = {
    "id": "molmo",
    "name": "Molmo",
    "host": "hub",
    "is_visible": True,
    "is_deprecated": False,
    "internal": False,
    "prompt_type": "multi_modal",
    "can_call_tools": True,
    "can_think": True,
    "accepts_files": True,
    "accepted_file_types": ["image/*", "video/mp4"],
    "max_files_per_message": 2,
    "max_total_file_size": 1000,
    "require_file_to_prompt": "first_message",
    "allow_files_in_followups": True,
    "available_tools": [{"name": "dice"}, {"no": "name"}],
    "temperature_lower": 0.0,
    "temperature_upper": 1.0,
    "max_tokens_lower": 1,
    "max_tokens_upper": 2048,
}


def request(**parameters: Any) -> ChatRequest:
    """A request with these parameters."""
    return ChatRequest(model=ModelInfo("molmo"), messages=(Message("user", "Hi"),), **parameters)


def test_both_spellings_say_the_same() -> None:
    """v4 writes snake_case, v5 camelCase."""
    snake, camels = read_entries([ROW, {camel(key): value for key, value in ROW.items()}])
    assert snake == camels
    assert snake == Entry(
        id="molmo",
        title="Molmo",
        host="hub",
        can_call_tools=True,
        can_think=True,
        tools=("dice",),
        accepts_files=True,
        file_types=("image/*", "video/mp4"),
        max_files=2,
        max_bytes=1000,
        require_file="first_message",
        files_in_followups=True,
        limits={"temperature": (0.0, 1.0), "top_p": (None, None), "max_tokens": (1, 2048)},
    )


def test_the_core_sees_what_matters() -> None:
    """Features, the longest answer, the host."""
    info = read_entries([ROW])[0].info()
    assert info == ModelInfo(
        "molmo",
        title="Molmo",
        max_output=2048,
        features={"images", "tools", "reasoning"},
        tasks={"chat"},
        backends=("hub",),
        source="live",
    )


@pytest.mark.parametrize(
    "change",
    [{"is_visible": False}, {"is_deprecated": True}, {"internal": True}, {"prompt_type": "files_only"}],
)
def test_some_models_are_not_for_people(change: dict[str, Any]) -> None:
    """Hidden, retired, internal and speech models."""
    assert read_entries([ROW])[0].usable
    assert not read_entries([ROW | change])[0].usable


@pytest.mark.parametrize(
    ("kinds", "takes"), [(["image/*"], True), (["video/mp4"], False), ([], False), (["*/*"], True)]
)
def test_files_are_not_always_pictures(kinds: list[str], *, takes: bool) -> None:
    """A model that takes films alone takes no pictures."""
    assert read_entries([ROW | {"accepted_file_types": kinds}])[0].takes_images is takes


@pytest.mark.parametrize(("media_type", "accepted"), [("image/png", True), ("video/mp4", True), ("video/webm", False)])
def test_media_types_are_compared_with_patterns(media_type: str, *, accepted: bool) -> None:
    """As the service compares them."""
    assert read_entries([ROW])[0].accepts(media_type) is accepted


@pytest.mark.parametrize(
    "parameters", [{"temperature": 1.5}, {"max_tokens": 4096}, {"temperature": 0.5, "max_tokens": 2049}]
)
def test_parameters_outside_the_limits_are_refused(parameters: dict[str, Any]) -> None:
    """With the limits in the error."""
    with pytest.raises(InvalidRequestError, match=r"for molmo goes from \S+ to \S+, not"):
        read_entries([ROW])[0].check_parameters(request(**parameters))


def test_parameters_within_the_limits_pass() -> None:
    """The limits themselves too; what has no limit always does."""
    read_entries([ROW])[0].check_parameters(request(temperature=0, top_p=1, max_tokens=2048))
    Entry(id="x").check_parameters(request(temperature=2))


@pytest.mark.parametrize("data", [None, {"detail": "no"}, "text"])
def test_what_is_no_list_is_an_error(data: Any) -> None:
    """A page of another server, for instance."""
    with pytest.raises(ProtocolError):
        read_entries(data)


def test_odd_rows_are_passed_over_or_read_as_far_as_they_go() -> None:
    """A list is not lost for one of its rows."""
    rows = [1, {"name": "no id"}, {"id": "x", "max_files_per_message": "many", "available_tools": "all"}]
    assert read_entries(rows) == (
        Entry(id="x", limits=dict.fromkeys(("temperature", "top_p", "max_tokens"), (None, None))),
    )
