"""What the service tells of its models: kept for an hour, and never a reason for a chat to fail."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import define, evolve, field, frozen

from core_chat import ProviderError
from core_chat.cache import ExpiringCache, key_of
from core_replicate._api import Api
from core_replicate._names import Target, is_owned_name, is_version
from core_replicate._schema import Schema, read_schema

_LOG = logging.getLogger("core_chat.replicate")
_SECONDS = 3600.0

T = TypeVar("T")


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
    """What one provider has learnt, for each token."""

    _cache: ExpiringCache[tuple[str, str], Any] = field(
        init=False, repr=False, factory=lambda: ExpiringCache(seconds=_SECONDS)
    )

    async def known(self, api: Api, target: Target) -> Known:
        """Return what is known of a target, asking the service where need be."""
        if target.deployment is not None:
            target = await self._ask(api, f"deployments/{target.deployment}", _read_deployment) or Target()
        name, version = target.model, target.version
        if name is None:
            return Known()
        model = await self._ask(api, f"models/{name}", _read_model) or Known()
        if version is None or version == model.latest:
            return model
        schema = await self._ask(api, f"models/{name}/versions/{version}", read_schema)
        return evolve(model, schema=schema or model.schema)

    async def _ask(self, api: Api, path: str, read: Callable[[Mapping[str, Any]], T]) -> T | None:
        """Return what an object of the API says: kept, fresh, or, where the service cannot be asked, the last one."""
        key = (key_of(api.client.token), path)

        async def load() -> T:
            return read(await api.look_up(path))

        try:
            found: T | None = await self._cache.get(key, load, clock=api.client.clock)
        except ProviderError as error:
            _LOG.debug("no metadata from %s: %s", path, type(error).__name__)
            found = self._cache.last(key)
        return found


def _read_model(model: Mapping[str, Any]) -> Known:
    latest, official = model.get("latest_version"), model.get("is_official")
    version = latest.get("id") if isinstance(latest, Mapping) else None
    return Known(
        read_schema(latest),
        version if isinstance(version, str) else None,
        is_official=official if isinstance(official, bool) else None,
    )


def _read_deployment(deployment: Mapping[str, Any]) -> Target:
    """Return the model and version that a deployment runs; both are None where it does not tell."""
    release = deployment.get("current_release")
    name, version = (release.get("model"), release.get("version")) if isinstance(release, Mapping) else (None, None)
    if not isinstance(name, str) or not is_owned_name(name):
        return Target()
    return Target(name, version if isinstance(version, str) and is_version(version) else None)
