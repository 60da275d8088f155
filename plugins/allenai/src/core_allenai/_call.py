"""One call: what is sent in it, in which generation of the API, and what it leaves for the next."""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from aiohttp import ClientResponse
from attrs import define, evolve, field

from core_allenai._catalog import Catalog
from core_allenai._errors import RouteMissingError
from core_allenai._form import form_data, form_fields
from core_allenai._options import AllenAIOptions
from core_allenai._preparing import Preparation
from core_allenai._state import ThreadState
from core_allenai._turns import Plan, Post, from_transcript, replay_notice
from core_allenai._wire import ThreadReader
from core_chat.errors import (
    ConversationExpiredError,
    IncompleteStreamError,
    ModelNotFoundError,
    ProviderError,
    close_names,
)
from core_chat.events import Finish, Notice
from core_chat.http import Client
from core_chat.notices import UNSUPPORTED
from core_chat.requests import ChatRequest

PATHS = {"v5": "v5/threads/chat", "v4": "v4/threads/", "v4-message": "v4/message/stream"}
USER_HEADER = "X-Anonymous-User-ID"
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
    options: AllenAIOptions
    reader: ThreadReader = field(init=False)
    _parent: str | None = field(init=False, default=None)
    _posts: deque[Post] = field(init=False, factory=deque)
    _told: set[str] = field(init=False, factory=set)
    _due: list[Notice] = field(init=False, factory=list)

    def _follow(self, plan: Plan) -> None:
        self.plan = plan
        self._posts = deque(plan.posts)
        self._parent = plan.state.parent_id if plan.state else None

    @property
    def done(self) -> bool:
        """Whether everything was posted."""
        return bool(self._told) and not self._posts

    async def notices(self) -> list[Notice]:
        """Return what the caller should know before the next post; before the first one, everything is checked.

        Raises:
            InvalidRequestError: The request cannot be sent like this.
        """
        notices, self._due = self._due, []
        if not self._told:
            self._follow(self.plan)
            notices = [*self.plan.notices]
            notices += await self.preparation.check(self._posts[0], is_new_thread=self._parent is None)
        if self.generations[0] not in self._told:
            self._told.add(self.generations[0])
            notices += self._notices_of(self.generations[0])
        return notices

    def _notices_of(self, generation: str) -> Iterator[Notice]:
        """What a generation of the API cannot do."""
        if generation != "v4-message" and self.options.host is not None:
            yield Notice(UNSUPPORTED, f"{generation} chooses the host itself", parameter="options")
        if generation != "v5":
            yield from self._notices_of_v4(generation)
        elif self.options.private is not None:
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
    async def sent(self) -> AsyncIterator[ClientResponse]:
        """Send the next post and yield the answer that begins; `reader` is ready for its lines.

        Raises:
            RouteMissingError: The server does not have this generation of the API.
            ConversationExpiredError: It has forgotten the thread.
            ProviderError: It refused, or the answer failed.
        """
        generation = self.generations[0]
        host = await self._host() if generation == "v4-message" else None
        settings = evolve(self.preparation.settings, generation=generation, host=host, private=self._private)
        fields = form_fields(self.request, self._posts[0], parent=self._parent, settings=settings)
        form = form_data(fields, self.preparation.files)
        identity = {} if self.user is None else {USER_HEADER: self.user}
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

    @property
    def _private(self) -> bool | None:
        """What was asked for now, or with the turns before; v5 is never told."""
        asked = self.preparation.settings.private
        return self.plan.state.private if asked is None and self.plan.state else asked

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

    async def begin_again(self, error: ConversationExpiredError) -> None:
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
        self._due = [forgotten, *self.plan.notices, *notices]

    def answered(self) -> str:
        """Go on to the next post, below the message that came last, and return the generation that answered.

        Raises:
            ProviderError: The answer is not whole.
        """
        self.reader.close()
        self._posts.popleft()
        self._parent = self.reader.last or self._parent
        return self.generations[0]

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
            private=None if self.generations[0] == "v5" else self._private,
        )
        return reader.finish(state.to_json())
