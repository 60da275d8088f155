"""The contract every provider keeps, as a pytest class for a plugin author to subclass.

```python
class TestEcho(ProviderContract):
    def make(self, base_url: str) -> object:
        return Echo()
```
"""

from core_chat.testing.contract._bench import Play
from core_chat.testing.contract._errors import ErrorLaws
from core_chat.testing.contract._keys import KeyLaws
from core_chat.testing.contract._leaving import LeavingLaws
from core_chat.testing.contract._requests import RequestLaws
from core_chat.testing.contract._shape import ShapeLaws
from core_chat.testing.contract._stream import StreamLaws
from core_chat.testing.contract._subject import PIECES


class ProviderContract(ShapeLaws, StreamLaws, LeavingLaws, ErrorLaws, RequestLaws, KeyLaws):
    """Subclass it in a test module, override `make`, and pytest runs the laws; no key, no internet, no pytest plugin.

    A provider that speaks HTTP overrides `answer` too: its upstream's responses for given pieces of text. Laws that
    need what is not overridden are skipped, and say what to override. Every test drives the provider through a real
    `Registry` against an `Upstream` on a real socket, in an event loop and a thread of its own: a provider that blocks
    or hangs fails, and does not stop the tests.
    """


__all__ = ["PIECES", "Play", "ProviderContract"]
