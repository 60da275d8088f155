"""The network, handled once: requests with timeouts and credentials, line and event decoders, errors from answers."""

from core_chat.http.client import (
    Client,
    check_base_url,
    client_for,
    credential,
    json_lines,
    read_chunk,
    sse_events,
    transport_error,
)
from core_chat.http.failures import Failure, message_in
from core_chat.http.lines import LineSplitter
from core_chat.http.session import is_loopback
from core_chat.http.sse import ServerSentEvent, SSEDecoder

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
    "sse_events",
    "transport_error",
]
