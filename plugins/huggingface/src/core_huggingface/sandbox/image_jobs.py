"""Pictures that the sandbox is asked for, and the jobs that take a while."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from attrs import define, field, frozen

from core_huggingface.sandbox.pictures import canned_picture, keep_file
from core_huggingface.sandbox.router import bad_credentials

_BEFORE_DONE = 2
"""How often a job is asked about before it is done."""
_SIDE = 64


@frozen
class Asked:
    """What a picture is asked for with, brought to one shape."""

    model: str
    prompt: str
    width: int = _SIDE
    height: int = _SIDE

    def picture(self) -> bytes:
        """Return the canned picture."""
        return canned_picture(self.prompt, width=self.width, height=self.height)


@define(eq=False)
class Job:
    """A job that is done once it has been asked about a few times."""

    asked: Asked
    id: str
    looks: int = 0

    def done(self) -> bool:
        """Count one look, and tell whether the job is done."""
        self.looks += 1
        return self.looks > _BEFORE_DONE

    def link(self, request: web.Request) -> str:
        """Return the link to the picture; for two models it leads nowhere good."""
        if self.asked.model.endswith(("/gone", "/endless")):
            return f"{request.url.origin()}/files/{self.asked.model.rpartition('/')[2]}.png"
        return keep_file(request, self.asked.picture())


@define(eq=False)
class Jobs:
    """All jobs of a running sandbox."""

    _jobs: dict[str, Job] = field(init=False, factory=dict)

    def add(self, asked: Asked) -> Job:
        """Begin a job."""
        job = Job(asked, f"sandbox-job-{len(self._jobs) + 1}")
        self._jobs[job.id] = job
        return job

    def find(self, request: web.Request) -> Job:
        """Return the job that a path names."""
        job = self._jobs.get(request.match_info["job"])
        if job is None:
            raise web.HTTPNotFound(text="404: Not Found")
        return job


JOBS: web.AppKey[Jobs] = web.AppKey("jobs", Jobs)


def check_token(request: web.Request) -> None:
    """Refuse a request without a good token."""
    if (refused := bad_credentials(request)) is not None:
        raise web.HTTPUnauthorized(text=refused.text or "", content_type="application/json")


async def read_body(request: web.Request) -> dict[str, Any]:
    """Return the body of a request with a good token, which must be a JSON object."""
    check_token(request)
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise web.HTTPUnprocessableEntity(text='{"error": "the body must be a JSON object"}')
    return body


def asked_for(fields: Mapping[str, Any], *, model: str, prompt: Any = None) -> Asked:
    """Return what a body asks for; a size is `width` and `height`, "WxH", or an object of its own."""
    prompt = fields.get("prompt") if prompt is None else prompt
    if not isinstance(prompt, str) or not prompt:
        raise web.HTTPUnprocessableEntity(
            text='{"detail": [{"loc": ["body", "prompt"], "msg": "Field required", "type": "missing"}]}',
            content_type="application/json",
        )
    size: Any = fields.get("size")
    inner = fields.get("image_size")
    sides: list[Any] | None = size.split("x") if isinstance(size, str) else None
    if sides is None:
        place = inner if isinstance(inner, Mapping) else fields
        sides = [place.get("width") or _SIDE, place.get("height") or _SIDE]
    return Asked(model, prompt, int(sides[0]), int(sides[1]))
