"""Everything a provider shows of itself, to look for a key in."""

import contextlib
import io
import logging
import traceback
from collections.abc import Iterator


class Shown:
    """Collects texts with where they were seen."""

    def __init__(self) -> None:
        self._texts: list[tuple[str, str]] = []

    def add(self, where: str, *values: object) -> None:
        """Take in values by their `str` and `repr`."""
        self._texts.extend((where, text) for value in values for text in (str(value), repr(value)))

    def add_error(self, where: str, error: BaseException) -> None:
        """Take in an error with its causes, notes and attributes, as a traceback or a logger would show them."""
        self.add(where, error, vars(error))
        self._texts.append((f"the traceback of {where}", "".join(traceback.format_exception(error))))

    def places_of(self, secret: str) -> list[str]:
        """Return where a secret was seen, each place once."""
        return list(dict.fromkeys(where for where, text in self._texts if secret in text))

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Take in all that is logged, at any level, and printed meanwhile."""
        handler, root, printed = _Collector(self), logging.getLogger(), io.StringIO()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.NOTSET)
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                yield
        finally:
            root.setLevel(level)
            root.removeHandler(handler)
            self.add("what was printed", printed.getvalue())


class _Collector(logging.Handler):
    def __init__(self, shown: Shown) -> None:
        super().__init__()
        self._shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        self._shown.add(f"the log record of {record.name}", self.format(record), record.args)
