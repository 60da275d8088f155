"""The emulator: its routes, who may do what, and what it remembers for tests."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal, TypeAlias

from aiohttp import web
from attrs import define, field, frozen

from core_allenai.sandbox._checks import Person, Rules, Turn
from core_allenai.sandbox._forms import JSON, MULTIPART, URLENCODED, Form, read_form
from core_allenai.sandbox._lines import V4, V5, V4Message, flat
from core_allenai.sandbox._models import MODELS, Model, listing
from core_allenai.sandbox._play import Broken, Player, told
from core_allenai.sandbox._refusals import Refused, page, v4_answer, v5_answer
from core_allenai.sandbox._store import Store, Stored
from core_chat.sandbox import serve

Dialect: TypeAlias = Literal["v5", "v4", "v4-message"]
DIALECTS: tuple[Dialect, ...] = ("v5", "v4", "v4-message")
TOKEN = "sandbox-token"  # noqa: S105 - the one bearer token this emulator knows
_BODY_LIMIT = 100 * 1024 * 1024
_REMEMBERED = 100
_WIRES: dict[Dialect, V4] = {"v5": V5(), "v4": V4(), "v4-message": V4Message()}


@frozen(kw_only=True)
class Received:
    """One chat request as it came in."""

    path: str
    headers: Mapping[str, str] = field(repr=False)
    form: Form


@define(eq=False, kw_only=True)
class Emulator:
    """The Ai2 Playground's API on loopback, with canned answers.

    Args:
        dialects: The generations of the chat API to serve.
        models: What can be asked for.
        captcha: Whether every anonymous request without a captcha token is refused.
        flagged: A message with one of these texts is refused as inappropriate.
        slow: Seconds `sandbox/slow-start` waits.
        now: Seconds since 1970, for expiry.

    Attributes:
        store: All messages.
        received: The last hundred chat requests, oldest first.
        histories: What the model was shown for those that were answered, likewise.
        opened: Set once an answer has begun.
        left: Set once a caller has left in the middle of one.
    """

    dialects: Sequence[Dialect] = DIALECTS
    models: Sequence[Model] = MODELS
    captcha: bool = False
    flagged: tuple[str, ...] = ("[flagged]",)
    slow: float = 5.0
    now: Callable[[], float] = time.time
    store: Store = field(init=False)
    received: list[Received] = field(init=False, factory=list)
    histories: list[list[dict[str, Any]]] = field(init=False, factory=list)
    opened: asyncio.Event = field(init=False, factory=asyncio.Event)
    left: asyncio.Event = field(init=False, factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self.store = Store(self.now)

    def history(self, message_id: str) -> list[dict[str, Any]]:
        """Return what the model is shown of a message and those before it: role and content, the root first."""
        return told(self.store.chain(self.store.messages[message_id]))

    @asynccontextmanager
    async def running(self, *, port: int = 0) -> AsyncIterator[str]:
        """Serve on loopback and yield the origin."""
        async with serve(self.application(), port=port) as origin:
            yield origin

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        application = web.Application(client_max_size=_BODY_LIMIT, middlewares=[self._as_the_service_says_it])
        application.router.add_get("/health", self._health)
        if "v5" in self.dialects:
            self._add_v5(application.router)
        self._add_v4(application.router)
        return application

    def _add_v5(self, router: web.UrlDispatcher) -> None:
        router.add_post("/v5/threads/chat", self._chat_v5)
        router.add_post("/v5/threads/chat/", _redirect(307, "/v5/threads/chat"))
        router.add_get("/v5/models/", self._models)
        router.add_get("/v5/models", _redirect(307, "/v5/models/"))
        router.add_get("/v5/threads/{id}", self._read)
        router.add_delete("/v5/threads/{id}", self._delete)

    def _add_v4(self, router: web.UrlDispatcher) -> None:
        if "v4" in self.dialects:
            router.add_post("/v4/threads/", self._chat_v4)
            router.add_post("/v4/threads", _redirect(308, "/v4/threads/"))
            router.add_get("/v4/threads/{id}", self._read)
        if "v4-message" in self.dialects:
            router.add_post("/v4/message/stream", self._chat_v4_message)
        if set(self.dialects) & {"v4", "v4-message"}:
            router.add_get("/v4/models/", self._models)
            router.add_get("/v4/models", _redirect(308, "/v4/models/"))
            router.add_delete("/v3/message/{id}", self._delete)

    @web.middleware
    async def _as_the_service_says_it(self, request: web.Request, handler: Any) -> web.StreamResponse:
        is_v5 = request.path.startswith("/v5/") and "v5" in self.dialects
        say = v5_answer if is_v5 else v4_answer
        try:
            response: web.StreamResponse = await handler(request)
        except Refused as refused:
            return say(refused)
        except web.HTTPNotFound:
            return say(Refused("not-found", "Not Found" if is_v5 else "The requested URL was not found on the server."))
        return response

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response(listing(tuple(self.models), camel_case=request.path.startswith("/v5/")))

    def _person(self, request: web.Request) -> Person:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if bearer == TOKEN:
            return Person(id="sandbox-user", known=True)
        anonymous = request.headers.get("X-Anonymous-User-ID")
        bad_bearer = bearer and not request.path.startswith("/v5/")
        if anonymous is None or bad_bearer:
            raise Refused("auth", "The server could not verify that you are authorized to access the URL requested.")
        return Person(id=anonymous)

    def _owned(self, request: web.Request, *, by_owner: bool) -> Stored:
        person = self._person(request)
        wanted = request.match_info["id"]
        message = self.store.get(wanted)
        if message is None:
            raise Refused("not-found", f"Thread with id {wanted} was not found")
        if by_owner and message.creator != person.id:
            raise Refused("owner", "The current thread was not created by the current user.")
        return message

    async def _read(self, request: web.Request) -> web.Response:
        """v4 shows any thread to anyone who knows its id."""
        message = self._owned(request, by_owner=request.path.startswith("/v5/"))
        messages = [flat(each, []) for each in self.store.thread(message.root)]
        return web.json_response({"id": message.root, "messages": messages})

    async def _delete(self, request: web.Request) -> web.Response:
        self.store.delete(self._owned(request, by_owner=True).root)
        return web.json_response(None)

    async def _chat_v5(self, request: web.Request) -> web.StreamResponse:
        return await self._chat(request, "v5", accepts=frozenset({MULTIPART, URLENCODED}))

    async def _chat_v4(self, request: web.Request) -> web.StreamResponse:
        return await self._chat(request, "v4", accepts=frozenset({MULTIPART, JSON}))

    async def _chat_v4_message(self, request: web.Request) -> web.StreamResponse:
        return await self._chat(request, "v4-message", accepts=frozenset({MULTIPART, JSON}))

    async def _chat(self, request: web.Request, dialect: Dialect, *, accepts: frozenset[str]) -> web.StreamResponse:
        person = self._person(request)
        form = await read_form(request, accepts=accepts)
        self.received.append(Received(path=request.path, headers=request.headers, form=form))
        del self.received[:-_REMEMBERED], self.histories[:-_REMEMBERED]
        if (answer := _ingress_page(form.one("model"))) is not None:
            return answer
        rules = Rules(
            models={model.id: model for model in self.models},
            store=self.store,
            flagged=self.flagged,
            captcha_demanded=self.captcha and form.one("captcha_token") is None,
            v5=dialect == "v5",
            needs_host=dialect == "v4-message",
        )
        turn = rules.check(form, person)
        if turn.model.id == "sandbox/server-error":
            raise Refused("server", "Internal Server Error")
        return await self._stream(request, turn, wire=_WIRES[dialect])

    async def _stream(self, request: web.Request, turn: Turn, *, wire: V4) -> web.StreamResponse:
        player = Player(store=self.store, turn=turn, wire=wire, slow=self.slow, now=self.now)
        self.histories.append(told(player.history))
        response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        self.opened.set()
        try:
            async with aclosing(player.lines()) as lines:
                async for line in lines:
                    await response.write(wire.encode(line))
            await response.write_eof()
        except Broken:
            if request.transport is not None:
                request.transport.close()
        except asyncio.CancelledError:
            self.left.set()
            raise
        return response


def _ingress_page(model: str | None) -> web.Response | None:
    """Return the page that some sandbox models get from the ingress instead of an answer."""
    match model:
        case "sandbox/bad-gateway":
            return page(502, "502 Bad Gateway")
        case "sandbox/html":
            return page(200, "Just a moment...")
        case "sandbox/too-many-requests":
            return page(429, "429 Too Many Requests", headers={"Retry-After": "1"})
    return None


def _redirect(status: int, path: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": f"http://{request.host}{path}"})

    return answer
