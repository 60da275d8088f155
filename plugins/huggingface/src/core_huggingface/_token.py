"""Where the ecosystem keeps a Hugging Face token: variables, then a file."""

import os
from pathlib import Path

TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105 - a variable's name
_VARIABLES = (TOKEN_VARIABLE, "HUGGING_FACE_HUB_TOKEN")


def find_token() -> str | None:
    """Return the token that `huggingface_hub` would use, or None; for attrs fields, read when the plugin is built.

    The order is `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, then the file that `hf auth login` writes: `HF_TOKEN_PATH`, or
    `token` in `HF_HOME`, in `XDG_CACHE_HOME/huggingface`, in `~/.cache/huggingface`.
    """
    for name in _VARIABLES:
        if token := _clean(os.environ.get(name, "")):
            return token
    try:
        return _clean(_token_file().read_text(encoding="utf-8")) or None
    except (OSError, ValueError):
        return None


def _clean(token: str) -> str:
    return token.replace("\r", "").replace("\n", "").strip()


def _token_file() -> Path:
    if path := os.environ.get("HF_TOKEN_PATH"):
        return _expanded(path)
    if home := os.environ.get("HF_HOME"):
        return _expanded(home) / "token"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(cache) / "huggingface" / "token"


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(path)).expanduser()
