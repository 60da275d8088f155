"""Lists of models: providers asked side by side, kept for a time, the last good one served when a refresh fails."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing

from attrs import frozen

from core_chat._deadline import Deadline, DeadlineExpiredError
from core_chat._guard import translate
from core_chat._provider import Provider
from core_chat.cache import ExpiringCache, key_of
from core_chat.clock import Clock
from core_chat.errors import CoreError, TimedOutError
from core_chat.models import Catalog, ModelInfo
from core_chat.requests import ModelQuery

_SECONDS = 300.0


@frozen
class Listing:
    """What one provider listed, and the error that ended it early."""

    models: tuple[ModelInfo, ...] = ()
    error: CoreError | None = None
    stale: bool = False


class _FailedError(Exception):
    """Carries a partial list past the cache, which keeps no errors."""

    def __init__(self, listing: Listing) -> None:
        super().__init__()
        self.listing = listing


class Lists:
    """The lists of one registry's providers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cache: ExpiringCache[tuple[str, str, str, str], Listing] = ExpiringCache(seconds=_SECONDS)

    async def get(
        self, provider: str, query: ModelQuery, *, ask: Callable[[], Awaitable[Listing]], refresh: bool
    ) -> Listing:
        """Return a provider's list: kept, fresh, or the last good one with the error of the refresh."""
        key = (provider, query.search or "", query.task or "", key_of(query.api_key))

        async def load() -> Listing:
            listing = await ask()
            if listing.error is not None:
                raise _FailedError(listing)
            return listing

        try:
            return await self._cache.get(key, load, clock=self._clock, refresh=refresh)
        except _FailedError as failed:
            last = self._cache.last(key)
            if last is None:
                return failed.listing
            return Listing(last.models, failed.listing.error, stale=True)

    def names(self) -> list[str]:
        """Return the full names of all models on the kept lists, for suggestions."""
        return [model.full_name for listing in self._cache.values() for model in listing.models]


async def list_provider(
    provider: Provider, query: ModelQuery, call: Callable[[], AsyncGenerator[ModelInfo, None]]
) -> Listing:
    """Call `list_models` and read the list to its end or its error, waiting no longer than `idle` for any piece."""
    found: dict[str, ModelInfo] = {}
    try:
        await _read(call(), query, found)
    except (Exception, SystemExit) as raised:
        error = translate(raised, provider.name)
        if not isinstance(error, CoreError):  # pragma: no cover - an Exception always becomes one
            raise
        _log(provider.name, error)
        return Listing(tuple(found.values()), error)
    return Listing(tuple(found.values()))


async def _read(models: AsyncGenerator[ModelInfo, None], query: ModelQuery, found: dict[str, ModelInfo]) -> None:
    deadline = Deadline(query.clock)
    try:
        async with aclosing(models):
            while True:
                with deadline.running(query.timeouts.idle):
                    model = await anext(models)
                if _wanted(model, query):
                    found[model.name] = model
    except StopAsyncIteration:
        return
    except DeadlineExpiredError as error:
        raise TimedOutError("the list of models stopped in the middle", timeout="idle") from error
    finally:
        deadline.close()


def _log(provider: str, error: CoreError) -> None:
    logging.getLogger(f"core_chat.{provider}").debug("list_models failed: %s", type(error).__name__)


def _wanted(model: ModelInfo, query: ModelQuery) -> bool:
    if query.task is not None and model.tasks is not None and query.task not in model.tasks:
        return False
    if query.search is None or model.source == "search":
        return True
    words = f"{model.name} {model.title or ''}".lower()
    return all(word in words for word in query.search.lower().split())


async def gather_catalog(asks: Mapping[str, Callable[[], Awaitable[Listing]]]) -> Catalog:
    """Ask side by side and put the answers together in the order of the names."""
    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(_as_task(ask)) for name, ask in asks.items()}
    listings = {name: task.result() for name, task in tasks.items()}
    return Catalog(
        tuple(model for listing in listings.values() for model in listing.models),
        {name: listing.error for name, listing in listings.items() if listing.error is not None},
        frozenset(name for name, listing in listings.items() if listing.stale),
    )


async def _as_task(ask: Callable[[], Awaitable[Listing]]) -> Listing:
    return await ask()
