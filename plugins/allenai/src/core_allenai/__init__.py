"""The Ai2 Playground (Olmo, Tülu, Molmo) for core-chat: no key, conversations kept by the service."""

from core_allenai._options import AllenAIOptions
from core_allenai._provider import AllenAI

__all__ = ["AllenAI", "AllenAIOptions"]
