"""Replicate for core-chat: language and image models hosted on replicate.com."""

from core_replicate.provider import Options, Replicate

__all__ = ["Options", "Replicate"]
