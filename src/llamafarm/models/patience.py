"""How long a fetch bears with a bad connection, and what it says when a source has failed."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Patience", "SourceFailedError"]


class SourceFailedError(Exception):
    """One source of a model file failed; the next may have it. Its message is a part of the user's."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a fetch bears with a bad connection."""

    connect: float = 15.0
    """Seconds until a connection must stand."""
    stall: float = 30.0
    """Seconds without a byte after which a connection counts as broken."""
    tries: int = 5
    """Tries in a row that may bring nothing; any byte received starts the count again."""
    pause: float = 0.5
    """Seconds before the first new try; doubles up to `longest_pause`."""
    longest_pause: float = 8.0
