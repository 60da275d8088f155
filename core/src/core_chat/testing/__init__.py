"""For tests: canned answers for host applications; for plugin authors a contract, a scripted upstream and a clock.

Nothing here needs pytest, except `ProviderContract` when it runs.
"""

from core_chat.testing import faults
from core_chat.testing.canned import Canned
from core_chat.testing.clock import ManualClock
from core_chat.testing.contract import ProviderContract
from core_chat.testing.requests import Request
from core_chat.testing.responses import Flood, HangUp, Response, Stall
from core_chat.testing.upstream import Routes, Script, ScriptError, Upstream

__all__ = [
    "Canned",
    "Flood",
    "HangUp",
    "ManualClock",
    "ProviderContract",
    "Request",
    "Response",
    "Routes",
    "Script",
    "ScriptError",
    "Stall",
    "Upstream",
    "faults",
]
