"""What the service refuses before it streams, in the two families of error bodies and as pages of its ingress."""

import json
from typing import Any

from aiohttp import web
from attrs import define, field

PYDANTIC = "https://errors.pydantic.dev/2.12/v"
_CAPTCHA = "Failed to evaluate captcha. Please reload the page and try again."


@define(eq=False)
class Refused(Exception):  # noqa: N818 - it is an answer, told in the service's own words
    """A refusal: `kind` decides status and type, `text` is the sentence."""

    kind: str
    text: str
    loc: list[str] = field(factory=list)


def missing(name: str) -> Refused:
    """Return the refusal of a form without a required field."""
    return Refused("missing", "Field required", [name])


def captcha() -> Refused:
    """Return the refusal of a form without a captcha token, where one is demanded."""
    return Refused("invalid", f"Value error, {_CAPTCHA}", ["captchaToken"])


_V4_STATUS = {"auth": 401, "owner": 403, "setting": 403, "not-found": 404, "server": 500}
_V4_VALIDATION = {"missing": "missing", "invalid": "value_error", "parent": "value_error"}
_V5: dict[str, tuple[int, str, str]] = {
    "auth": (401, "http-unauthorized", "Unauthorized"),
    "owner": (403, "forbidden-problem", "Forbidden"),
    "setting": (403, "forbidden-problem", "Forbidden"),
    "not-found": (404, "http-not-found", "Not Found"),
    "parent": (422, "unprocessable-problem", "Unprocessable"),
    "roles": (422, "unprocessable-problem", "Unprocessable"),
    "visibility": (422, "unprocessable-problem", "Unprocessable"),
    "limit": (422, "unprocessable-problem", "Unprocessable"),
    "model": (422, "model-not-found", "Model not found"),
    "model-not-available": (422, "model-not-available", "Model not available"),
    "prompt": (422, "inappropriate_prompt_text", "Inappropriate prompt text"),
    "file": (422, "unsupported_type", "Unsupported file type"),
    "server": (500, "unhandled-exception", "Unhandled exception"),
}


def v4_answer(refused: Refused) -> web.Response:
    """Return a refusal as the Flask part of the service writes it."""
    status = _V4_STATUS.get(refused.kind, 400)
    error: dict[str, Any] = {"code": status, "message": refused.text}
    if refused.kind in _V4_VALIDATION:
        kind = _V4_VALIDATION[refused.kind]
        error["message"] = f"1 validation error for CreateMessageRequest\n  {refused.text} [type={kind}]"
        error["validation_errors"] = [
            {"loc": refused.loc, "msg": refused.text, "type": kind, "url": f"{PYDANTIC}/{kind}"}
        ]
    return web.json_response({"error": error}, status=status)


def v5_answer(refused: Refused) -> web.Response:
    """Return a refusal as the FastAPI part writes it (RFC 9457)."""
    if refused.kind in ("missing", "invalid"):
        status = 422
        kind = "missing" if refused.kind == "missing" else "value_error"
        body: dict[str, Any] = {
            "type": "request-validation-failed",
            "title": "Request validation error.",
            "status": status,
            "errors": [{"type": kind, "loc": ["body", "User", *refused.loc], "msg": refused.text}],
        }
    else:
        status, kind, title = _V5[refused.kind]
        body = {"type": kind, "title": title, "status": status, "detail": refused.text}
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/problem+json")


def page(status: int, title: str, *, headers: dict[str, str] | None = None) -> web.Response:
    """Return a page of the ingress, which stands before both parts."""
    text = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><center><h1>{title}</h1></center></body>\r\n</html>"
    return web.Response(status=status, text=text, content_type="text/html", headers=headers)
