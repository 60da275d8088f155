"""The command line: chat with a model, list models and plugins, serve the sandboxes.

It holds no knowledge of any provider. aiohttp and rich are imported only by what needs them, so `--help` stays fast.
"""

from core_chat.cli.errors import ExitCode
from core_chat.cli.main import core_chat, run

__all__ = ["ExitCode", "core_chat", "run"]
