"""The `core-chat` command; without the extra `[cli]` it says how to get it."""

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the command line and exit with its code."""
    if any(find_spec(name) is None for name in ("click", "rich")):
        sys.stderr.write("core-chat: the command line needs its extra: pip install 'core-chat[cli]'\n")
        sys.exit(2)
    from core_chat.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()
