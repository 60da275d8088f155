"""What is compared with the service and the model before a call's first post, and what comes out for the form."""

from collections.abc import Iterator, Sequence

from aiohttp import ClientSession
from attrs import define, evolve, field

from core_allenai._catalog import Catalog
from core_allenai._entries import LIMITED, Entry
from core_allenai._files import File, check_images, load_files
from core_allenai._form import Settings
from core_allenai._tools import digest, tool_form
from core_allenai._turns import Post
from core_chat.errors import InvalidRequestError, ProviderError
from core_chat.events import Notice
from core_chat.http import Client
from core_chat.notices import UNSUPPORTED, unsupported
from core_chat.requests import ChatRequest

TAKEN = frozenset({*LIMITED, "stop", "tools", "tool_choice", "images"})
"""The parameters the service takes."""


@define(eq=False, kw_only=True)
class Preparation:
    """The checks of one call.

    Attributes:
        entry: What the model list says of the model, where it had to be asked.
        settings: For the form, with the tools.
        tools: A digest of the tools, to know them again.
        files: The pictures of the post that was checked.
    """

    request: ChatRequest
    session: ClientSession
    client: Client
    catalog: Catalog
    settings: Settings
    entry: Entry | None = field(init=False, default=None)
    tools: str = field(init=False, default="")
    files: tuple[File, ...] = field(init=False, default=())

    async def check(self, post: Post, *, is_new_thread: bool) -> list[Notice]:
        """Compare the request with what the service and the model take; nothing has been sent for it before.

        Raises:
            InvalidRequestError: It cannot be sent like this.
        """
        notices = [*self._unsupported()]
        asked = any(getattr(self.request, name) is not None for name in LIMITED)
        if asked or self.request.tools or self.settings.selected_tools:
            notices.extend(await self._find_entry())
        if self.entry is not None:
            self.entry.check_parameters(self.request)
            self._check_selected(self.entry)
        notices.extend(self._prepare_tools())
        notices.extend(await self.prepare_files(post, is_new_thread=is_new_thread))
        return notices

    def _unsupported(self) -> Iterator[Notice]:
        yield from unsupported(self.request, taken=TAKEN)
        if self.request.tool_choice not in (None, "auto", "none"):
            yield Notice(UNSUPPORTED, "the Playground lets the model choose a tool or none", parameter="tool_choice")

    async def _find_entry(self) -> Sequence[Notice]:
        if self.entry is not None:
            return ()
        try:
            self.entry = await self.catalog.entry(self.request.model.name, self.client)
        except ProviderError as error:
            told = f"the model list could not be had, so its limits were not checked: {error.text}"
            return (Notice("limits_unknown", told),)
        return ()

    def _check_selected(self, entry: Entry) -> None:
        if unknown := set(self.settings.selected_tools) - set(entry.tools):
            has = f"it has {', '.join(entry.tools)}" if entry.tools else "it has none"
            raise InvalidRequestError(f"{entry.id} has no service tool {min(unknown)!r}: {has}", parameter="options")

    def _prepare_tools(self) -> Iterator[Notice]:
        """Put the tools into the settings, as far as the model can call any."""
        definitions = ""
        if self.request.tools and self.request.tool_choice != "none":
            if self.entry is not None and not self.entry.can_call_tools:
                yield Notice(UNSUPPORTED, f"{self.entry.id} cannot call tools", parameter="tools")
            else:
                form = tool_form(self.request.tools)
                definitions = form.definitions
                if form.dropped:
                    told = f"the Playground drops {', '.join(form.dropped)} from tool schemas"
                    yield Notice("adjusted_parameter", told, parameter="tools")
        self.settings = evolve(self.settings, tool_definitions=definitions)
        self.tools = digest(definitions, self.settings.selected_tools)

    async def prepare_files(self, post: Post, *, is_new_thread: bool) -> list[Notice]:
        """Fetch the pictures of a post, once it is known that they may go.

        Raises:
            InvalidRequestError: They may not.
        """
        notices = [*await self._find_entry()] if post.images else []
        images = post.images
        if self.entry is not None and post.role == "user":
            images = check_images(
                self.entry,
                images,
                new=sum(len(message.images) for message in self.request.new_messages),
                is_new_thread=is_new_thread,
                others=self.catalog.image_models(self.client),
            )
        self.files = await load_files(
            images, entry=self.entry, session=self.session, request=self.request, base_url=self.client.base_url
        )
        if left_out := len(post.images) - len(images):
            told = f"{left_out} pictures of earlier turns were left out: {self.request.model.name} does not take them"
            notices.append(Notice("images_left_out", told, parameter="messages"))
        return notices
