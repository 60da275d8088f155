"""The provider plugin for replicate.com (HTTP API v1, wire-compatible as of 2026-11)."""

import functools
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, ClassVar

from attrs import define, evolve, field, frozen

from core_chat import (
    About,
    ChatRequest,
    Event,
    Finish,
    InvalidRequestError,
    ModelInfo,
    ModelNotFoundError,
    ModelQuery,
    Notice,
    ProviderError,
    Route,
    env,
    hookimpl,
    read_options,
)
from core_chat.errors import close_names, hint
from core_chat.http import check_base_url, client_for, credential
from core_chat.requests import number
from core_replicate._answer import FileAnswer, TextAnswer
from core_replicate._api import Api, refine
from core_replicate._follow import Follower
from core_replicate._inputs import Inputs, build_inputs
from core_replicate._lifecycle import cancel, create_whole
from core_replicate._listing import list_models
from core_replicate._metadata import Known, Metadata
from core_replicate._names import BUNDLED, DEFAULT_MODEL, Target, parse_name
from core_replicate._options import Options
from core_replicate._predictions import Prediction, usage_of
from core_replicate._schema import FALLBACK, Schema

VENDOR_URL = "https://api.replicate.com/v1"
VENDOR_HOSTS = ("replicate.com", "replicate.net")


def _base_url(value: Any) -> str:
    """Accept the base URL with and without its `/v1`, as the vendor's clients write it."""
    url = check_base_url(value)
    return url if url.count("/") > 2 else f"{url}/v1"  # noqa: PLR2004 - the slashes of the scheme


def _seconds(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidRequestError(f"poll_interval must be seconds, not {value!r}", parameter="poll_interval") from None


@frozen
class _Job:
    """What one call comes to, before anything is created."""

    api: Api
    target: Target
    known: Known
    inputs: Inputs
    cancel_after: int

    @property
    def schema(self) -> Schema:
        return self.known.schema or FALLBACK


@define(eq=False)
class Replicate:
    """Language and image models hosted on replicate.com.

    Args:
        token: The API token; by default `REPLICATE_API_TOKEN`.
        base_url: Of the API, with or without `/v1`; by default `REPLICATE_BASE_URL`, else the vendor's.
        poll_interval: Seconds between looks at a prediction that does not stream; by default
            `REPLICATE_POLL_INTERVAL`, else 0.5.
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
    _metadata: Metadata = field(init=False, repr=False, factory=Metadata)

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        """Claim `owner/name`, `owner/name:version` and bare versions; those on the bundled list are known."""
        name = name or DEFAULT_MODEL
        target = parse_name(name)
        if target is None:
            return None
        task = BUNDLED.get(target.model or "")
        tasks = None if task is None else {task}
        if task is None or target.version is not None or target.model is None:
            return ModelInfo(name, tasks=tasks, known=False)
        return ModelInfo(target.model, tasks=tasks, is_default=target.model == DEFAULT_MODEL, source="bundled")

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
        job = await self._prepare(request, session)
        for notice in job.inputs.notices:
            yield notice
        prediction = await self._create(job)
        makes_files = job.schema.output == "files"
        follower = Follower(job.api, prediction, request.clock, self.poll_interval, streams=not makes_files)
        answer = FileAnswer() if makes_files else TextAnswer(job.inputs.stop)
        try:
            yield Route("replicate", request.model.name, backend=job.target.deployment, upstream_id=prediction.id)
            async with aclosing(follower.pieces()) as pieces:
                async for piece in pieces:
                    for part in answer.feed(piece):
                        yield part
                    if answer.stopped:
                        break
            for event in (*answer.close(), *_last_events(follower, stopped=answer.stopped)):
                yield event
        except ProviderError as error:
            for part in answer.close():
                yield part
            # The prediction was made: doing it all again would run and bill a second one.
            error.retryable = False
            raise
        finally:
            if not follower.ended:
                await cancel(job.api, prediction.id)

    async def _prepare(self, request: ChatRequest, session: Any) -> _Job:
        options = read_options(Options, request)
        target = _target(request, options)
        api = self._api(request, session)
        known = await self._metadata.known(api, target)
        inputs = build_inputs(request, known.schema or FALLBACK)
        if known.schema is None:
            told = "the model does not say what it takes: the usual inputs are sent"
            inputs.notices.insert(0, Notice("schema_unavailable", told))
        return _Job(api, target, known, inputs, options.seconds(request))

    async def _create(self, job: _Job) -> Prediction:
        """Create the prediction; a community model is run by its latest version, as soon as it is known for one."""
        target, latest = job.target, job.known.latest
        by_name = target.version is None and target.deployment is None
        if by_name and job.known.is_official is False:
            target = evolve(target, version=latest)
        create = functools.partial(create_whole, job.api, inputs=job.inputs.values, cancel_after=job.cancel_after)
        try:
            return await create(target)
        except ModelNotFoundError as error:
            if not by_name or target.version is not None:
                raise _not_found(error, target) from error
            latest = latest or (await self._metadata.known(job.api, target)).latest
            if latest is None:
                raise _not_found(error, target) from error
        return await create(evolve(target, version=latest))


def _target(request: ChatRequest, options: Options) -> Target:
    target = parse_name(request.model.name)
    if target is None:
        raise InvalidRequestError(
            f"{request.model.name!r} is no Replicate model: use owner/name or owner/name:version", parameter="model"
        )
    return evolve(target, deployment=options.deployment)


def _not_found(error: ModelNotFoundError, target: Target) -> ModelNotFoundError:
    close = close_names(target.model or "", BUNDLED)
    text = f"{error.text}{hint(close)}"
    return ModelNotFoundError(text, suggestions=close, status=error.status, request_id=error.request_id)


def _last_events(follower: Follower, *, stopped: bool) -> Iterator[Event]:
    """Yield what follows the last piece of an answer that is complete."""
    if stopped:
        yield Finish("stop", raw="stop text")
        return
    if (usage := usage_of(follower.prediction)) is not None:
        yield usage
    yield Finish("stop", raw=follower.prediction.status)
