"""The OpenAI-style chat wire, for any provider that speaks it.

`stream_chat` and `list_models` are what a plugin's hooks call; `chat_body` and `ChatDecoder` are the same wire without
I/O; `stream_error` reads an error inside HTTP 200.
"""

from core_chat.openai._decode import ChatDecoder
from core_chat.openai._errors import Refine, stream_error
from core_chat.openai._models import list_models, model_info
from core_chat.openai._request import Body, chat_body
from core_chat.openai._stream import stream_chat

__all__ = ["Body", "ChatDecoder", "Refine", "chat_body", "list_models", "model_info", "stream_chat", "stream_error"]
