"""The laws of a provider's shape: what can be seen without an answer."""

import asyncio

from core_chat.errors import ProviderError
from core_chat.models import ModelInfo
from core_chat.testing import faults
from core_chat.testing.contract._run import require, skip, turn
from core_chat.testing.contract._subject import Subject

_NAMES = ("no-such-model", "owner/no-such-model", "owner/name:0123abcd", "org/model:novita", "ünï \u2028", "x" * 5000)


class ShapeLaws(Subject):
    """What can be seen of a provider before it answers."""

    def test_it_can_be_registered(self) -> None:
        """The required hooks are there, spelt right, of the right kind, and no wrappers."""

        async def scenario() -> None:
            async with self.bench() as bench:
                require(bench.registry.plugins[self.name].status == "loaded", "the provider was not loaded")

        self.run(scenario)

    def test_it_is_hashable(self) -> None:
        """Plugins are kept by their hash: attrs classes need `@define(eq=False)`."""
        provider = self.make("http://127.0.0.1:9")
        require(type(provider).__hash__ is not None, "the provider is not hashable: use @define(eq=False)")
        require(len({provider, self.make("http://127.0.0.1:9")}) == 2, "two providers are equal: use @define(eq=False)")  # noqa: PLR2004 - two providers

    def test_making_and_resolving_send_nothing(self) -> None:
        """Constructing a provider and resolving names open no connection and start no task."""

        async def scenario() -> None:
            async with self.bench() as bench:
                for name in ("", *_NAMES):
                    self._resolve(bench.provider, name)
                await turn()
                require(not bench.upstream.connections, "constructing or resolving opened a connection")
                others = asyncio.all_tasks() - {asyncio.current_task()}
                require(not others, f"constructing or resolving started {others}")

        self.run(scenario)

    def test_names_resolve_to_a_model_or_none(self) -> None:
        """`resolve_model` answers any name with a ModelInfo or None, raises nothing, and leaves `provider` empty."""
        provider = self.make("http://127.0.0.1:9")
        for name in ("", self.model, *_NAMES):
            model = self._resolve(provider, name)
            require(
                model is None or isinstance(model, ModelInfo),
                f"resolve_model({name!r:.60}) returned {type(model).__name__}, not a ModelInfo or None",
            )
            require(
                not isinstance(model, ModelInfo) or (model.name and not model.provider),
                f"resolve_model({name!r:.60}) must name the model and leave provider to the registry",
            )

    @staticmethod
    def _resolve(provider: object, name: str) -> object:
        try:
            return provider.resolve_model(name)  # type: ignore[attr-defined]  # the hook that registration checks
        except Exception as error:
            raise AssertionError(f"resolve_model({name!r:.60}) raised {error!r}") from error

    def test_without_a_network_lists_still_come(self) -> None:
        """`list_models` yields what it knows; without a network it then raises a ProviderError, or nothing."""

        async def scenario() -> None:
            with faults.refused() as nobody:
                async with self.bench(url=nobody) as bench:
                    self._needs_list(bench.provider)
                    catalog = await bench.registry.models(self.name, api_key=self.key)
            error = catalog.failures.get(self.name)
            require(error is None or isinstance(error, ProviderError), f"list_models raised {error!r}")
            require(catalog.models or error, "list_models yielded no model and raised nothing")

        self.run(scenario)

    def test_listed_models_resolve(self) -> None:
        """`list_models` reads the upstream's list, and the provider knows every model that is on it."""
        listing = self.listing()

        async def scenario() -> None:
            async with self.bench(listing) as bench:
                self._needs_list(bench.provider)
                catalog = await bench.registry.models(self.name, api_key=self.key)
                require(not catalog.failures, f"list_models raised {catalog.failures.get(self.name)!r}")
                require(len(catalog.models) > 1, f"list_models yielded {len(catalog.models)} of the listed models")
                for model in catalog.models:
                    found = bench.registry.resolve(model.full_name)
                    require(found.name == model.name, f"{model.name!r} is listed, but resolves to {found.name!r}")

        self.run(scenario)

    @staticmethod
    def _needs_list(provider: object) -> None:
        if not hasattr(provider, "list_models"):
            skip("the provider has no hook list_models, which is optional")
