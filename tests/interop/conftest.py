"""What every interop test needs: no credential and no proxy of the machine may reach an official client."""

import pytest

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take keys, tokens, base URLs and proxies out of the environment."""
    for name in _PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REPLICATE_API_TOKEN", "REPLICATE_BASE_URL", "HF_TOKEN", "HF_ENDPOINT", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
