"""What the queue asks of whoever counts a strategy's places: this process alone, or several together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from llamafarm.spec.strategy import Strategy

__all__ = ["Entry", "Places", "PlacesOf"]

Entry = Literal["place", "line", "full"]
"""What who comes gets: a place, one in the line of those who wait, or nothing."""


class Places(Protocol):
    """A strategy's places (`parallel_requests`) and the line before them (`queue_size`). Nothing here blocks."""

    @property
    def waiting(self) -> int:
        """How many stand in line, wherever."""

    def bind(self, granted: Callable[[], None]) -> None:
        """Have `granted` called each time a place falls to this line: it hands the place on, or gives it back."""

    def ask(self) -> Entry:
        """Take a place where one is free and nobody waits; else one in the line."""

    def give_back(self) -> None:
        """Give a place back; where somebody waits, it falls to him."""

    def leave_line(self) -> None:
        """Leave the line without a place."""


PlacesOf = Callable[["Strategy"], Places]
