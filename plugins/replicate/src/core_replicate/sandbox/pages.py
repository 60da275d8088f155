"""Lists in pages, whose links are absolute and whose cursors mean nothing to the caller."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from core_replicate.sandbox.problems import not_found


def page(items: Sequence[Any], *, request: web.Request, size: int) -> dict[str, Any]:
    """Return the page that the request's cursor asks for."""
    start = _start(request.query.get("cursor"))
    before = max(0, start - size)
    after = start + size
    return {
        "previous": _link(request, before) if start > 0 else None,
        "next": _link(request, after) if after < len(items) else None,
        "results": list(items[start:after]),
    }


def _start(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        return max(0, int(base64.urlsafe_b64decode(cursor).decode().removeprefix("o=")))
    except (binascii.Error, ValueError):
        raise not_found("Invalid cursor") from None


def _link(request: web.Request, start: int) -> str:
    cursor = base64.urlsafe_b64encode(f"o={start}".encode()).decode()
    return str(request.url.update_query(cursor=cursor))
