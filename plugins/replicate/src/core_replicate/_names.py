"""Model names: `owner/name`, `owner/name:version`, a bare version; and the models that are known offline."""

import re

from attrs import field, frozen

DEFAULT_MODEL = "meta/meta-llama-3-70b-instruct"

BUNDLED: dict[str, str] = {
    "meta/meta-llama-3-70b-instruct": "chat",
    "meta/meta-llama-3-8b-instruct": "chat",
    "meta/meta-llama-3.1-405b-instruct": "chat",
    "meta/llama-4-maverick-instruct": "chat",
    "meta/llama-4-scout-instruct": "chat",
    "openai/gpt-4o": "chat",
    "openai/gpt-4o-mini": "chat",
    "openai/gpt-4.1-mini": "chat",
    "openai/gpt-5": "chat",
    "openai/gpt-5-mini": "chat",
    "anthropic/claude-3.7-sonnet": "chat",
    "anthropic/claude-4-sonnet": "chat",
    "anthropic/claude-4.5-haiku": "chat",
    "google/gemini-2.5-flash": "chat",
    "deepseek-ai/deepseek-r1": "chat",
    "ibm-granite/granite-3.3-8b-instruct": "chat",
    "xai/grok-4": "chat",
    "black-forest-labs/flux-schnell": "text-to-image",
    "black-forest-labs/flux-dev": "text-to-image",
}
"""Well-known models and their tasks, as of 2026-08; the live list is the collections of the service."""

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_NAME = re.compile(rf"(?P<owner>{_PART})/(?P<name>{_PART})(?::(?P<version>[0-9a-f]{{64}}|latest))?")
_VERSION = re.compile(r"[0-9a-f]{64}")
_OWNED = re.compile(rf"{_PART}/{_PART}")


@frozen
class Target:
    """What a prediction is made with: a model (`owner/name`), a version, or both; or a deployment (`owner/name`)."""

    model: str | None = None
    version: str | None = None
    deployment: str | None = field(default=None, kw_only=True)


def parse_name(name: str) -> Target | None:
    """Return what a model name means, or None where it is no Replicate name; `owner/name:latest` means `owner/name`."""
    if _VERSION.fullmatch(name):
        return Target(version=name)
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    version = found["version"]
    return Target(f"{found['owner']}/{found['name']}", None if version == "latest" else version)


def is_owned_name(name: str) -> bool:
    """Whether a text looks like `owner/name`."""
    return _OWNED.fullmatch(name) is not None


def is_version(text: str) -> bool:
    """Whether a text looks like the id of a version."""
    return _VERSION.fullmatch(text) is not None
