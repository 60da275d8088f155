"""The settings that only Replicate has: of a call, and of the provider."""

import pytest

from core_chat import ChatRequest, InvalidRequestError, Message, ModelInfo, Registry, Timeouts
from core_replicate import Options, Replicate


@pytest.mark.parametrize(
    ("cancel_after", "total", "seconds"),
    [(None, None, 1800), (None, 90.2, 91), (None, 0.5, 5), (60, None, 60), (60, 10, 60), (5, None, 5)],
)
def test_when_the_service_cancels_by_itself(cancel_after: int | None, total: float | None, seconds: int) -> None:
    """It is the option, else the time the whole call has, else the longest a prediction may run."""
    message = Message("user", "Hi")
    request = ChatRequest(model=ModelInfo("a/b"), messages=(message,), timeouts=Timeouts(total=total))
    assert Options(cancel_after=cancel_after).seconds(request) == seconds


@pytest.mark.parametrize("value", [4, 0, -1, 5.5, "60", True])
def test_a_bad_cancel_after_is_refused(value: object) -> None:
    """Less than five seconds, or no whole number of them, is refused."""
    with pytest.raises(InvalidRequestError, match="cancel_after"):
        Options(cancel_after=value)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("value", ["acme", "acme/", "acme/chat:1", "../x", "", 7])
def test_a_bad_deployment_is_refused(value: object) -> None:
    """A deployment has a name like a model."""
    with pytest.raises(InvalidRequestError, match="owner/name"):
        Options(deployment=value)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("given", "base_url"),
    [
        ("https://api.replicate.com", "https://api.replicate.com/v1"),
        ("https://api.replicate.com/", "https://api.replicate.com/v1"),
        ("https://api.replicate.com/v1", "https://api.replicate.com/v1"),
        ("https://api.replicate.com/v1/", "https://api.replicate.com/v1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("https://proxy.example/replicate", "https://proxy.example/replicate"),
    ],
)
def test_the_base_url_may_leave_its_version_out(given: str, base_url: str) -> None:
    """The base URL is accepted as both kinds of the vendor's clients write it."""
    assert Replicate(base_url=given).base_url == base_url


@pytest.mark.parametrize("given", ["", "api.replicate.com", "ftp://x", "https://user:pass@x/v1", "https://x/v1?a=1", 7])
def test_a_bad_base_url_is_refused(given: object) -> None:
    """What is no absolute URL is refused when the provider is built."""
    with pytest.raises(InvalidRequestError, match="base_url"):
        Replicate(base_url=given)


@pytest.mark.parametrize("given", ["soon", "0", "61", "nan", "-1", None, []])
def test_a_bad_poll_interval_is_refused(given: object) -> None:
    """A poll interval is a number of seconds, neither none nor very many."""
    with pytest.raises(InvalidRequestError, match="poll_interval"):
        Replicate(poll_interval=given)


def test_the_environment_gives_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's variables are read when the provider is built; arguments count before them."""
    provider = Replicate()
    assert (provider.token, provider.base_url, provider.poll_interval) == (None, "https://api.replicate.com/v1", 0.5)
    monkeypatch.setenv("REPLICATE_API_TOKEN", " r8_canary\n")
    monkeypatch.setenv("REPLICATE_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "2")
    provider = Replicate()
    assert (provider.token, provider.base_url, provider.poll_interval) == ("r8_canary", "http://127.0.0.1:1/v1", 2)
    assert Replicate(token="r8_other", poll_interval=1).token == "r8_other"
    assert "r8_" not in repr(provider)


async def test_an_unknown_setting_is_told_with_near_names() -> None:
    """A misspelt setting of the configuration is refused, and what was meant is suggested."""
    async with Registry(only=["replicate"], config={"replicate": {"tokn": "x"}}) as registry:
        with pytest.raises(InvalidRequestError, match="did you mean token"):
            registry.resolve("replicate:")
