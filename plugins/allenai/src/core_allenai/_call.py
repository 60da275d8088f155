"""One call: what is sent in it, in which generation of the API, and what it leaves for the next."""

import uuid
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import ClientResponse, ClientSession
from attrs import define, evolve, field

from core_allenai._catalog import Catalog
from core_allenai._errors import RouteMissingError, refine
from core_allenai._form import Settings, form_data, form_fields
from core_allenai._options import AllenAIOptions
from core_allenai._preparing import Preparation
from core_allenai._state import ThreadState, read_state
from core_allenai._turns import Plan, Post, from_transcript, plan_posts, replay_notice
from core_allenai._wire import ThreadReader
from core_chat.errors import (
    ConversationExpiredError,
    IncompleteStreamError,
    ModelNotFoundError,
    ProviderError,
    close_names,
)
from core_chat.events import Finish, Notice
from core_chat.http import Client, client_for, credential
from core_chat.notices import UNSUPPORTED
from core_chat.requests import ChatRequest

if TYPE_CHECKING:
    from core_allenai._provider import AllenAI

PATHS = {"v5": "v5/threads/chat", "v4": "v4/threads/", "v4-message": "v4/message/stream"}
_LAST_RESORT_HOST = "inferd"


@define(eq=False, kw_only=True)
class Call:
    """One call under way.

    Attributes:
        generations: The generations of the API still to be tried, the next one first.
        user: The anonymous id, or None where a token says who asks.
        reader: Of the answer to the post that was sent last.
    """

    request: ChatRequest
    client: Client
    catalog: Catalog
    generations: deque[str]
    user: str | None
    plan: Plan
    preparation: Preparation
    host_asked: bool = False
    reader: ThreadReader = field(init=False)
    _parent: str | None = field(init=False, default=None)
    _posts: deque[Post] = field(init=False, factory=deque)
    _told: set[str] = field(init=False, factory=set)

    async def check(self) -> list[Notice]:
        """Check everything that can be checked before the first post.

        Raises:
            InvalidRequestError: The request cannot be sent like this.
        """
        self._follow(self.plan)
        notices = await self.preparation.check(self._posts[0], is_new_thread=self._parent is None)
        return [*self.plan.notices, *notices]

    def _follow(self, plan: Plan) -> None:
        self.plan = plan
        self._posts = deque(plan.posts)
        self._parent = plan.state.parent_id if plan.state else None

    @property
    def post(self) -> Post | None:
        """What is to be posted next, if anything."""
        return self._posts[0] if self._posts else None

    def notices(self) -> Iterator[Notice]:
        """Yield, once, what the generation that is tried next cannot do."""
        generation = self.generations[0]
        if generation in self._told:
            return
        self._told.add(generation)
        if generation != "v4-message" and self.host_asked:
            yield Notice(UNSUPPORTED, f"{generation} chooses the host itself", parameter="options")
        if generation != "v5":
            yield from self._notices_of_v4(generation)
        elif self.preparation.settings.private is not None:
            yield Notice(UNSUPPORTED, "v5 keeps no visibility: private was not sent", parameter="options")

    def _notices_of_v4(self, generation: str) -> Iterator[Notice]:
        for name in ("temperature", "top_p"):
            if getattr(self.request, name) == 0:
                yield Notice(
                    "adjusted_parameter", f"{generation} takes {name}=0 for the model's default", parameter=name
                )
        tools = self.preparation.tools
        if self.plan.state is not None and tools and tools != self.plan.state.tools:
            yield Notice(UNSUPPORTED, f"{generation} keeps the tools a conversation began with", parameter="tools")

    @asynccontextmanager
    async def sent(self, post: Post) -> AsyncIterator[ClientResponse]:
        """Send a post and yield the answer that begins; `reader` is ready for its lines.

        Raises:
            RouteMissingError: The server does not have this generation of the API.
            ConversationExpiredError: It has forgotten the thread.
            ProviderError: It refused, or the answer failed.
        """
        generation = self.generations[0]
        host = await self._host() if generation == "v4-message" else None
        settings = evolve(self.preparation.settings, generation=generation, host=host)
        fields = form_fields(self.request, post, parent=self._parent, settings=settings)
        form = form_data(fields, self.preparation.files)
        identity = {} if self.user is None else {"X-Anonymous-User-ID": self.user}
        headers = {**identity, **self.request.headers}
        model = self.request.model
        self.reader = ThreadReader(
            model=model.name, provider=model.provider, after=self._parent, secret=self.client.token
        )
        try:
            async with self.client.send("POST", PATHS[generation], data=form, headers=headers) as response:
                if "html" in response.content_type:
                    raise self.client.unexpected(await self.client.body(response), response)
                yield response
        except IncompleteStreamError as error:
            # Where the body breaks off after a failure was told, the failure is the news.
            raise self.reader.failure or error from error
        except ModelNotFoundError as error:
            raise await self._retired(error) from error

    async def _host(self) -> str:
        """v4-message wants to be told where the model runs."""
        if self.preparation.settings.host is not None:
            return self.preparation.settings.host
        try:
            entry = self.preparation.entry or await self.catalog.entry(self.request.model.name, self.client)
        except ProviderError:
            entry = None
        return (entry.host if entry else None) or _LAST_RESORT_HOST

    async def _retired(self, error: ModelNotFoundError) -> ModelNotFoundError:
        name = self.request.model.name
        try:
            live = await self.catalog.live(self.client)
        except ProviderError:
            live = ()
        listed = f"; it serves {', '.join(live)}" if live else ""
        return ModelNotFoundError(
            f"the Playground does not serve {name!r} (any more){listed}",
            status=error.status,
            request_id=error.request_id,
            suggestions=close_names(name, live) or live[:3],
        )

    def next_generation(self, error: RouteMissingError) -> None:
        """Turn to the next older generation.

        Raises:
            ModelNotFoundError: There is none; it is what the core makes of a 404 too.
        """
        self.generations.popleft()
        if not self.generations:
            told = f"no chat endpoint of the Playground at {self.client.base_url}; is base_url right, and api?"
            raise ModelNotFoundError(told, status=error.status) from error

    async def begin_again(self, error: ConversationExpiredError) -> list[Notice]:
        """Plan to send the transcript, since the thread is gone.

        Raises:
            ConversationExpiredError: There is no transcript.
        """
        request = self.request
        if self.plan.state is None or len(request.messages) == len(request.new_messages):
            raise error
        self._follow(from_transcript(request.messages))
        forgotten = replay_notice("the Playground has forgotten the conversation")
        notices = await self.preparation.prepare_files(self._posts[0], is_new_thread=True)
        return [forgotten, *self.plan.notices, *notices]

    def answered(self) -> None:
        """Go on to the next post, below the message that came last.

        Raises:
            ProviderError: The answer is not whole.
        """
        self.reader.close()
        self._posts.popleft()
        self._parent = self.reader.last or self._parent

    def finish(self) -> Finish:
        """Return the end of the answer, with what continues it; an answer without a message leaves nothing."""
        reader = self.reader
        if reader.answer is None or reader.root is None:
            return reader.finish(None)
        state = ThreadState(
            anonymous_user_id=self.user,
            root_id=reader.root,
            parent_id=reader.answer,
            model=self.request.model.name,
            tools=self.plan.state.tools if self.plan.state else self.preparation.tools,
        )
        return reader.finish(state.to_json())


def begin(
    request: ChatRequest,
    session: ClientSession,
    *,
    options: AllenAIOptions,
    provider: "AllenAI",
    catalog: Catalog,
) -> Call:
    """Return a call: who asks, what there is to continue, and what has to be posted for it.

    Raises:
        InvalidRequestError: A message or a credential cannot be sent.
    """
    token = credential(request, provider.token, about=provider.about)
    plan, user = _plan(request, signed_in=token is not None)
    if token is None:
        user = user or provider.anonymous_user_id or str(uuid.uuid4())
    private = provider.private if options.private is None else options.private
    settings = Settings(private=private, host=options.host or provider.host, selected_tools=options.selected_tools)
    client = client_for(session, request, base_url=provider.base_url, token=token, refine=refine)
    return Call(
        request=request,
        client=client,
        catalog=catalog,
        generations=provider.generations(options),
        user=user,
        plan=plan,
        preparation=Preparation(request=request, session=session, client=client, catalog=catalog, settings=settings),
        host_asked=options.host is not None,
    )


def _plan(request: ChatRequest, *, signed_in: bool) -> tuple[Plan, str | None]:
    """The plan of a call, and the anonymous id of the thread it continues; a thread stays with whoever began it."""
    state = read_state(request.state)
    if state is not None and (state.anonymous_user_id is None) == signed_in:
        plan = plan_posts(request, state)
        return plan, state.anonymous_user_id if plan.state else None
    plan = from_transcript(request.messages)
    if request.state is None:
        return plan, None
    why = "the conversation's state cannot be read"
    if state is not None:
        began = "with a token" if state.anonymous_user_id is None else "anonymously"
        why = f"the conversation was begun {began}"
    return evolve(plan, notices=(replay_notice(why), *plan.notices)), None
