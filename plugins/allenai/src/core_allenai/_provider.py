"""The provider: the Ai2 Playground's models, without a key."""

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import Attribute, define, field

from core_allenai._bundled import ALIASES, BUNDLED, DEFAULT, SUGGESTED
from core_allenai._options import GENERATIONS, AllenAIOptions, check_api
from core_chat.checks import check_secret, flag, text
from core_chat.errors import ConversationExpiredError, InvalidRequestError, ProviderError
from core_chat.events import Event
from core_chat.hooks import hookimpl
from core_chat.models import About, ModelInfo
from core_chat.reply import Conversation
from core_chat.requests import ChatRequest, ModelQuery, read_options

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from core_allenai._catalog import Catalog
    from core_chat.http import Client

BASE_URL = "https://olmo-api.allen.ai"
_TERMS = (
    "Using the Playground means agreeing to Ai2's Terms of Use (https://allenai.org/terms), Responsible Use Guidelines "
    "(https://allenai.org/responsible-use) and Privacy Policy (https://allenai.org/privacy-policy). Messages are "
    "stored, anonymous ones for 24 hours, and checked by Google's moderation; the web page is protected by reCAPTCHA."
)


def _base_url(value: Any) -> str:
    from core_chat.http import check_base_url

    return check_base_url(value)


def _secret(_instance: Any, attribute: "Attribute[Any]", value: Any) -> None:
    check_secret(value, attribute.name)


@define(eq=False, kw_only=True)
class AllenAI:
    """The Ai2 Playground: Olmo, Tülu and Molmo, with conversations that the service keeps.

    Args:
        base_url: The service's origin.
        token: An Auth0 token of somebody who is signed in; without one the service takes everybody anonymously.
        api: The generation of its chat API; "auto" tries the newest first.
        private: Whether threads are private; not sent unless given.
        host: Where models run, for `v4-message`; by default as the model list says.
        anonymous_user_id: Who asks, in place of a new id for each conversation.
    """

    about: ClassVar[About] = About(
        label="Ai2 Playground",
        home="https://playground.allenai.org",
        terms=_TERMS,
        default_model=DEFAULT,
        models=SUGGESTED,
    )
    base_url: str = field(default=BASE_URL, converter=_base_url)
    token: str | None = field(default=None, repr=False, validator=_secret)
    api: str = field(default="auto", validator=check_api)
    private: bool | None = field(default=None, validator=flag)
    host: str | None = field(default=None, validator=text())
    anonymous_user_id: str | None = field(default=None, repr=False, validator=_secret)
    _lists: "Catalog | None" = field(init=False, default=None, repr=False)
    _found: str | None = field(init=False, default=None, repr=False)

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo:
        """Know the live list once it was read, the bundled names and the aliases; let any other id pass."""
        name = name or DEFAULT
        listed = self._lists.known(name) if self._lists else None
        if listed is not None:
            return listed.info()
        return BUNDLED.get(name) or BUNDLED.get(ALIASES.get(name, "")) or ModelInfo(name, known=False)

    @hookimpl
    async def list_models(self, query: ModelQuery, session: "ClientSession") -> AsyncGenerator[ModelInfo, None]:
        """List what a person can chat with; where the list cannot be had, the bundled one and then the error."""
        from core_allenai._errors import refine
        from core_chat.http import client_for, credential

        token = credential(query, self.token, about=self.about)
        client = client_for(session, query, base_url=self.base_url, token=token, refine=refine)
        try:
            entries = await self._catalog().entries(client, refresh=True)
        except ProviderError:
            for model in BUNDLED.values():
                yield model
            raise
        for entry in entries.values():
            if entry.usable:
                yield entry.info()

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: "ClientSession") -> AsyncGenerator[Event, None]:
        """Post the new turn below the thread, or the transcript as a new thread, and read the answer's lines."""
        from core_allenai._begin import begin
        from core_allenai._errors import RouteMissingError
        from core_chat.http import json_lines

        options = read_options(AllenAIOptions, request)
        call = begin(request, session, options=options, provider=self, catalog=self._catalog())
        while not call.done:
            for notice in await call.notices():
                yield notice
            try:
                async with call.sent() as response:
                    async with aclosing(json_lines(response)) as lines:
                        async for line in lines:
                            for event in call.reader.feed(line):
                                yield event
                            if call.reader.complete:
                                break
                    await call.client.drain(response)
            except RouteMissingError as error:
                call.next_generation(error)
            except ConversationExpiredError as error:
                await call.begin_again(error)
            else:
                self._remember(call.answered(), options)
        yield call.finish()

    @hookimpl
    async def delete_conversation(self, conversation: Conversation, session: "ClientSession") -> None:
        """Delete a conversation's thread from the service.

        Raises:
            InvalidRequestError: The conversation has none.
            ConversationExpiredError: The service has no such thread (any more).
            PermissionDeniedError: Somebody else began it.
        """
        from core_allenai._errors import refine
        from core_allenai._state import read_state
        from core_chat.http import Client

        found = map(read_state, conversation.state.values())
        state = next((each for each in found if each is not None), None)
        if state is None:
            raise InvalidRequestError("this conversation has no thread at the Playground", parameter="conversation")
        token = None if state.anonymous_user_id else check_secret(self.token, "token")
        client = Client(session=session, base_url=self.base_url, token=token, refine=refine)
        headers = {"X-Anonymous-User-ID": state.anonymous_user_id} if state.anonymous_user_id else {}
        await self._delete(client, state.root_id, headers=headers)

    async def _delete(self, client: "Client", root: str, *, headers: dict[str, str]) -> None:
        from urllib.parse import quote

        places = {"v5": ("v5/threads",), "auto": ("v5/threads", "v3/message")}.get(self.api, ("v3/message",))
        missing: ProviderError | None = None
        for place in places:
            try:
                await client.json("DELETE", f"{place}/{quote(root, safe='')}", headers=headers)
            except ProviderError as error:
                if error.status not in (404, 405):
                    raise
                missing = error
            else:
                return
        told = "the Playground has no such thread (any more): anonymous ones are kept for 24 hours"
        raise ConversationExpiredError(told, status=404) from missing

    def _catalog(self) -> "Catalog":
        if self._lists is None:
            from core_allenai._catalog import Catalog

            places = {"v5": ("v5/models/",), "auto": ("v5/models/", "v4/models/")}
            self._lists = Catalog(places.get(self.api, ("v4/models/",)))
        return self._lists

    def _remember(self, generation: str, options: AllenAIOptions) -> None:
        if (options.api or self.api) == "auto":
            self._found = generation

    def generations(self, options: AllenAIOptions) -> deque[str]:
        """Return the generations to try: the fixed one, or all of them, the one that answered last time first."""
        fixed = options.api or self.api
        if fixed != "auto":
            return deque((fixed,))
        return deque(sorted(GENERATIONS, key=lambda generation: generation != self._found))
