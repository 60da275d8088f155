"""A plugin-based async framework for chat models: list models, resolve a model, stream a typed answer.

```python
async with Registry() as registry:
    async with registry.stream("replicate:", "Why is the sky blue?") as stream:
        async for event in stream:
            match event:
                case TextDelta(text):
                    print(text, end="", flush=True)
```
"""

import logging as _logging

from core_chat._stream import ChatStream
from core_chat.clock import Clock
from core_chat.environment import env
from core_chat.errors import (
    AmbiguousModelError,
    Attempt,
    AuthenticationError,
    ContentFilteredError,
    ContextLengthError,
    ConversationExpiredError,
    CoreError,
    IncompleteStreamError,
    InvalidRequestError,
    MissingCredentialError,
    ModelNotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    PluginConflictError,
    PluginError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    RegistryClosedError,
    RequestRejectedError,
    TimedOutError,
    UnavailableError,
    UnknownModelError,
    UnknownProviderError,
)
from core_chat.events import (
    Event,
    Finish,
    FinishReason,
    Media,
    Notice,
    ReasoningDelta,
    Route,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from core_chat.hooks import hookimpl
from core_chat.messages import Image, Message, Part, Reasoning, Role, Text, Tool, ToolCall, ToolResult, flatten
from core_chat.models import About, Catalog, ModelInfo, Plugin, Price
from core_chat.registry import Registry
from core_chat.reply import Conversation, Reply
from core_chat.requests import ChatRequest, ModelQuery, NoOptions, Retry, Timeouts, read_options

__version__ = "0.1.0"

_logging.getLogger("core_chat").addHandler(_logging.NullHandler())

__all__ = [
    "About",
    "AmbiguousModelError",
    "Attempt",
    "AuthenticationError",
    "Catalog",
    "ChatRequest",
    "ChatStream",
    "Clock",
    "ContentFilteredError",
    "ContextLengthError",
    "Conversation",
    "ConversationExpiredError",
    "CoreError",
    "Event",
    "Finish",
    "FinishReason",
    "Image",
    "IncompleteStreamError",
    "InvalidRequestError",
    "Media",
    "Message",
    "MissingCredentialError",
    "ModelInfo",
    "ModelNotFoundError",
    "ModelQuery",
    "NoOptions",
    "Notice",
    "Part",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "Plugin",
    "PluginConflictError",
    "PluginError",
    "Price",
    "ProtocolError",
    "ProviderError",
    "RateLimitError",
    "Reasoning",
    "ReasoningDelta",
    "Registry",
    "RegistryClosedError",
    "Reply",
    "RequestRejectedError",
    "Retry",
    "Role",
    "Route",
    "Text",
    "TextDelta",
    "TimedOutError",
    "Timeouts",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolResult",
    "UnavailableError",
    "UnknownModelError",
    "UnknownProviderError",
    "Usage",
    "env",
    "flatten",
    "hookimpl",
    "read_options",
]
