"""What is known of each target from its last answers: whether to ask it now, how busy and how fast it is."""

from llamafarm.health.gate import OPEN_SECONDS
from llamafarm.health.health import (
    BAD_SECONDS,
    LEAST,
    UNKNOWN,
    WINDOW,
    Figures,
    Health,
    Trial,
    way_of,
)
from llamafarm.health.standing import Standing

__all__ = [
    "BAD_SECONDS",
    "LEAST",
    "OPEN_SECONDS",
    "UNKNOWN",
    "WINDOW",
    "Figures",
    "Health",
    "Standing",
    "Trial",
    "way_of",
]
