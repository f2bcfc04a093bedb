"""Decides which of a strategy's balanced targets a call goes to first, and in which order the others follow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llamafarm.health import Figures
    from llamafarm.types import Target

__all__ = ["spread"]

Weighted = tuple["Target", float]
_LOOK_AGAIN = 0.1
"""Share of the requests that may try a target which is known as slower, once it has not been asked for a while."""


def spread(
    policy: str,
    balanced: Sequence[Weighted],
    figures: Callable[[Target], Figures],
    cost: Callable[[Target], int | None],
    *,
    turn: int,
    draw: float,
) -> list[Target]:
    """Order targets, each given with its weight, as a policy says; those that are left out just now come last.

    `cost` gives nanodollars (None: unknown, which counts as dearest), `turn` counts the strategy's calls, `draw` is a
    random number from 0 up to 1.
    """
    here = [pair for pair in balanced if figures(pair[0]).available]
    gone = [target for target, _ in balanced if not figures(target).available]
    if policy == "weighted":
        return [*_drawn(here, draw), *gone]
    first = turn % len(here) if here else 0
    targets = [target for target, _ in (*here[first:], *here[:first])]
    if policy == "round_robin":
        return [*targets, *gone]
    measure = _MEASURES[policy]
    # Equal ones stay in turn, so that none of them is always first.
    return [*sorted(targets, key=lambda target: measure(target, figures, cost, draw)), *gone]


def _drawn(here: Sequence[Weighted], draw: float) -> list[Target]:
    """Draw the first by weight; the others follow, the heaviest first, those without weight last."""
    left = draw * sum(weight for _, weight in here)
    for place, (target, weight) in enumerate(here):
        left -= weight
        if left < 0:
            others = sorted((*here[:place], *here[place + 1 :]), key=lambda pair: -pair[1])
            return [target, *(other for other, _ in others)]
    return [target for target, _ in here]


def _least_busy(target: Target, figures: Callable[[Target], Figures], *_: object) -> float:
    return figures(target).in_flight


def _least_latency(target: Target, figures: Callable[[Target], Figures], _: object, draw: float) -> float:
    known = figures(target)
    # One request tries it, now and then: nothing else tells how fast it is, or has become.
    if not known.tried and (known.latency is None or draw < _LOOK_AGAIN):
        return 0.0
    return math.inf if known.latency is None else known.latency


def _least_cost(target: Target, _: object, cost: Callable[[Target], int | None], *__: object) -> float:
    known = cost(target)
    return math.inf if known is None else known


_MEASURES: dict[str, Callable[..., float]] = {
    "least_busy": _least_busy,
    "least_latency": _least_latency,
    "least_cost": _least_cost,
}
