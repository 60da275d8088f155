"""Replicate's HTTP API: one method per request the plugin makes."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from attrs import evolve, field, frozen

from core_chat import ModelNotFoundError, ProtocolError, ProviderError, Timeouts
from core_chat.http import Client, Failure
from core_replicate._names import Target
from core_replicate._predictions import Prediction, read_prediction

_QUICK = Timeouts(connect=5, headers=10, idle=10)
_PAGES = 5
_INVALID = 422
_UNKNOWN_ROUTE = (404, 405)


def refine(failure: Failure) -> ProviderError | None:
    """Return the exact error where Replicate answers with a general status: 422 for a version that is not there."""
    text = failure.text.lower()
    if failure.status == _INVALID and ("invalid version" in text or "version does not exist" in text):
        return failure.error(ModelNotFoundError)
    return None


@frozen
class Api:
    """The requests of one call; looks at single objects have short timeouts of their own.

    `headers` go with the creation, verbatim.
    """

    client: Client
    headers: Mapping[str, str] = field(factory=dict, repr=False)

    async def create(self, target: Target, *, inputs: Mapping[str, Any], cancel_after: int) -> Prediction:
        """Create a prediction where this target's are created; the service cancels it after so many seconds."""
        body: dict[str, Any] = {"input": inputs}
        if target.deployment is not None:
            path = f"deployments/{target.deployment}/predictions"
        elif target.version is not None:
            path = "predictions"
            body = {"version": target.version, "input": inputs}
        else:
            path = f"models/{target.model}/predictions"
        headers = dict(self.headers)
        if not any(name.lower() == "cancel-after" for name in headers):
            headers["Cancel-After"] = f"{cancel_after}s"
        return read_prediction(await self.client.json("POST", path, json=body, headers=headers))

    async def prediction(self, prediction_id: str) -> Prediction:
        """Return a prediction as it is now."""
        return read_prediction(await self._quick.json("GET", f"predictions/{prediction_id}"))

    async def cancel(self, prediction_id: str) -> None:
        """Cancel a prediction."""
        async with self.client.send("POST", f"predictions/{prediction_id}/cancel") as response:
            await self.client.drain(response)

    async def look_up(self, path: str) -> dict[str, Any]:
        """Return a model, version or deployment object."""
        return _mapping(await self._quick.json("GET", path))

    @property
    def _quick(self) -> Client:
        return evolve(self.client, timeouts=_QUICK)

    async def collection(self, slug: str) -> list[Any]:
        """Return the model objects of a collection."""
        return _list(await self.client.json("GET", f"collections/{slug}"), "models")

    async def search(self, words: str) -> AsyncGenerator[Any, None]:
        """Yield the model objects that the service finds for some words.

        `GET /search` is the documented way since 2026-04; `QUERY /models` the one before it.
        """
        path = str(self.client.url("search").with_query(query=words, limit=50))
        try:
            hits = _list(await self.client.json("GET", path), "models")
        except ProviderError as error:
            if error.status not in _UNKNOWN_ROUTE:
                raise
        else:
            for hit in hits:
                yield hit.get("model") if isinstance(hit, Mapping) else None
            return
        async with aclosing(self._query(words)) as models:
            async for model in models:
                yield model

    async def _query(self, words: str) -> AsyncGenerator[Any, None]:
        headers = {"Content-Type": "text/plain"}
        page = await self.client.json("QUERY", "models", data=words.encode(), headers=headers)
        for _ in range(_PAGES):
            for model in _list(page, "results"):
                yield model
            link = page.get("next")
            if not isinstance(link, str) or not self.client.trusts(self.client.url(link)):
                return
            page = await self.client.json("GET", link)


def _mapping(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ProtocolError("Replicate answered no JSON object", got=type(data).__name__)
    return data


def _list(data: object, key: str) -> list[Any]:
    """Return a list in an answer; that there is none is an error, since an empty one is written as such."""
    found = _mapping(data).get(key)
    if not isinstance(found, list):
        raise ProtocolError(f"Replicate's answer holds no list of {key}", got=type(found).__name__)
    return found
