"""The AllenAI provider keeps the contract, over each generation of the API."""

from tests.allenai.wires import answer

from core_allenai import AllenAI
from core_chat.testing import ProviderContract, Response
from core_chat.testing.contract import Play

ROWS = [
    {"id": "olmo-a", "name": "A", "host": "hub", "isVisible": True, "promptType": "text_only"},
    {"id": "olmo-b", "name": "B", "host": "hub", "isVisible": True, "promptType": "text_only"},
]
MISSING = Response.json({"error": {"code": 404, "message": "The requested URL was not found."}}, status=404)


class TestV5(ProviderContract):
    """The newest generation, found at once."""

    name = "allenai"
    generation = "v5"
    path = "/v5/threads/chat"
    models = "/v5/models/"

    def make(self, base_url: str) -> object:
        """Talk to the scripted upstream, with the contract's key as the token."""
        return AllenAI(base_url=base_url, token=self.key)

    def answer(self, pieces: list[str]) -> Play:
        """A whole answer in a new thread; every other route is missing."""
        body = Response.lines(answer(pieces, generation=self.generation))
        return {f"POST {self.path}": body, f"GET {self.models}": Response.json(ROWS), "*": MISSING}

    def listing(self) -> Play:
        """Two models."""
        return {f"GET {self.models}": Response.json(ROWS), "*": MISSING}


class TestV4(TestV5):
    """The one before, found after the newest was missing."""

    generation = "v4"
    path = "/v4/threads/"
    models = "/v4/models/"


class TestV4Message(TestV5):
    """The described one, fixed by configuration."""

    generation = "v4-message"
    path = "/v4/message/stream"
    models = "/v4/models/"

    def make(self, base_url: str) -> object:
        """Talk to the scripted upstream in that generation alone."""
        return AllenAI(base_url=base_url, token=self.key, api="v4-message")


class TestAnonymous(TestV5):
    """Without a token, as most people use it."""

    def make(self, base_url: str) -> object:
        """Talk to the scripted upstream."""
        return AllenAI(base_url=base_url)
