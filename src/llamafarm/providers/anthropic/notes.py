"""Collects what of a request was translated or left out on its way to Anthropic, one sentence each."""

from __future__ import annotations

__all__ = ["Notes"]


class Notes:
    """The notes of one request, in order, none twice."""

    __slots__ = ("_notes",)

    def __init__(self) -> None:
        self._notes: dict[str, None] = {}

    def add(self, note: str) -> None:
        """Note a translation."""
        self._notes[note] = None

    def left_out(self, name: str, why: str = "Anthropic has none") -> None:
        """Note that something is not sent."""
        self.add(f"{name} left out: {why}")

    @property
    def all(self) -> tuple[str, ...]:
        """Give every note."""
        return tuple(self._notes)
