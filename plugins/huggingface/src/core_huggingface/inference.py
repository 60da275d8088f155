"""The provider plugin for one model's endpoint: text from a prompt, and pictures (wire-compatible as of 2026-11).

The endpoint is hf-inference by default, or any TGI, Inference Endpoint or server with `/v1/completions`.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, evolve, field, frozen

from core_chat import (
    About,
    AuthenticationError,
    ChatRequest,
    Event,
    ModelInfo,
    ModelNotFoundError,
    ModelQuery,
    Notice,
    PermissionDeniedError,
    ProviderError,
    hookimpl,
    read_options,
)
from core_chat.http import Client, Failure, check_base_url, client_for, credential
from core_chat.notices import UNSUPPORTED
from core_huggingface import _router, textgen
from core_huggingface._aliases import BUNDLED, DEFAULT_IMAGE, DEFAULT_TEXT, expand
from core_huggingface._generate import Generator
from core_huggingface._hub import DEFAULT_ORIGIN, Hub, default_hub
from core_huggingface._inference_models import list_models
from core_huggingface._options import IMAGE_ONLY, TEXT_ONLY, InferenceOptions, Task, one_of
from core_huggingface._prompts import make_prompt
from core_huggingface._token import TOKEN_VARIABLE, find_token
from core_huggingface.formats import FORMATS
from core_huggingface.images import endpoint_places, stream_image
from core_huggingface.rendering import Renderer

if TYPE_CHECKING:
    from aiohttp import ClientSession

VENDOR_URL = f"{DEFAULT_ORIGIN}/hf-inference"
_NOT_HERE = "not supported by provider hf-inference"
KNOWN = frozenset({DEFAULT_TEXT, DEFAULT_IMAGE, "openai-community/gpt2"})
"""The ids that a bare name may mean here; the other ids behind aliases are better asked at the router."""


@define(eq=False)
class HuggingFaceInference:
    """Text generation and pictures at one model's endpoint: hf-inference, or a server of your own.

    Args:
        token: A Hugging Face token; by default the one that `hf auth login` or `HF_TOKEN` left.
        base_url: What the models' paths are below, or one model's own endpoint. With another one than hf-inference's,
            no key is needed.
        hub_url: Of the Hub, which knows a model's chat template and task; by default `HF_ENDPOINT` or the vendor's, and
            with another `base_url` none: then messages need a `format` or a `template`.
        format: The named format for calls that name none, instead of the model's own template.
    """

    about: ClassVar[About] = About(
        label="Hugging Face Inference",
        home="https://huggingface.co/docs/inference-providers/providers/hf-inference",
        key_page=_router.TOKENS,
        key_variable=TOKEN_VARIABLE,
        needs_key=True,
        terms="https://huggingface.co/terms-of-service",
        default_model=DEFAULT_TEXT,
        models=tuple(BUNDLED),
    )
    token: str | None = field(factory=find_token, repr=False)
    base_url: str = field(default=VENDOR_URL, converter=check_base_url)
    hub_url: str | None = field()
    format: str | None = field(default=None, validator=one_of(*FORMATS))
    _hub: Hub | None = field(init=False, repr=False)
    _generator: Generator = field(init=False, repr=False)
    _renderer: Renderer = field(init=False, repr=False, factory=Renderer)

    @hub_url.default
    def _default_hub_url(self) -> str | None:
        return default_hub() if self.base_url == VENDOR_URL else None

    @_hub.default
    def _make_hub(self) -> Hub | None:
        return None if self.hub_url is None else Hub(self.hub_url, self.base_url)

    @_generator.default
    def _make_generator(self) -> Generator:
        return Generator(self.base_url)

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        """Claim every id; the defaults are known, and those behind the aliases are found."""
        wanted = expand(name or DEFAULT_TEXT)
        info = BUNDLED.get(wanted) or ModelInfo(wanted)
        return evolve(info, known=not name or wanted in KNOWN, is_default=not name)

    @hookimpl
    async def list_models(self, query: ModelQuery, session: "ClientSession") -> AsyncGenerator[ModelInfo, None]:
        """List what the Hub says hf-inference serves, or what the server at `base_url` says it does."""
        token = query.api_key or self.token
        client = client_for(session, query, base_url=self.base_url, token=token, refine=_refine)
        hub = None if self._hub is None else (self._hub, self._hub.client(session, query, token=token))
        async with aclosing(list_models(query, client, hub=hub)) as models:
            async for model in models:
                yield model

    @hookimpl
    async def stream_chat(self, request: ChatRequest, session: "ClientSession") -> AsyncGenerator[Event, None]:
        """Generate text, or make a picture where that is what the model does."""
        options = read_options(InferenceOptions, request)
        call = _Call(request, options, session, token=credential(request, self.token, about=self._about()))
        answer = self._picture(call) if await self._task(call) == "text-to-image" else self._text(call)
        async with aclosing(answer) as events:
            async for event in events:
                yield event

    async def _text(self, call: "_Call") -> AsyncGenerator[Event, None]:
        for notice in call.idle(IMAGE_ONLY, "text"):
            yield notice
        options = call.options
        if options.prompt is None and options.template is None:
            options = evolve(options, format=options.format or self.format)
        model = await self._model(call) if options.prompt_needs_model else {}
        prompt = await make_prompt(call.request, options, model=model, renderer=self._renderer)
        name = (model or {}).get("id") or call.request.model.name
        request = evolve(call.request, model=evolve(call.request.model, name=name))
        answer = self._generator.stream(request, self._client(call), prompt=prompt, api=call.options.api)
        async with aclosing(answer) as events:
            async for event in events:
                yield event

    async def _picture(self, call: "_Call") -> AsyncGenerator[Event, None]:
        for notice in call.idle(TEXT_ONLY, "pictures"):
            yield notice
        unnamed = call.request.model.is_default and call.request.model.name == DEFAULT_TEXT
        model = DEFAULT_IMAGE if unnamed else call.request.model.name
        places = endpoint_places(model, base_url=self.base_url)
        answer = stream_image(
            call.request, self._client(call), places=places, options=call.options, model=model, one_server=True
        )
        async with aclosing(answer) as events:
            async for event in events:
                yield event

    def _about(self) -> About:
        return self.about if self.base_url == VENDOR_URL else evolve(self.about, needs_key=False)

    def _client(self, call: "_Call") -> Client:
        return client_for(call.session, call.request, base_url=self.base_url, token=call.token, refine=_refine)

    async def _task(self, call: "_Call") -> Task:
        """Return what is asked for: as the caller says, as the model is known, as the Hub knows it, as it looks."""
        request, looks = call.request, call.looks_like
        if call.options.task is not None:
            return call.options.task
        if request.model.is_default and request.model.name == DEFAULT_TEXT:
            return looks or "text-generation"
        if request.model.tasks is not None:
            return "text-to-image" if "text-to-image" in request.model.tasks else "text-generation"
        tag = (await self._model(call) or {}).get("pipeline_tag") if looks is None else None
        return "text-to-image" if "text-to-image" in (looks, tag) else "text-generation"

    async def _model(self, call: "_Call") -> Mapping[str, Any] | None:
        """Return what the Hub tells of the model; None where there is no Hub to ask, or it does not know the model."""
        if self._hub is None:
            return None
        client = self._hub.client(call.session, call.request, token=call.token)
        try:
            return await self._hub.model(call.request.model.name, client)
        except (ModelNotFoundError, AuthenticationError, PermissionDeniedError):
            return None


@frozen
class _Call:
    """One call, its options read and its key found."""

    request: ChatRequest
    options: InferenceOptions
    session: "ClientSession" = field(repr=False)
    token: str | None = field(kw_only=True, repr=False)

    @property
    def looks_like(self) -> Task | None:
        """What only one task has an option for tells which it is."""
        if self._given(IMAGE_ONLY):
            return "text-to-image"
        return "text-generation" if self._given(TEXT_ONLY) else None

    def _given(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if getattr(self.options, name) not in (None, {})]

    def idle(self, names: tuple[str, ...], what: str) -> list[Notice]:
        """Return what is told of options that have no meaning for this task."""
        return [
            Notice(UNSUPPORTED, f"the option {name} means nothing to {what}", parameter="options")
            for name in self._given(names)
        ]


def _refine(failure: Failure) -> ProviderError | None:
    """Read the router's errors and those of a text-generation server."""
    if _NOT_HERE in failure.text:
        text = f"{failure.text}; the provider 'huggingface' asks all the others"
        return failure.error(ModelNotFoundError, text)
    return _router.refine(failure) or textgen.refine(failure)
