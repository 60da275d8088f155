"""The network, handled once: requests with timeouts and credentials, line and event decoders, errors from answers."""

from core_chat.http.client import Client, client_for
from core_chat.http.credentials import check_base_url, credential
from core_chat.http.failures import Failure, message_in, redact
from core_chat.http.lines import LineSplitter
from core_chat.http.session import is_loopback
from core_chat.http.sse import ServerSentEvent, SSEDecoder
from core_chat.http.streams import json_lines, sse_events
from core_chat.http.transport import read_chunk, transport_error

__all__ = [
    "Client",
    "Failure",
    "LineSplitter",
    "SSEDecoder",
    "ServerSentEvent",
    "check_base_url",
    "client_for",
    "credential",
    "is_loopback",
    "json_lines",
    "message_in",
    "read_chunk",
    "redact",
    "sse_events",
    "transport_error",
]
