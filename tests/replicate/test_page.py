"""The page about Replicate runs, and what it and the sandbox say of models is true."""

import re

from tests import pages

from core_chat import Registry
from core_replicate import sandbox
from core_replicate._schema import IMAGES, MAX_TOKENS, SYSTEM
from core_replicate.sandbox import Emulator
from core_replicate.sandbox.faulty import FAULTY

PAGE = pages.read("docs/replicate.md")


async def test_the_snippets_run(registry: Registry, emulator: Emulator) -> None:
    """One after the other, against the sandbox; the answer that is left is canceled."""
    await pages.run(pages.blocks(PAGE, "python"), registry=registry)
    assert (await emulator.canceled()).model.name == "stuck"


def test_the_keys_on_the_page_are_those_that_are_used() -> None:
    """Every key for a limit or a system message is named; of those for pictures the usual ones."""
    assert all(f"`{key}`" in PAGE for key in (*MAX_TOKENS, *SYSTEM))
    assert all(key in IMAGES for key in ("image_input", "images", "image"))


def test_every_failing_model_is_described() -> None:
    """The sandbox's own list names each, and each one the page names is there."""
    names = {model.id for model in FAULTY} | {"sandbox/not-found"}
    assert set(re.findall(r"`(sandbox/[a-z-]+)`", sandbox.__doc__ or "")) == names
    assert set(re.findall(r"\bsandbox/[a-z-]+\b", PAGE)) <= names | {"sandbox/deployment"}
