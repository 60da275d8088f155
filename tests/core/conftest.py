"""Lets the tests of the core share the helpers of this folder, as `tests.core.…`."""

import sys
from pathlib import Path

_ROOT = str(Path(__file__).parents[2])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)
