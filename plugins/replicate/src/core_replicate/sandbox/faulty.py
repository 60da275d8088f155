"""The models `sandbox/…`, each of which goes wrong in its own way; the package's docstring lists them."""

from aiohttp import web

from core_replicate.sandbox.llamas import META_LLAMA_3_8B
from core_replicate.sandbox.models import Behaviour, Delays, Model
from core_replicate.sandbox.problems import ProblemError, invalid, problem, throttled, unauthenticated
from core_replicate.sandbox.schemas import string, text_stream, uri
from core_replicate.sandbox.validation import Fault

_PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_MIDWAY = 3  # the first piece is empty
_UNICODE = (
    "\n\n",
    "Canned:",
    " Grüße",
    " 🦙",
    " 👩\u200d👩\u200d👧",
    " 日本語",
    " line\u2028separator",
    "\u2029",
    " next\u0085line",
    " form\x0cfeed",
    " carriage\rreturn",
    "\n",
    "two\nlines",
    ".\n\n",
    " ",
    "   ",
    "\t",
    "data: not a field",
    ": not a comment",
    "\n\n",
)


def _payment_required(_delays: Delays) -> ProblemError:
    detail = "You have insufficient credit to run this model. Buy credit, and wait a few minutes before you try again."
    return problem(402, title="Insufficient credit", detail=detail)


def _unavailable(delays: Delays) -> ProblemError:
    return problem(
        503,
        headers={"Retry-After": str(delays.retry_after)},
        title="Service unavailable",
        detail="The service is temporarily unavailable.",
    )


def _bad_gateway(_delays: Delays) -> ProblemError:
    return ProblemError(web.Response(status=502, text=_PAGE.format("502 Bad Gateway"), content_type="text/html"))


def _html(_delays: Delays) -> ProblemError:
    return ProblemError(web.Response(status=200, text=_PAGE.format("Sign in"), content_type="text/html"))


def _no_id(_delays: Delays) -> ProblemError:
    return ProblemError(web.json_response({"status": "starting", "error": None, "logs": "", "urls": {}}, status=201))


def _server_error(_delays: Delays) -> ProblemError:
    return problem(500, title="Internal server error", detail="Something went wrong on our side.")


_BEHAVIOURS: dict[str, Behaviour] = {
    "rate-limited": Behaviour(refusal=lambda delays: throttled(delays.retry_after)),
    "rate-limited-once": Behaviour(refusal=lambda delays: throttled(delays.retry_after), refuses_once=True),
    "payment-required": Behaviour(refusal=_payment_required),
    "unauthenticated": Behaviour(refusal=lambda _: unauthenticated()),
    "invalid": Behaviour(refusal=lambda _: invalid([Fault("required", "input", "sandbox is required")])),
    "server-error": Behaviour(refusal=_server_error),
    "unavailable": Behaviour(refusal=_unavailable),
    "bad-gateway": Behaviour(refusal=_bad_gateway),
    "html": Behaviour(refusal=_html),
    "no-id": Behaviour(refusal=_no_id),
    "slow-create": Behaviour(slow_create=True, ends="never", stops_after=_MIDWAY),
    "slow-start": Behaviour(slow_start=True),
    "stuck": Behaviour(ends="never", stops_after=_MIDWAY),
    "cut-midway": Behaviour(stream_fault="cut"),
    "silent-close": Behaviour(stream_fault="close"),
    "never-done": Behaviour(stream_fault="never-done"),
    "expired-stream": Behaviour(stream_fault="expired"),
    "lingering": Behaviour(stream_fault="linger"),
    "foreign-stream": Behaviour(foreign=True),
    "no-stream": Behaviour(streams=False),
    "instant": Behaviour(streams=False, finishes_first=True),
    "empty": Behaviour(pieces=()),
    "unicode": Behaviour(pieces=_UNICODE),
    "stream-error": Behaviour(ends="failed", stops_after=_MIDWAY, error="Something went wrong (E1000)"),
    "plain-error": Behaviour(
        ends="failed", stops_after=_MIDWAY, error="Something went wrong (E1000)", plain_error=True
    ),
    "failed": Behaviour(ends="failed", stops_after=0, error="The model ran out of memory (E1001)"),
    "moderated": Behaviour(
        ends="failed", stops_after=0, error="The input or output was flagged as sensitive; try another one (E005)"
    ),
    "canceled-by-upstream": Behaviour(ends="canceled", stops_after=_MIDWAY),
    "aborted": Behaviour(ends="aborted", stops_after=0),
}

FAULTY: tuple[Model, ...] = (
    *(
        Model(
            owner="sandbox",
            name=name,
            description=f"A test card: {name.replace('-', ' ')}",
            schema=META_LLAMA_3_8B.schema,
            collections=(),
            behaviour=behaviour,
        )
        for name, behaviour in _BEHAVIOURS.items()
    ),
    Model(
        owner="sandbox",
        name="no-schema",
        description="A test card: an official model whose latest_version is null",
        schema=None,
        collections=(),
    ),
    Model(
        owner="sandbox",
        name="no-prompt",
        description="A test card: a schema that does not tell what the model takes",
        schema=text_stream({"name": string(), "name_file": uri()}, required=()),
        collections=(),
    ),
)
