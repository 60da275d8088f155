"""The Hub's metadata: who serves a model, what a model is, which models there are; for both providers.

A `Hub` belongs to one plugin object. Its methods take the `Client` that `Hub.client` makes of a call, so that the
call's key, timeouts and clock hold; what is learnt is kept for a time, per key, one request in flight at once.
"""

from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from attrs import define, field, frozen
from yarl import URL

from core_chat import (
    ChatRequest,
    InvalidRequestError,
    ModelInfo,
    ModelNotFoundError,
    ModelQuery,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    env,
)
from core_chat.cache import ExpiringCache, key_of
from core_chat.http import Client, Failure, check_base_url, client_for

if TYPE_CHECKING:
    from aiohttp import ClientSession

DEFAULT_HUB = "https://huggingface.co"
DEFAULT_ORIGIN = "https://router.huggingface.co"
CHAT = "conversational"
"""The mapping's word for chat; the other tasks go by the Hub's pipeline tags."""
TEXT_TO_IMAGE = "text-to-image"
_EXPAND = ("expand[]", "inferenceProviderMapping")
_PAGE = 100
_PAGES = 10


@frozen(kw_only=True)
class Serving:
    """One inference provider's offer of a model, from the Hub's mapping.

    Attributes:
        provider: The inference provider.
        provider_id: The model's id there.
        task: Such as "conversational" or "text-to-image".
        status: "live", "staging" or "error"; a mapping without one counts as live.
        adapter: Such as "lora", for a model that is an adapter.
        weights: The path of the adapter's weights in its repository.
    """

    provider: str
    provider_id: str
    task: str
    status: str = "live"
    adapter: str | None = None
    weights: str | None = None

    @property
    def live(self) -> bool:
        """Whether it can be used now."""
        return self.status == "live"


@frozen
class Offers:
    """Who serves a model: the id it has on the Hub today, another one where it was renamed, and all offers in order."""

    model: str
    servings: tuple[Serving, ...]

    def live(self, task: str) -> tuple[Serving, ...]:
        """Return the offers that can be used for a task, in the order of the account's preference."""
        return tuple(serving for serving in self.servings if serving.live and serving.task == task)

    def only(self, task: str) -> bool:
        """Whether somebody serves it for this task, and nobody for chat."""
        return bool(self.live(task)) and not self.live(CHAT)


def default_hub() -> str:
    """Return the Hub's address: `HF_ENDPOINT`, else the vendor's."""
    return env("HF_ENDPOINT", DEFAULT_HUB)()


def _url(value: Any) -> str:
    try:
        return check_base_url(value)
    except InvalidRequestError as error:
        raise InvalidRequestError("hub_url must be an absolute URL like https://host", parameter="hub_url") from error


def read_mapping(value: Any) -> tuple[Serving, ...]:
    """Return an `inferenceProviderMapping` in either form, a dict by provider or a list; odd entries are skipped."""
    if isinstance(value, Mapping):
        entries: Iterable[Any] = [
            {**entry, "provider": name} for name, entry in value.items() if isinstance(entry, Mapping)
        ]
    else:
        entries = value if isinstance(value, list) else ()
    return tuple(_serving(entry) for entry in entries if _is_serving(entry))


def _is_serving(entry: Any) -> bool:
    names = ("provider", "providerId", "task")
    return isinstance(entry, Mapping) and all(isinstance(entry.get(name), str) and entry[name] for name in names)


def _serving(entry: Mapping[str, Any]) -> Serving:
    return Serving(
        provider=entry["provider"],
        provider_id=entry["providerId"],
        task=entry["task"],
        status=str(entry.get("status") or "live"),
        adapter=entry.get("adapter"),
        weights=entry.get("adapterWeightsPath"),
    )


@define(eq=False)
class Hub:
    """The Hub at `url`, as a provider whose requests go to `base_url` sees it."""

    url: str = field(converter=_url)
    base_url: str = DEFAULT_ORIGIN
    _offers: ExpiringCache[tuple[str, str], Offers] = field(init=False, repr=False, factory=ExpiringCache)
    _models: ExpiringCache[tuple[str, str], dict[str, Any]] = field(init=False, repr=False, factory=ExpiringCache)

    def client(self, session: "ClientSession", call: ChatRequest | ModelQuery, *, token: str | None) -> Client:
        """Return the client of one call; the token goes along only where `base_url` and the Hub belong together."""
        shared = token if self._shares_token() else None
        return client_for(session, call, base_url=self.url, token=shared, refine=_refine)

    def _shares_token(self) -> bool:
        hub, base = URL(self.url).origin(), URL(self.base_url).origin()
        return hub == base or (hub == URL(DEFAULT_HUB) and base == URL(DEFAULT_ORIGIN))

    async def offers(self, model: str, client: Client) -> Offers:
        """Return who serves a model.

        Raises:
            ProviderError: The Hub does not know the model or cannot be reached.
        """

        async def load() -> Offers:
            answer = await client.json("GET", f"{_path(model)}?{urlencode([_EXPAND])}")
            if not isinstance(answer, Mapping):
                raise ProtocolError("the Hub answered something else than a model", got=type(answer).__name__)
            return Offers(str(answer.get("id") or model), read_mapping(answer.get("inferenceProviderMapping")))

        return await self._offers.get((model, key_of(client.token)), load, clock=client.clock)

    async def model(self, model: str, client: Client) -> dict[str, Any]:
        """Return everything the Hub tells of a model: `config`, `pipeline_tag`, `tags`, `gguf`, …; not to be changed.

        Raises:
            ProviderError: The Hub does not know the model or cannot be reached.
        """

        async def load() -> dict[str, Any]:
            answer = await client.json("GET", _path(model))
            if not isinstance(answer, dict):
                raise ProtocolError("the Hub answered something else than a model", got=type(answer).__name__)
            return answer

        return await self._models.get((model, key_of(client.token)), load, clock=client.clock)

    async def models(
        self,
        client: Client,
        *,
        task: str,
        search: str | None = None,
        provider: str = "all",
        served_as: Collection[str] = (),
    ) -> AsyncGenerator[ModelInfo, None]:
        """Yield the models that some inference provider serves for a task, the most downloaded first, up to 1000.

        Args:
            client: As `client` makes it.
            task: A pipeline tag, such as "text-to-image".
            search: Words; the Hub does the searching.
            provider: Only what this inference provider serves.
            served_as: The mapping's words for the task, where they are not just `task`.

        Raises:
            ProviderError: A page could not be had; what was yielded before it stands.
        """
        query = [
            ("inference_provider", provider),
            ("pipeline_tag", task),
            *([("search", search)] if search else []),
            ("sort", "downloads"),
            ("limit", str(_PAGE)),
            _EXPAND,
        ]
        url: str | None = f"api/models?{urlencode(query)}"
        for _page in range(_PAGES):
            if url is None:
                return
            async with client.send("GET", url) as response:
                link = response.links.get("next")
                entries = client.parse(await client.body(response), response)
            for model in _listed(entries, task=task, served_as=served_as or (task,), searched=search is not None):
                yield model
            url = None if link is None else str(link["url"])


def _refine(failure: Failure) -> ProviderError | None:
    """Read the Hub's own error codes: without a token it answers 401 also for what does not exist."""
    code = failure.headers.get("x-error-code")
    if code == "RepoNotFound":
        return failure.error(ModelNotFoundError)
    if code == "GatedRepo":
        return failure.error(PermissionDeniedError, reason="gated")
    return None


def _path(model: str) -> str:
    if {"", ".", ".."} & set(model.split("/")):
        raise ModelNotFoundError(f"{model!r} cannot be an id on the Hub")
    return f"api/models/{quote(model, safe='/')}"


def _listed(entries: Any, *, task: str, served_as: Collection[str], searched: bool) -> Iterator[ModelInfo]:
    if not isinstance(entries, list):
        raise ProtocolError("the Hub answered something else than a list of models", got=type(entries).__name__)
    for entry in entries:
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str):
            servings = read_mapping(entry.get("inferenceProviderMapping"))
            backends = tuple(serving.provider for serving in servings if serving.live and serving.task in served_as)
            if backends:
                yield ModelInfo(entry["id"], tasks={task}, backends=backends, source="search" if searched else "live")
