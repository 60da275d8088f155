"""The page about Hugging Face runs, and the sandbox's own list of models is complete."""

import re

from tests import pages

from core_chat import Registry
from core_chat.sandbox import sandboxes
from core_huggingface import sandbox
from core_huggingface.sandbox.failing import FAILING, RENAMED


async def test_the_snippets_run() -> None:
    """One after the other, against the sandbox."""
    async with sandboxes(["huggingface"]) as config, Registry(config=config) as registry:
        await pages.run(pages.blocks(pages.read("docs/huggingface.md"), "python"), registry=registry)


def test_every_failing_model_is_described() -> None:
    """The sandbox's docstring names each."""
    described = set(re.findall(r"`(sandbox/[a-z-]+)`", sandbox.__doc__ or ""))
    known = {*FAILING, *(model.name for model in RENAMED)}
    assert known <= described
