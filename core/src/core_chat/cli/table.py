"""Tables: aligned for a person, tab-separated for a program."""

import sys
from collections.abc import Sequence

import click

from core_chat.cli.terminal import is_terminal, one_line

_LEGIBLE = 20


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, wrap: bool = False) -> None:
    """Print rows: at a terminal as a table that fits it, else a line each, with tabs and without headings.

    A table's first column is never cut, since it is there to be copied. Columns that are empty throughout, and those
    for which there is no room, are left out; what is too long for its column is cut, or with `wrap` wrapped.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    if not is_terminal(sys.stdout):
        for row in cells:
            click.echo("\t".join(row))
    elif cells:
        _print_aligned(headings, cells, wrap=wrap)


def _print_aligned(headings: Sequence[str], cells: Sequence[Sequence[str]], *, wrap: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    widths = [max(len(row[index]) for row in cells) for index in range(len(headings))]
    columns = _columns_that_fit(widths, console.width)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(headings[0], overflow="fold", min_width=min(console.width, widths[0]))
    for index in columns[1:]:
        legible = min(widths[index], _LEGIBLE)
        table.add_column(headings[index], overflow="fold" if wrap else "ellipsis", no_wrap=not wrap, min_width=legible)
    for row in cells:
        table.add_row(*(Text(row[index]) for index in columns))
    console.print(table)


def _columns_that_fit(widths: Sequence[int], room: int) -> list[int]:
    """Return the columns to show: the first, and those after it that can be read in the room that is left."""
    columns = [0]
    room -= widths[0]
    for index, width in list(enumerate(widths))[1:]:
        needed = min(width, _LEGIBLE) + 2
        if width and needed <= room:
            columns.append(index)
            room -= needed
    return columns
