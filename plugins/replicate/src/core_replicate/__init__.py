"""Replicate for core-chat: language and image models hosted on replicate.com."""

from core_replicate._options import Options
from core_replicate.provider import Replicate

__all__ = ["Options", "Replicate"]
