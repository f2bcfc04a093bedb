"""Counts a strategy's places where this process is the only one that serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from llamafarm.types import Entry

__all__ = ["OwnPlaces"]


class OwnPlaces:
    """Places and a line that nobody else knows of."""

    def __init__(self, places: int, line: int) -> None:
        self.free = places
        self.waiting = 0
        self._line = line
        self._granted: Callable[[], None]

    def bind(self, granted: Callable[[], None]) -> None:
        """Have `granted` called each time a place falls to the line."""
        self._granted = granted

    def ask(self) -> Entry:
        """Take a place where one is free and nobody waits; else one in the line."""
        if self.free and not self.waiting:
            self.free -= 1
            return "place"
        if self.waiting >= self._line:
            return "full"
        self.waiting += 1
        return "line"

    def give_back(self) -> None:
        """Give a place back; where somebody waits, it falls to him."""
        if not self.waiting:
            self.free += 1
            return
        self.waiting -= 1
        self._granted()

    def leave_line(self) -> None:
        """Leave the line without a place."""
        self.waiting -= 1
