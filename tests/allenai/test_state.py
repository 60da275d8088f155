"""The state of a conversation, and the rubbish that may stand in its place."""

from typing import Any

import pytest

from core_allenai._state import ThreadState, read_state

STATE = ThreadState(anonymous_user_id="u", root_id="r", parent_id="p", model="m", tools="t", private=True)


@pytest.mark.parametrize("user", ["u", None])
def test_a_state_survives_json(user: str | None) -> None:
    """With and without an anonymous id."""
    state = ThreadState(anonymous_user_id=user, root_id="r", parent_id="p", model="m")
    assert read_state(state.to_json()) == state


@pytest.mark.parametrize(
    "value",
    [None, "text", [], {}, {**STATE.to_json(), "parent_id": 1}, {**STATE.to_json(), "private": "yes"}],
)
def test_anything_else_is_none(value: Any) -> None:
    """Another provider's state, another version's."""
    assert read_state(value) is None


def test_further_keys_do_no_harm() -> None:
    """A newer version may keep more."""
    assert read_state({**STATE.to_json(), "more": 1}) == STATE
