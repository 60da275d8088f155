"""Discovery: which plugins there are, which are allowed, and what is wrong with the others."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.sites import GOOD, Site, fake_site

from core_chat import (
    CoreError,
    InvalidRequestError,
    PluginConflictError,
    PluginError,
    Registry,
    UnknownModelError,
    UnknownProviderError,
)
from core_chat.testing import Canned


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An empty site."""
    with fake_site(tmp_path) as site:
        yield site


BROKEN = {
    "fails": ("raise ZeroDivisionError('at import')", "dist-fails cannot be imported: ZeroDivisionError: at import"),
    "exits": ("raise SystemExit(3)", "dist-exits cannot be imported: SystemExit: 3"),
    "panics": (
        "class Panic(BaseException): pass\nraise Panic('of an extension module')",
        "dist-panics cannot be imported: Panic: of an extension module",
    ),
    "empty": ("", "dist-empty cannot be imported: AttributeError: module '{module}' has no attribute 'Plugin'"),
    "exits-later": (
        "class Plugin:\n    def __init__(self):\n        raise SystemExit(3)",
        "exits-later cannot be built: SystemExit",
    ),
    "no-key": (
        "class Plugin:\n    def __init__(self):\n        raise ValueError('sk-secret')",
        "no-key cannot be built: ValueError",
    ),
    "misspelt": (
        GOOD.replace("def stream_chat", "def stream_chta"),
        "misspelt: there is no hook 'stream_chta'; did you mean stream_chat?",
    ),
    "no-stream": (
        GOOD.replace("    @hookimpl\n    async def stream_chat", "    async def stream_chat"),
        "no-stream: the hook stream_chat is missing (is it marked with @hookimpl?)",
    ),
    "no-resolve": (
        GOOD.replace("    @hookimpl\n    def resolve_model", "    def resolve_model"),
        "no-resolve: the hook resolve_model is missing (is it marked with @hookimpl?)",
    ),
    "coroutine": (
        GOOD.replace("        yield TextDelta(self.greeting)\n        yield Finish", "        return Finish"),
        "coroutine: stream_chat must be an async generator function",
    ),
    "async-resolve": (
        GOOD.replace("    def resolve_model", "    async def resolve_model"),
        "async-resolve: resolve_model must be a function",
    ),
    "keyword-only": (
        GOOD.replace("(self, request)", "(self, *, request)"),
        "keyword-only: stream_chat has a keyword-only parameter 'request', which hooks never get",
    ),
    "default": (
        GOOD.replace("(self, request)", "(self, request, session=None)"),
        "default: stream_chat has a default for 'session', which hooks then never get",
    ),
    "parameter": (
        GOOD.replace("(self, request)", "(self, request, chat)"),
        (
            "parameter: a hook does not fit its specification: Argument(s) {'chat'} are declared in the hookimpl but "
            "can not be found in the hookspec"
        ),
    ),
    "wrapper": (
        GOOD.replace("@hookimpl\n    async def stream_chat", "@hookimpl(wrapper=True)\n    def stream_chat"),
        (
            "wrapper: stream_chat is a hook wrapper, which would stand around every provider; middleware belongs to "
            "the host: registry.register(middleware)"
        ),
    ),
    "unhashable": (
        GOOD.replace("class Plugin:", "from attrs import define\n\n@define\nclass Plugin:").replace(
            'def __init__(self, greeting="hello", token=None):\n        self.greeting = greeting', 'greeting: str = "a"'
        ),
        "unhashable: the plugin is not hashable: use @define(eq=False)",
    ),
    "about": (
        GOOD.replace("class Plugin:", "class Plugin:\n    about = 'About'"),
        "about: about must be a core_chat.About",
    ),
    "property": (
        GOOD + "\n    @property\n    def about(self):\n        raise OSError('sk-secret')\n",
        "property: the plugin fails with OSError when it is looked at",
    ),
}  # fmt: skip


async def test_a_hundred_plugins_and_every_way_of_being_broken(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is wrong with some plugins, all others work, one name imports one module, and `plugins` says it all."""
    for number in range(100):
        site.install(f"good-{number}")
    for name, (source, _) in BROKEN.items():
        site.install(name, source)
    site.install("twice", distribution="first")
    site.install("twice", distribution="second")
    site.install("bad name", entries="[core_chat.providers]\nbad:name = nothing\n")

    async with Registry() as registry:
        assert {registry.plugins[f"good-{number}"].status for number in range(100)} == {"available"}
        assert site.imported() == set()
        assert registry.resolve("good-42:").full_name == "good-42:default"
        assert site.imported() == {"good-42"}
        assert (await registry.chat("good-42:", "hi")).text == "hello"
        assert site.imported() == {"good-42"}

        with caplog.at_level(logging.WARNING, "core_chat"):
            for name, (_, told) in BROKEN.items():
                for _ in range(2):
                    with pytest.raises(PluginError) as caught:
                        registry.resolve(f"{name}:model")
                    assert str(caught.value) == told.replace("{module}", site.modules[name])
                    assert caught.value.plugin == name
                shown = registry.plugins[name]
                assert (shown.status, str(shown.error)) == ("broken", str(caught.value))
        assert len(caplog.records) == len(BROKEN)
        assert "sk-secret" not in caplog.text

        with pytest.raises(
            PluginConflictError, match=r"^first and second both provide 'twice', so neither is used"
        ) as both:
            registry.resolve("twice:model")
        assert registry.plugins["twice"].status == "conflict"
        assert str(registry.plugins["twice"].error) == str(both.value)
        assert "bad:name" in str(registry.plugins["bad:name"].error)

        assert registry.resolve("good-7-1").full_name == "good-7:good-7-1"
        assert len(site.imported() & {f"good-{number}" for number in range(100)}) == 100
        catalog = await registry.models()
        assert set(BROKEN) | {"twice", "bad:name"} <= set(catalog.failures)


def test_the_cause_of_a_broken_plugin_is_kept(site: Site) -> None:
    """The error raised when a broken name is used has the plugin's own error as its cause, each time."""
    site.install("fails", "raise ZeroDivisionError('at import')")
    registry = Registry()
    seen: list[CoreError] = []
    for _ in range(3):
        with pytest.raises(PluginError) as caught:
            registry.resolve("fails:")
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        seen.append(caught.value)
    assert len(set(map(id, seen))) == 3


def test_a_distribution_with_a_broken_file_hides_no_other(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """An entry_points.txt that cannot be parsed is told in the log, and everything else is found."""
    site.install("good")
    site.install("garbled", entries="[core_chat.providers]\nthis is no entry\n")
    with caplog.at_level(logging.WARNING, "core_chat"):
        plugins = Registry().plugins
    assert plugins["good"].status == "available"
    assert "the entry points of the distribution dist-garbled cannot be read" in caplog.text


def test_a_name_twice_in_one_distribution_is_a_conflict(site: Site) -> None:
    """One distribution that claims one name for two classes is a conflict as well."""
    module = site.install("good")
    entries = f"[core_chat.providers]\nsame = {module}:Plugin\nsame = {module}:Other\n"
    site.install("other", entries=entries, distribution="both")
    assert Registry().plugins["same"].status == "conflict"
    registry = Registry(block=["both"])
    assert registry.plugins["same"].status == "blocked"


def test_the_same_distribution_twice_on_the_path_is_one(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A second copy further along the path is shadowed, as its modules are."""
    site.install("good", version="2.0")
    with fake_site(tmp_path_factory.mktemp("later")) as other:
        other.install("good", version="1.0")
        sys.path.remove(str(other.folder))
        sys.path.append(str(other.folder))
        shown = Registry().plugins["good"]
    assert (shown.status, shown.version) == ("available", "2.0")


def test_what_plugins_shows(site: Site) -> None:
    """A plugin is shown with its distribution and version, and with `about` once it is loaded."""
    source = GOOD.replace("class Plugin:", "from core_chat import About\n\nclass Plugin:\n    about = About(label='L')")
    site.install("shown", source, distribution="core-shown", version="3.2")
    registry = Registry()
    before = registry.plugins["shown"]
    assert (before.name, before.distribution, before.version, before.status) == (
        "shown",
        "core-shown",
        "3.2",
        "available",
    )
    assert (before.about, before.error) == (None, None)
    loaded = registry.load("shown")
    assert (loaded.status, loaded.about and loaded.about.label) == ("loaded", "L")
    assert registry.plugins["shown"] == loaded


# Allowing and blocking


@pytest.mark.parametrize("given", [["one"], "one", ["ONE"], ["dist-one"], ["Dist_One"], [" one "], ("one", "nothing")])
def test_only_takes_names_of_providers_and_distributions(site: Site, given: list[str]) -> None:
    """`only` allows by entry-point name or distribution name, in any of its spellings; nothing else is imported."""
    site.install("one")
    site.install("two")
    registry = Registry(only=given)
    assert registry.plugins["one"].status == "available"
    assert {plugin.status for name, plugin in registry.plugins.items() if name != "one"} == {"blocked"}
    assert registry.resolve("one:").provider == "one"
    with pytest.raises(UnknownProviderError, match="'two' is installed but not allowed by only/block"):
        registry.resolve("two:")
    with pytest.raises(UnknownModelError):
        registry.resolve("two-1")
    assert site.imported() == {"one"}


@pytest.mark.parametrize("given", [["one"], "one", ["dist_one"]])
def test_block_wins(site: Site, given: list[str]) -> None:
    """`block` refuses by either name, even what `only` allows."""
    site.install("one")
    site.install("two")
    plugins = Registry(block=given, only=["one", "two"]).plugins
    assert (plugins["one"].status, plugins["two"].status) == ("blocked", "available")


def test_the_environment_allows_and_blocks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables hold comma-separated names; an argument takes their place, an empty variable says nothing."""
    site.install("one")
    site.install("two")
    monkeypatch.setenv("CORE_CHAT_PLUGINS", "one, two")
    monkeypatch.setenv("CORE_CHAT_BLOCK", "dist-two")
    plugins = Registry().plugins
    assert (plugins["one"].status, plugins["two"].status) == ("available", "blocked")
    plugins = Registry(only=["two"], block=[]).plugins
    assert (plugins["one"].status, plugins["two"].status) == ("blocked", "available")
    monkeypatch.setenv("CORE_CHAT_PLUGINS", " , ")
    monkeypatch.setenv("CORE_CHAT_BLOCK", "")
    assert {Registry().plugins[name].status for name in ("one", "two")} == {"available"}
    assert {plugin.status for plugin in Registry(only=[]).plugins.values()} == {"blocked"}


def test_blocking_one_of_two_settles_a_conflict(site: Site) -> None:
    """The way out of a conflict that its error names works."""
    site.install("twice", distribution="first")
    site.install("twice", distribution="second")
    registry = Registry(block=["second"])
    assert (registry.plugins["twice"].status, registry.plugins["twice"].distribution) == ("available", "first")
    assert registry.resolve("twice:").provider == "twice"


def test_a_blocked_name_is_free_for_the_host(site: Site) -> None:
    """A host may put its own provider in the place of a blocked one, not in that of an allowed one."""
    site.install("one")
    registry = Registry(block=["one"])
    registry.register(Canned("mine"), "one")
    assert registry.plugins["one"].status == "loaded"
    with pytest.raises(PluginConflictError, match=r"Registry\(block=\['one'\]\)"):
        Registry().register(Canned("mine"), "one")


@pytest.mark.parametrize("wrong", [5, [5], [""], [None], [["one"]]])
def test_only_and_block_have_to_be_names(wrong: object) -> None:
    """Anything but names is refused at once."""
    for parameter in ("only", "block"):
        with pytest.raises(InvalidRequestError, match=f"^{parameter} must be a list") as caught:
            Registry(**{parameter: wrong})  # type: ignore[arg-type]  # the mistake
        assert caught.value.parameter == parameter


def test_a_misspelt_name_in_only_or_block_is_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A name close to an installed one, which would block nothing, is worth a warning; others are not."""
    site.install("elephant")
    with caplog.at_level(logging.WARNING, "core_chat"):
        assert Registry(block=["elefant", "something-else"]).plugins["elephant"].status == "available"
    assert [record.message for record in caplog.records] == [
        "only/block name the plugin 'elefant', which is not installed; did you mean elephant?"
    ]


# Configuration


async def test_configuration_is_what_the_plugin_is_built_with(site: Site) -> None:
    """`config` gives a provider its constructor arguments, when it is loaded."""
    site.install("one")
    async with Registry(config={"one": {"greeting": "good day"}}) as registry:
        assert site.imported() == set()
        assert (await registry.chat("one:", "hi")).text == "good day"


def test_an_unknown_setting_is_named_with_near_ones(site: Site) -> None:
    """A setting that the constructor does not take is an error with close names, and the plugin stays available."""
    site.install("one")
    for given, told in (
        ({"greting": "x"}, "one has no setting 'greting'; did you mean greeting?"),
        ({"zzz": "x"}, "one has no setting 'zzz': it takes greeting, token"),
    ):
        registry = Registry(config={"one": given})
        for _ in range(2):
            with pytest.raises(InvalidRequestError) as caught:
                registry.resolve("one:")
            assert (str(caught.value), caught.value.parameter) == (told, "config")
        assert registry.plugins["one"].status == "available"


def test_a_setting_that_is_refused_names_the_provider(site: Site) -> None:
    """What a plugin's constructor says of its settings is passed on, with whose they are."""
    refuse = GOOD.replace(
        "        self.greeting = greeting", "        raise InvalidRequestError('base_url must be a URL')"
    )
    site.install("one", refuse.replace("import Finish", "import InvalidRequestError, Finish"))
    with pytest.raises(InvalidRequestError, match=r"^one: base_url must be a URL$"):
        Registry().resolve("one:")


@pytest.mark.parametrize("wrong", [5, {"one": 5}, {"one": {1: 2}}, {1: {}}, [("one", {})]])
def test_configuration_has_to_be_mappings(wrong: object) -> None:
    """A malformed `config` is refused at once, without showing what it holds."""
    with pytest.raises(InvalidRequestError, match=r"^config.* must be a mapping with text keys$"):
        Registry(config=wrong)  # type: ignore[arg-type]  # the mistake


def test_configuration_for_nobody_is_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Settings for a provider that is not installed are worth a warning, those of a registered one are not."""
    site.install("elephant")
    registry = Registry(config={"elefant": {}, "mine": {"delay": 0}, "other": {"delay": 0}})
    with caplog.at_level(logging.WARNING, "core_chat"):
        registry.register(_Built, "mine")
        registry.register(_Built, "other")
        registry.resolve("mine:")
    assert [record.message for record in caplog.records] == [
        "config names the provider 'elefant', which is not installed; did you mean elephant?"
    ]


class _Built(Canned):
    """A provider class that the registry builds."""

    def __init__(self, *, delay: float) -> None:
        super().__init__("built", delay=delay)


def test_a_plugin_may_be_an_object_or_a_module(site: Site) -> None:
    """An entry point may name an object that is a plugin, or a module of hooks; they take no configuration."""
    site.install("object", GOOD + "\nplugin = Plugin('made')\n", attribute=":plugin")
    functions = GOOD.replace("class Plugin:", "if True:").replace("(self, ", "(").replace("self.greeting", "'a module'")
    functions = functions.replace(
        "    def __init__(greeting=\"hello\", token=None):\n        'a module' = greeting\n", ""
    )
    site.install("module", functions, attribute="")
    registry = Registry()
    assert registry.resolve("object:").provider == "object"
    assert registry.resolve("module:").provider == "module"
    with pytest.raises(InvalidRequestError, match=r"^object takes no configuration$"):
        Registry(config={"object": {"greeting": "x"}}).resolve("object:")


def test_nothing_is_kept_between_registries(site: Site) -> None:
    """Plugins are discovered once for each registry: one made after an install sees it."""
    registry = Registry()
    assert "late" not in registry.plugins
    site.install("late")
    assert "late" not in registry.plugins
    assert "late" in Registry().plugins
    assert os.environ.get("CORE_CHAT_PLUGINS") is None


def test_a_stop_by_the_user_is_not_a_broken_plugin(site: Site) -> None:
    """Ctrl+C while a plugin is imported stops the program, and the plugin can be loaded later."""
    module = site.install("slow", "raise KeyboardInterrupt")
    registry = Registry()
    with pytest.raises(KeyboardInterrupt):
        registry.resolve("slow:")
    assert registry.plugins["slow"].status == "available"
    (site.folder / f"{module}.py").write_text(GOOD, encoding="utf-8")
    assert registry.resolve("slow:").provider == "slow"


def test_a_plugin_may_take_any_setting(site: Site) -> None:
    """A constructor with `**settings` checks them itself."""
    anything = GOOD.replace('greeting="hello", token=None', "**settings").replace("= greeting", "= settings['x']")
    site.install("anything", anything)
    assert Registry(config={"anything": {"x": "y"}}).resolve("anything:").provider == "anything"
    with pytest.raises(PluginError, match="anything cannot be built: KeyError"):
        Registry().resolve("anything:")


def test_a_plugin_without_a_visible_signature(site: Site) -> None:
    """A class whose signature cannot be seen is built all the same; what it refuses is its error."""
    hidden = GOOD.replace("class Plugin:", "class Plugin:\n    __signature__ = 5")
    site.install("hidden", hidden)
    assert Registry(config={"hidden": {"greeting": "x"}}).resolve("hidden:").provider == "hidden"
    with pytest.raises(PluginError, match="hidden cannot be built: TypeError"):
        Registry(config={"hidden": {"greetin": "x"}}).resolve("hidden:")


def test_an_error_of_the_tree_in_resolving_is_passed_on(site: Site) -> None:
    """A provider that refuses a name with a core error is not called broken."""
    refuses = GOOD.replace("return ModelInfo(name", "return _refuse() or ModelInfo(name").replace(
        "class Plugin:",
        "from core_chat import InvalidRequestError\n\ndef _refuse():\n    raise InvalidRequestError('not that one')\n\n"
        "class Plugin:",
    )
    site.install("refuses", refuses)
    with pytest.raises(InvalidRequestError, match="not that one"):
        Registry().resolve("refuses:default")
