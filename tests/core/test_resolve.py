"""From a name to a model: providers, defaults, bare names, aliases, suggestions."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from attrs import define
from tests.core.sites import GOOD, Site, fake_site

from core_chat import (
    About,
    AmbiguousModelError,
    ChatRequest,
    Event,
    Finish,
    InvalidRequestError,
    ModelInfo,
    PluginError,
    Registry,
    UnknownModelError,
    UnknownProviderError,
    hookimpl,
)
from core_chat.testing import Canned


@define(eq=False)
class Shelf:
    """A provider that knows some names, may serve some others, and has a default or none."""

    known: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()
    default: str | None = None
    about: About | None = None

    @hookimpl
    def resolve_model(self, name: str) -> ModelInfo | None:
        wanted = name or self.default
        if wanted in self.known:
            return ModelInfo(wanted)
        return ModelInfo(wanted, known=False) if wanted in self.possible else None

    @hookimpl
    async def list_models(self) -> AsyncGenerator[ModelInfo, None]:
        for name in self.known:
            yield ModelInfo(name, source="live")

    @hookimpl
    async def stream_chat(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        yield Finish("stop")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An empty site."""
    with fake_site(tmp_path) as site:
        yield site


def shelves(**providers: Shelf) -> Registry:
    """A registry with these providers alone."""
    registry = Registry(only=[])
    for name, shelf in providers.items():
        registry.register(shelf, name)
    return registry


def test_the_first_colon_divides_only_after_an_installed_provider() -> None:
    """Ids may hold colons: what stands before the first one counts only if a provider has that name."""
    registry = shelves(a=Shelf(known=("owner/name:hash", "org/model:novita", "plain")))
    assert registry.resolve("a:owner/name:hash").full_name == "a:owner/name:hash"
    assert registry.resolve("owner/name:hash").full_name == "a:owner/name:hash"
    assert registry.resolve("org/model:novita").full_name == "a:org/model:novita"


def test_nothing_after_the_colon_is_the_default() -> None:
    """`provider:` asks the provider for its default model and marks it so; a provider may have none."""
    registry = shelves(a=Shelf(known=("one", "two"), default="two"), b=Shelf(known=("one",)))
    found = registry.resolve("a:")
    assert (found.name, found.is_default) == ("two", True)
    assert not registry.resolve("a:one").is_default
    with pytest.raises(UnknownModelError, match="b has no default model; name one: 'b:model'"):
        registry.resolve("b:")


def test_an_unlisted_model_counts_only_after_its_provider() -> None:
    """A claim with `known=False` is for those who named the provider."""
    registry = shelves(a=Shelf(possible=("new",)), b=Shelf(known=("new",)))
    assert registry.resolve("a:new").known is False
    assert registry.resolve("new").full_name == "b:new"
    with pytest.raises(UnknownModelError):
        shelves(a=Shelf(possible=("new",))).resolve("new")


def test_several_claims_are_ambiguous() -> None:
    """A bare name that several providers know names the candidates."""
    registry = shelves(a=Shelf(known=("same",)), b=Shelf(known=("same",)), c=Shelf(known=("other",)))
    with pytest.raises(AmbiguousModelError, match="several providers know 'same': use one of a:same, b:same") as caught:
        registry.resolve("same")
    assert caught.value.candidates == ("a:same", "b:same")


def test_the_registry_stamps_the_provider() -> None:
    """A plugin cannot speak for another: whatever it says, the model is its own."""

    class Liar(Canned):
        @hookimpl
        def resolve_model(self, name: str) -> ModelInfo:
            return ModelInfo("m", provider="other")

    registry = Registry(only=[])
    registry.register(Liar("x"), "liar")
    assert registry.resolve("liar:m").full_name == "liar:m"


async def test_suggestions_come_from_what_is_known() -> None:
    """Close names are taken from kept lists, from `about` and from aliases; they can be resolved as they stand."""
    about = About(label="A", default_model="default-model", models=("llama-3-8b",))
    async with shelves(
        a=Shelf(known=("llama-3-8b", "mistral-large"), about=about), b=Shelf(known=("falcon-7b",))
    ) as registry:
        for wrong, found in (
            ("lama-3-8b", ("a:llama-3-8b",)),
            ("a:lama-3-8b", ("llama-3-8b",)),
            ("a:defaultmodel", ("default-model",)),
            ("mistral-larg", ()),
        ):
            with pytest.raises(UnknownModelError) as caught:
                registry.resolve(wrong)
            assert caught.value.suggestions == found
            assert all(name in str(caught.value) for name in found)
        await registry.models()
        with pytest.raises(UnknownModelError) as caught:
            registry.resolve("mistral-larg")
        assert caught.value.suggestions == ("a:mistral-large",)
        assert registry.resolve("a:mistral-large").known


def test_an_unknown_bare_name_says_what_can_be_done() -> None:
    """The error of a name nobody knows tells how to name the provider of an unlisted model."""
    with pytest.raises(UnknownModelError) as caught:
        shelves(a=Shelf()).resolve("nothing-like-it")
    assert str(caught.value) == (
        "no provider knows the model 'nothing-like-it'; an unlisted one needs its provider: 'name:nothing-like-it'"
    )


def test_a_providers_name_alone_is_told_what_is_missing() -> None:
    """`a` instead of `a:` is a usual slip."""
    with pytest.raises(UnknownModelError, match="did you mean a:") as caught:
        shelves(a=Shelf()).resolve("a")
    assert caught.value.suggestions == ("a:",)


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("replicate", "core-replicate"),
        ("allenai", "core-allenai"),
        ("huggingface", "core-huggingface"),
        ("huggingface-inference", "core-huggingface"),
    ],
)
def test_a_provider_of_ours_that_is_not_installed_says_what_to_install(
    name: str, distribution: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name of ours says the very distribution to `pip install`."""
    monkeypatch.setattr("core_chat._plugins.installed", lambda _group: [])
    for asked in (f"{name}:", f"{name}:some/model:tag"):
        with pytest.raises(UnknownProviderError) as caught:
            Registry().resolve(asked)
        assert str(caught.value) == f"the provider {name!r} is not installed: pip install {distribution}"


def test_another_uninstalled_provider_is_told_with_near_names() -> None:
    """A prefix that could be a provider's name is told so, with what is installed."""
    registry = shelves(elephant=Shelf(), ant=Shelf())
    for wrong in ("elefant:model", "my-own.provider:model"):
        with pytest.raises(UnknownProviderError) as caught:
            registry.resolve(wrong)
        assert "(installed: ant, elephant); pip install the plugin that has it" in str(caught.value)
    with pytest.raises(UnknownProviderError, match="did you mean elephant"):
        registry.resolve("elefant:model")


def test_an_id_with_a_colon_that_nobody_knows_is_an_unknown_model() -> None:
    """`owner/name:tag` is no provider's name."""
    with pytest.raises(UnknownModelError, match="no provider knows the model 'owner/name:tag'"):
        shelves(a=Shelf()).resolve("owner/name:tag")


def test_aliases_are_the_hosts_names() -> None:
    """An alias stands for a full name; what it stands for is resolved as if it had been written."""
    registry = Registry(only=[], aliases={"fast": "a:one", "gone": "nobody:model"})
    registry.register(Shelf(known=("one",)), "a")
    assert registry.resolve("fast").full_name == "a:one"
    with pytest.raises(UnknownProviderError, match="no provider 'nobody' is installed"):
        registry.resolve("gone")
    with pytest.raises(UnknownModelError) as caught:
        registry.resolve("fst")
    assert caught.value.suggestions == ("fast",)


@pytest.mark.parametrize("aliases", [5, {"a": 5}, {"a": ""}, {1: "a:b"}, ["a"]])
def test_aliases_have_to_be_names(aliases: object) -> None:
    """Anything but texts is refused when the registry is made."""
    with pytest.raises(InvalidRequestError, match="aliases") as caught:
        Registry(aliases=aliases)  # type: ignore[arg-type]  # the mistake
    assert caught.value.parameter == "aliases"


@pytest.mark.parametrize("model", ["", "  ", None, 5, b"a:b", ["a:b"], "a:x\r\n", "a:\0", "a:\u2028"])
def test_a_model_has_to_be_a_name(model: object) -> None:
    """Anything but a text that is not empty, without line breaks or other control characters, is refused."""
    with pytest.raises(InvalidRequestError, match="model must be a name like 'provider:model'"):
        shelves(a=Shelf(known=("x",))).resolve(model)  # type: ignore[arg-type]  # the mistake


def test_a_bare_name_skips_broken_plugins_and_says_so(site: Site) -> None:
    """Plugins that cannot be loaded do not stand in the way of a bare name; a failed look-up names them."""
    site.install("good")
    site.install("fails", "raise ZeroDivisionError")
    site.install("twice", distribution="first")
    site.install("twice", distribution="second")
    registry = Registry(only=["good", "fails", "twice"])
    assert registry.resolve("good-1").full_name == "good:good-1"
    with pytest.raises(UnknownModelError, match=r"\(not asked, being broken: fails, twice\)"):
        registry.resolve("nobody-knows-it")


def test_a_failing_resolve_is_the_plugins_error(site: Site) -> None:
    """A `resolve_model` that raises, or returns something else, is named; a bare name skips it."""
    site.install("raises", GOOD.replace("return ModelInfo(name", "raise KeyError(name) or ModelInfo(name"))
    site.install("lies", GOOD.replace("return ModelInfo(name", "return 'text' or ModelInfo(name"))
    registry = Registry(only=["raises", "lies"])
    with pytest.raises(PluginError, match="raises: resolve_model failed with KeyError"):
        registry.resolve("raises:default")
    with pytest.raises(PluginError, match="lies: resolve_model returned str, not a ModelInfo"):
        registry.resolve("lies:default")
    with pytest.raises(UnknownModelError, match="not asked, being broken: lies, raises"):
        registry.resolve("default")


def test_resolving_works_before_the_registry_is_entered() -> None:
    """Resolving needs no connection: it works before `async with` and does no I/O."""
    assert shelves(a=Shelf(known=("x",))).resolve("x").full_name == "a:x"


def test_middleware_may_stand_around_resolving() -> None:
    """A host's wrapper sees every look-up of a provider and may change its answer."""

    class Rename:
        @hookimpl(wrapper=True)
        def resolve_model(self, name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - pluggy's wrapper
            found = yield
            return found or ModelInfo("replaced", provider="a")

    registry = shelves(a=Shelf())
    registry.register(Rename())
    assert registry.resolve("a:anything").name == "replaced"


def test_a_misspelt_provider_is_told_before_a_model_that_resembles_the_whole() -> None:
    """What stands before the colon is what was misspelt, if it resembles a provider's name."""
    registry = Registry(only=[])
    registry.register(Canned("x", models=["canned:model"]), "parrot")
    with pytest.raises(UnknownProviderError, match=r"no provider 'parot'.*did you mean parrot"):
        registry.resolve("parot:model")
    with pytest.raises(UnknownModelError) as caught:
        Registry(only=["replicate"]).resolve("replicate:foo")
    assert caught.value.suggestions == ()
