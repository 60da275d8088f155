"""The page about the Playground runs, and the sandbox's own list of models is complete."""

import re

from tests import pages

from core_allenai import sandbox
from core_allenai.sandbox import CHOSEN_BEHAVIOUR
from core_chat import Registry
from core_chat.sandbox import sandboxes


async def test_the_snippets_run() -> None:
    """One after the other, against the sandbox."""
    async with sandboxes(["allenai"]) as config, Registry(config=config) as registry:
        await pages.run(pages.blocks(pages.read("docs/allenai.md"), "python"), registry=registry)


def test_every_chosen_behaviour_is_described() -> None:
    """The sandbox's docstring names each, and names none that is not there."""
    described = set(re.findall(r"`sandbox/([a-z-]+)`", sandbox.__doc__ or ""))
    assert described == set(CHOSEN_BEHAVIOUR)
