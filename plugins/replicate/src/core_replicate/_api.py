"""Replicate's HTTP API: one method per request the plugin makes."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from attrs import evolve, field, frozen

from core_chat import ModelNotFoundError, ProtocolError, ProviderError, Timeouts
from core_chat.http import Client, Failure
from core_replicate._names import Target
from core_replicate._predictions import Prediction, read_prediction

_METADATA_TIMEOUTS = Timeouts(connect=5, headers=10, idle=10)
_CLEAN_UP_TIMEOUTS = Timeouts(connect=3, headers=5, idle=5)
_PAGES = 5


def refine(failure: Failure) -> ProviderError | None:
    """Return the exact error where Replicate answers with a general status: 422 for a version that is not there."""
    text = failure.text.lower()
    if failure.status == 422 and ("invalid version" in text or "version does not exist" in text):  # noqa: PLR2004
        return failure.error(ModelNotFoundError)
    return None


@frozen
class Api:
    """The requests of one call."""

    client: Client
    headers: Mapping[str, str] = field(factory=dict, repr=False)

    @property
    def _quick(self) -> Client:
        return evolve(self.client, timeouts=_METADATA_TIMEOUTS)

    async def create(self, target: Target, *, inputs: Mapping[str, Any], cancel_after: int) -> Prediction:
        """Create a prediction where this target's are created."""
        body: dict[str, Any] = {"input": inputs}
        if target.deployment is not None:
            path = f"deployments/{target.deployment}/predictions"
        elif target.version is not None:
            path = "predictions"
            body = {"version": target.version, "input": inputs}
        else:
            path = f"models/{target.model}/predictions"
        headers = {"Cancel-After": f"{cancel_after}s", **self.headers}
        return read_prediction(await self.client.json("POST", path, json=body, headers=headers))

    async def prediction(self, prediction_id: str) -> Prediction:
        """Return a prediction as it is now."""
        return read_prediction(await self.client.json("GET", f"predictions/{prediction_id}"))

    async def cancel(self, prediction_id: str) -> None:
        """Cancel a prediction, with short timeouts."""
        client = evolve(self.client, timeouts=_CLEAN_UP_TIMEOUTS)
        async with client.send("POST", f"predictions/{prediction_id}/cancel"):
            pass

    async def last_look(self, prediction_id: str) -> Prediction:
        """Return a prediction that has ended, with short timeouts."""
        return read_prediction(await self._quick.json("GET", f"predictions/{prediction_id}"))

    async def model(self, name: str) -> dict[str, Any]:
        """Return a model object."""
        return self._mapping(await self._quick.json("GET", f"models/{name}"))

    async def version(self, model: str, version: str) -> dict[str, Any]:
        """Return a version object."""
        return self._mapping(await self._quick.json("GET", f"models/{model}/versions/{version}"))

    async def deployment(self, name: str) -> dict[str, Any]:
        """Return a deployment object."""
        return self._mapping(await self._quick.json("GET", f"deployments/{name}"))

    async def collection(self, slug: str) -> list[Any]:
        """Return the model objects of a collection."""
        found = self._mapping(await self.client.json("GET", f"collections/{slug}")).get("models")
        return found if isinstance(found, list) else []

    async def search(self, words: str) -> AsyncGenerator[Any, None]:
        """Yield the model objects that the service finds for some words.

        `GET /search` is the documented way since 2026-04; `QUERY /models` the one before it.
        """
        path = str(self.client.url("search").with_query(query=words, limit=50))
        try:
            found = self._mapping(await self.client.json("GET", path)).get("models")
        except ModelNotFoundError:
            async for model in self._query(words):
                yield model
            return
        for hit in found if isinstance(found, list) else []:
            yield hit.get("model") if isinstance(hit, Mapping) else None

    async def _query(self, words: str) -> AsyncGenerator[Any, None]:
        headers = {"Content-Type": "text/plain"}
        page = self._mapping(await self.client.json("QUERY", "models", data=words.encode(), headers=headers))
        for _ in range(_PAGES):
            for model in page.get("results") or ():
                yield model
            link = page.get("next")
            if not isinstance(link, str) or not self.client.trusts(self.client.url(link)):
                return
            page = self._mapping(await self.client.json("GET", link))

    @staticmethod
    def _mapping(data: object) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise ProtocolError("Replicate answered no JSON object", got=type(data).__name__)
        return data
