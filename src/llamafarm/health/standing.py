"""What processes that serve together tell each other of a target: whether it is left out, and until when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.health.gate import Gate

__all__ = ["WELL", "Standing", "standing_of"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a target is left out. Times are monotonic seconds, which are the same in all processes of a machine."""

    until: float | None = None
    """Left out until then, because it kept failing; after that one request finds out. None: it is asked freely."""
    ways: tuple[tuple[str, float], ...] = ()
    """The same, for what it cannot be asked for until a person mends it."""
    cooling_until: float | None = None
    """It has asked not to be asked until then; None: never."""
    probing: bool = False
    """Whether a request has just been sent that is to find out."""


WELL = Standing()


def standing_of(gate: Gate, ways: Mapping[str, Gate], cooling_until: float, *, probing: bool) -> Standing:
    """Sum up a record."""
    if not gate.on_trial and not ways and math.isinf(cooling_until):
        return WELL
    return Standing(
        gate.until if gate.on_trial else None,
        tuple((way, gate.until) for way, gate in ways.items() if gate.on_trial),
        None if math.isinf(cooling_until) else cooling_until,
        probing,
    )
