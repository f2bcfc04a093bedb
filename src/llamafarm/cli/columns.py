"""How rows are lined up for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

__all__ = ["columns"]

_GAP = "  "


def columns(heading: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Line up rows under a heading; the columns with the numbers in `right` end at one edge, as figures should."""
    table = [tuple(heading), *map(tuple, rows)]
    widths = [max(len(row[at]) for row in table) for at in range(len(heading))]
    lines = (
        _GAP.join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)
