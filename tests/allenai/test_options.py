"""The provider's own settings."""

from typing import Any

import pytest

from core_allenai import AllenAI, AllenAIOptions
from core_chat import InvalidRequestError


def test_nothing_is_set_by_default() -> None:
    """Everything is the service's or the provider's affair."""
    assert AllenAIOptions() == AllenAIOptions(api=None, private=None, host=None, selected_tools=())


@pytest.mark.parametrize(("given", "names"), [("dice", ("dice",)), (["a", "b"], ("a", "b")), ([], ())])
def test_tools_are_names(given: Any, names: tuple[str, ...]) -> None:
    """One or several."""
    assert AllenAIOptions(selected_tools=given).selected_tools == names


@pytest.mark.parametrize(
    "wrong",
    [{"api": "v6"}, {"private": "yes"}, {"host": " "}, {"selected_tools": [1]}, {"selected_tools": 7}],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    """Each by name."""
    with pytest.raises(InvalidRequestError, match="|".join([*wrong, "selected_tools"])):
        AllenAIOptions(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"api": "v3"}, {"base_url": "nowhere"}, {"private": 1}, {"token": "two words"}, {"anonymous_user_id": ""}],
)
def test_a_wrong_configuration_is_refused(wrong: dict[str, Any]) -> None:
    """When the provider is built, and without showing a secret."""
    with pytest.raises(InvalidRequestError) as caught:
        AllenAI(**wrong)
    assert "two words" not in str(caught.value)


def test_the_repr_shows_no_secret() -> None:
    """Neither the token nor the anonymous id, which owns the threads."""
    shown = repr(AllenAI(token="canary-token", anonymous_user_id="canary-user"))
    assert "canary" not in shown
