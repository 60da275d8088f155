"""What a scripted upstream received."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from core_chat.testing.responses import Response


@define(eq=False, kw_only=True)
class Request:
    """One recorded request.

    Attributes:
        method: Such as "POST".
        path: Without the query.
        query: The query's fields, decoded.
        headers: By their names in lower case.
        body: The body, with chunks joined.
        origin: The upstream it came to, such as `http://127.0.0.1:8123`; for scripts that answer with links.
        number: Its place among all requests, from 0.
        connection: The number of the connection it came over, from 0: equal numbers mean that one was used again.
        response: What it is answered with.
        pieces_sent: How many pieces of the response's body have been sent.
        answered: Set once the whole response has been sent.
        left: Set when the client closed the connection before that.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(factory=dict)
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: bytes = field(default=b"", repr=lambda value: f"<{len(value)} bytes>")
    origin: str = ""
    number: int = 0
    connection: int = 0
    response: Response = field(factory=Response, repr=False)
    pieces_sent: int = 0
    answered: asyncio.Event = field(factory=asyncio.Event, init=False, repr=False)
    left: asyncio.Event = field(factory=asyncio.Event, init=False, repr=False)

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)
