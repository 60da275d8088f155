"""What the service tells of its models: kept for an hour, and never a reason for a chat to fail."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import define, field, frozen

from core_chat import ProviderError
from core_chat.cache import ExpiringCache, key_of
from core_replicate._api import Api
from core_replicate._names import Target, is_owned_name, is_version
from core_replicate._schema import Schema, read_schema

_LOG = logging.getLogger("core_chat.replicate")
_SECONDS = 3600.0


@frozen
class Known:
    """What could be learnt of the model of a prediction; None is unknown.

    Attributes:
        schema: What it takes and gives.
        latest: The id of the model's latest version.
        is_official: Whether it is run by its name; the others are run by version.
    """

    schema: Schema | None = None
    latest: str | None = None
    is_official: bool | None = None


@define(eq=False)
class Metadata:
    """The objects of the API that one provider has seen, for each token."""

    _cache: ExpiringCache[tuple[str, str], Mapping[str, Any]] = field(
        init=False, repr=False, factory=lambda: ExpiringCache(seconds=_SECONDS)
    )

    async def known(self, api: Api, target: Target) -> Known:
        """Return what is known of a target, asking the service where need be."""
        if target.deployment is not None:
            target = await self._deployed(api, target.deployment)
        name, version = target.model, target.version
        if name is None:
            return Known()
        model = await self._look_up(api, f"models/{name}", lambda: api.model(name))
        latest = model.get("latest_version")
        found = latest.get("id") if isinstance(latest, Mapping) else None
        schema = None
        if version is not None and version != found:
            path = f"models/{name}/versions/{version}"
            schema = read_schema(await self._look_up(api, path, lambda: api.version(name, version)))
        return Known(
            schema or read_schema(latest), found if isinstance(found, str) else None, is_official=_official(model)
        )

    async def _deployed(self, api: Api, deployment: str) -> Target:
        """Return the model and version that a deployment runs; both are None where that cannot be had."""
        found = await self._look_up(api, f"deployments/{deployment}", lambda: api.deployment(deployment))
        release = found.get("current_release")
        name, version = (release.get("model"), release.get("version")) if isinstance(release, Mapping) else (None, None)
        if not isinstance(name, str) or not is_owned_name(name):
            return Target()
        return Target(name, version if isinstance(version, str) and is_version(version) else None)

    async def _look_up(
        self, api: Api, path: str, load: Callable[[], Awaitable[Mapping[str, Any]]]
    ) -> Mapping[str, Any]:
        """Return an object: kept, fresh, or where the service cannot be asked the last one it gave, or an empty one."""
        key = (key_of(api.client.token), path)
        try:
            return await self._cache.get(key, load, clock=api.client.clock)
        except ProviderError as error:
            _LOG.debug("no metadata from %s: %s", path, type(error).__name__)
            return self._cache.last(key) or {}


def _official(model: Mapping[str, Any]) -> bool | None:
    found = model.get("is_official")
    return found if isinstance(found, bool) else None
