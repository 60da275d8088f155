"""The provider plugin for replicate.com (HTTP API v1, wire-compatible as of 2026-08)."""

import asyncio
import functools
import logging
import math
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, ClassVar

from attrs import define, evolve, field, frozen

from core_chat import (
    About,
    ChatRequest,
    CoreError,
    Event,
    Finish,
    InvalidRequestError,
    ModelInfo,
    ModelNotFoundError,
    ModelQuery,
    Notice,
    ProviderError,
    Route,
    TextDelta,
    env,
    hookimpl,
    read_options,
)
from core_chat.cache import ExpiringCache, key_of
from core_chat.errors import close_names, hint
from core_chat.http import check_base_url, client_for, credential
from core_chat.requests import number
from core_replicate._api import Api, refine
from core_replicate._follow import Follower
from core_replicate._inputs import Inputs, build_inputs
from core_replicate._listing import list_models
from core_replicate._names import BUNDLED, DEFAULT_MODEL, Target, is_owned_name, parse_name
from core_replicate._predictions import Prediction, as_media, usage_of
from core_replicate._schema import FALLBACK, Schema, read_schema
from core_replicate._stop import StopFilter

VENDOR_URL = "https://api.replicate.com/v1"
VENDOR_HOSTS = ("replicate.com", "replicate.net")
_LOG = logging.getLogger("core_chat.replicate")
_RUN_LIMIT = 30 * 60
_SHORTEST_CANCEL_AFTER = 5
_CREATE_GRACE = 5.0
_MODEL_SECONDS = 3600.0


def _base_url(value: Any) -> str:
    """Accept the base URL with and without its `/v1`, as the vendor's clients write it."""
    url = check_base_url(value)
    return url if url.count("/") > 2 else f"{url}/v1"  # noqa: PLR2004 - the slashes of the scheme


def _seconds(value: str | float) -> float:
    try:
        return float(value)
    except ValueError:
        raise InvalidRequestError(f"poll_interval must be seconds, not {value!r}", parameter="poll_interval") from None


def _deployment(_instance: Any, _attribute: Any, value: Any) -> None:
    if value is not None and not (isinstance(value, str) and is_owned_name(value)):
        raise InvalidRequestError("deployment must be 'owner/name'", parameter="options")


@frozen(kw_only=True)
class Options:
    """The provider's own settings of a call.

    Attributes:
        deployment: `owner/name` of a deployment to predict with; the model's name then only says whose schema applies.
        cancel_after: Seconds after which the service cancels the prediction by itself, at least 5.
    """

    deployment: str | None = field(default=None, validator=_deployment)
    cancel_after: int | None = field(default=None, validator=number(_SHORTEST_CANCEL_AFTER, whole=True))


@define(eq=False)
class Replicate:
    """Language and image models hosted on replicate.com.

    Args:
        token: The API token; by default `REPLICATE_API_TOKEN`.
        base_url: Of the API, with or without `/v1`; by default `REPLICATE_BASE_URL`, else the vendor's.
        poll_interval: Seconds between looks at a prediction that does not stream.
    """

    about: ClassVar[About] = About(
        label="Replicate",
        home="https://replicate.com",
        key_page="https://replicate.com/account/api-tokens",
        key_variable="REPLICATE_API_TOKEN",
        needs_key=True,
        terms="https://replicate.com/terms",
        default_model=DEFAULT_MODEL,
        models=tuple(BUNDLED),
    )
    token: str | None = field(factory=env("REPLICATE_API_TOKEN"), repr=False)
    base_url: str = field(factory=env("REPLICATE_BASE_URL", VENDOR_URL), converter=_base_url)
    poll_interval: float = field(
        factory=env("REPLICATE_POLL_INTERVAL", "0.5"), converter=_seconds, validator=number(0.01, 60, optional=False)
    )
    _models: ExpiringCache[tuple[str, str], dict[str, Any]] = field(
        init=False, repr=False, factory=lambda: ExpiringCache(seconds=_MODEL_SECONDS)
    )

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        """Claim `owner/name`, `owner/name:version` and bare versions; those on the bundled list are known."""
        name = name or DEFAULT_MODEL
        target = parse_name(name)
        if target is None:
            return None
        task = BUNDLED.get(target.model or "")
        bundled = task is not None and target.version is None
        return ModelInfo(
            target.model if bundled and target.model else name,
            tasks=None if task is None else {task},
            known=bundled,
            is_default=name == DEFAULT_MODEL,
            source="bundled" if bundled else None,
        )

    @hookimpl
    async def list_models(self, query: ModelQuery, session: Any) -> AsyncGenerator[ModelInfo, None]:
        """List the service's collections, or what it finds for some words."""
        async with aclosing(list_models(query, lambda: self._api(query, session))) as models:
            async for model in models:
                yield model

    def _api(self, call: ChatRequest | ModelQuery, session: Any) -> Api:
        client = client_for(
            session,
            call,
            base_url=self.base_url,
            token=credential(call, self.token, about=self.about),
            vendor_hosts=VENDOR_HOSTS if self.base_url == VENDOR_URL else (),
            refine=refine,
        )
        return Api(client, call.headers if isinstance(call, ChatRequest) else {})

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: Any) -> AsyncGenerator[Event, None]:
        """Create a prediction and follow it; leaving early cancels it."""
        options = read_options(Options, request)
        api = self._api(request, session)
        target = self._target(request, options)
        model = await self._model(api, target)
        schema = await self._schema(api, target, model)
        inputs = build_inputs(request, schema or FALLBACK)
        if schema is None:
            yield Notice("schema_unavailable", "the model's inputs could not be looked up; the usual ones are sent")
        for notice in inputs.notices:
            yield notice
        after = _cancel_after(request, options)
        prediction = await self._create(api, _settle(target, model), inputs=inputs.values, cancel_after=after)
        follower = Follower(api, prediction, request.clock, self.poll_interval)
        try:
            yield Route("replicate", request.model.name, backend=options.deployment, upstream_id=prediction.id)
            async with aclosing(_events(follower, schema or FALLBACK, inputs)) as events:
                async for event in events:
                    yield event
        except ProviderError as error:
            # The prediction was made: doing it all again would run and bill a second one.
            error.retryable = False
            raise
        finally:
            if not follower.ended:
                await _cancel(api, prediction.id)

    def _target(self, request: ChatRequest, options: Options) -> Target:
        target = parse_name(request.model.name)
        if target is None:
            raise InvalidRequestError(
                f"{request.model.name!r} is no Replicate model: use owner/name or owner/name:version", parameter="model"
            )
        return evolve(target, deployment=options.deployment)

    async def _model(self, api: Api, target: Target) -> dict[str, Any] | None:
        """Return the model object, kept for an hour; None where it cannot be had, which never stops the chat."""
        name = target.model
        if target.deployment is not None:
            name = await self._deployed_model(api, target.deployment)
        if name is None:
            return None
        return await self._look_up(api, f"models/{name}", lambda: api.model(name))

    async def _deployed_model(self, api: Api, deployment: str) -> str | None:
        found = await self._look_up(api, f"deployments/{deployment}", lambda: api.deployment(deployment))
        release = (found or {}).get("current_release")
        model = release.get("model") if isinstance(release, Mapping) else None
        return model if isinstance(model, str) and is_owned_name(model) else None

    async def _look_up(self, api: Api, path: str, load: Any) -> dict[str, Any] | None:
        try:
            return await self._models.get((key_of(api.client.token), path), load, clock=api.client.clock)
        except ProviderError as error:
            _LOG.debug("no metadata from %s: %s", path, type(error).__name__)
            return None

    async def _schema(self, api: Api, target: Target, model: dict[str, Any] | None) -> Schema | None:
        if model is None:
            return None
        latest = model.get("latest_version")
        version, name = target.version, target.model
        if version is None or name is None or (isinstance(latest, Mapping) and latest.get("id") == version):
            return read_schema(latest)
        path = f"models/{name}/versions/{version}"
        return read_schema(await self._look_up(api, path, lambda: api.version(name, version))) or read_schema(latest)

    async def _create(self, api: Api, target: Target, *, inputs: Mapping[str, Any], cancel_after: int) -> Prediction:
        """Create the prediction; a community model is tried as an official one first and then by its latest version."""
        create = functools.partial(_shielded_create, api, inputs=inputs, cancel_after=cancel_after)
        try:
            return await create(target)
        except ModelNotFoundError as error:
            if target.version is None and target.deployment is None and target.model is not None:
                model = await self._look_up(api, f"models/{target.model}", lambda: api.model(target.model or ""))
                latest = _latest_version(model)
                if latest is not None:
                    return await create(evolve(target, version=latest))
            close = close_names(target.model or "", BUNDLED)
            raise ModelNotFoundError(
                f"{error.text}{hint(close)}", suggestions=close, status=error.status, request_id=error.request_id
            ) from error


def _settle(target: Target, model: dict[str, Any] | None) -> Target:
    """Predict with the latest version where the model object says that the model is no official one."""
    if target.version is None and target.deployment is None and model is not None and model.get("is_official") is False:
        return evolve(target, version=_latest_version(model))
    return target


def _latest_version(model: dict[str, Any] | None) -> str | None:
    latest = (model or {}).get("latest_version")
    version = latest.get("id") if isinstance(latest, Mapping) else None
    return version if isinstance(version, str) else None


def _cancel_after(request: ChatRequest, options: Options) -> int:
    if options.cancel_after is not None:
        return options.cancel_after
    total = request.timeouts.total
    return _RUN_LIMIT if total is None else max(_SHORTEST_CANCEL_AFTER, math.ceil(total))


async def _shielded_create(api: Api, target: Target, *, inputs: Mapping[str, Any], cancel_after: int) -> Prediction:
    """Create a prediction; whoever leaves meanwhile waits for its id, five seconds at most, so that it is canceled."""
    task = asyncio.ensure_future(api.create(target, inputs=inputs, cancel_after=cancel_after))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_CREATE_GRACE)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        elif not task.cancelled() and task.exception() is None:
            await _cancel(api, task.result().id)
        raise


async def _cancel(api: Api, prediction_id: str) -> None:
    try:
        await api.cancel(prediction_id)
    except CoreError as error:
        _LOG.debug("prediction %s could not be canceled: %s", prediction_id, type(error).__name__)


async def _events(follower: Follower, schema: Schema, inputs: Inputs) -> AsyncGenerator[Event, None]:
    """Turn the pieces of a prediction into events, up to its `Finish`."""
    if schema.output == "files":
        # A file's stream carries the same links as its output, in more shapes: the output is asked for.
        follower.prediction = evolve(follower.prediction, stream_url=None)
    stop = StopFilter(inputs.stop)
    async with aclosing(follower.pieces()) as pieces:
        async for piece in pieces:
            if schema.output == "files":
                yield as_media(piece)
            elif text := stop.feed(piece):
                yield TextDelta(text)
            if stop.stopped:
                yield Finish("stop", raw="stop text")
                return
    if rest := stop.close():
        yield TextDelta(rest)
    if not follower.prediction.final:
        await follower.look()
    if (usage := usage_of(follower.prediction)) is not None:
        yield usage
    yield Finish("stop", raw="succeeded")
