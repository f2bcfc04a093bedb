"""Tells of the pauses that a target asks for and that a call waits for, so that nobody takes them for a hang."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamafarm.types import Target

__all__ = ["LOGGER", "note_pause"]

LOGGER = "llamafarm.pauses"
"""The logger that is told, at INFO; the command line shows what it says."""
_WORTH_TELLING = 1.0
"""Seconds."""
_log = logging.getLogger(LOGGER)


def note_pause(target: Target, seconds: float) -> None:
    """Note that a call waits so long before it asks `target`, because that has asked for it."""
    if seconds >= _WORTH_TELLING:
        _log.info("%s asked for a pause of %.0f s, and nobody else is left to ask: waiting", target.name, seconds)
