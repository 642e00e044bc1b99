"""Tables of scores on the terminal: whole names, and as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LEAST_NAME = 16  # characters of a name on a line of it, if it has as many


def add_names(table: Table, columns: Mapping[str, Iterable[str]]) -> None:
    """Add columns of names, by their headings; a longer one than `LEAST_NAME` may be folded."""
    for heading, names in columns.items():
        least = min(LEAST_NAME, max(map(len, names), default=0))
        table.add_column(heading, overflow="fold", min_width=least)


def fits(table: Table, console: Console) -> bool:
    """Whether a console is as wide as a table has to be."""
    endless = console.options.update(width=10_000)  # else the least width is the console's own
    return console.measure(table, options=endless).minimum <= console.width
