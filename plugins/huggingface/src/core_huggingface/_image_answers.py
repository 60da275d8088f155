"""The answers to a request for a picture, in every shape: bytes, base64, links, and jobs to ask about again."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from attrs import frozen
from yarl import URL

from core_chat.errors import (
    ContentFilteredError,
    InvalidRequestError,
    ProtocolError,
    ProviderError,
    UnavailableError,
)
from core_chat.http import message_in
from core_chat.messages import sniff_image

_PLACES = ("images", "image", "data", "output", "outputs", "image_result", "b64_json", "url")
DONE = frozenset({"completed", "succeeded", "success"})
FAILED = frozenset({"fail", "failed", "error", "canceled", "cancelled", "aborted"})
_UNSAFE = re.compile(r"nsfw|safety|sensitive|moderat|flagged", re.IGNORECASE)
_QUICK = 0.5
_SLOW = 5.0
_LONGEST_TEXT = 500


@frozen
class Later:
    """A job that is under way: what to ask until it has ended, what then holds the pictures, the seconds in between."""

    status: str
    result: str
    seconds: float


def picture(data: bytes) -> tuple[bytes, str]:
    """Return a picture's bytes with their media type, which is found from the bytes, since names and headers lie.

    Raises:
        ProtocolError: They are no picture.
    """
    try:
        return data, sniff_image(data)
    except InvalidRequestError as error:
        raise ProtocolError("the upstream sent something that is no picture", got=repr(data[:40])) from error


def pictures_in(value: Any, *, nested: bool = False) -> list[bytes | str]:
    """Return the pictures in a JSON answer, as bytes or links; a bare text counts only in a place for pictures."""
    if isinstance(value, list):
        return [found for item in value for found in pictures_in(item, nested=nested)]
    if isinstance(value, Mapping):
        places = (pictures_in(value.get(name), nested=True) for name in _PLACES)
        return next((found for found in places if found), [])
    return _read_text(value) if nested and isinstance(value, str) else []


def _read_text(text: str) -> list[bytes | str]:
    """Return a link, or the bytes of base64, with or without the head of a data URI."""
    if text.startswith(("http://", "https://")):
        return [text]
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return []
    return [data] if data else []


def status_in(value: Any) -> str:
    """Return a job's state in lower case, or an empty text."""
    for place in _places(value):
        for name in ("status", "task_status"):
            if isinstance(place.get(name), str):
                return str(place[name]).lower()
    return ""


def _places(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects of an answer in which a job may be described."""
    inner = value.get("data") if isinstance(value, Mapping) else None
    return [place for place in (inner, value) if isinstance(place, Mapping)]


def later_in(value: Any, *, base: str) -> Later | None:
    """Return where a job that is not done is to be asked about, below `base`, or None where the answer names none.

    The vendors name hosts of their own there; the router passes the same paths on.
    """
    for place in _places(value):
        if isinstance(link := place.get("response_url"), str):
            job = _below(base, link)
            return Later(f"{job}/status?_subdomain=queue", f"{job}?_subdomain=queue", _QUICK)
        links = place.get("urls")
        if isinstance(links, Mapping) and isinstance(link := links.get("get"), str):
            return Later(_below(base, link), _below(base, link), _QUICK)
        if "task_status" in place and isinstance(place.get("id"), str):
            job = f"{base}/api/paas/v4/async-result/{quote(place['id'], safe='')}"
            return Later(job, job, _SLOW)
    return None


def _below(base: str, link: str) -> str:
    """Return a link's path below `base`, unless it is on the same host already."""
    url = URL(link)
    if url.absolute and url.origin() == URL(base).origin():
        return str(url.with_query(None).with_fragment(None))
    return f"{base}{url.raw_path}"


def check_failed(value: Any) -> None:
    """Raise the error that an answer tells of.

    Raises:
        ProviderError: The job failed, or its answer is an error.
    """
    failed = status_in(value) in FAILED
    if not failed and not (isinstance(value, Mapping) and value.get("error")):
        return
    text = next(filter(None, (message_in(place.get("error")) for place in _places(value))), "") or message_in(value)
    raise _failure(text or "the picture could not be made")


def _failure(text: str) -> ProviderError:
    kind = ContentFilteredError if _UNSAFE.search(text) else UnavailableError
    return kind(text[:_LONGEST_TEXT])


def no_pictures(value: Any) -> ProtocolError:
    """Return the error for an answer in which there is neither a picture nor a job."""
    text = message_in(value)
    told = f": {text}" if text else ""
    return ProtocolError(f"the upstream answered without a picture{told}"[:_LONGEST_TEXT], got=repr(value)[:200])
