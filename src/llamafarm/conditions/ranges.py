"""Which values one fact may have: from a bound to a bound, and whether it may be missing."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALL", "NOTHING", "OPPOSITE", "Range", "domain", "ranges", "without"]

Bound = tuple[Any, ...]
"""Compares as a place between values: ``(0, v, -1)`` is just below v, ``(0, v, 0)`` at it, ``(0, v, 1)`` just above."""
_LOWEST: Bound = (-1,)
_HIGHEST: Bound = (1,)

Sign = type[ast.cmpop]
_SPANS: Mapping[Sign, tuple[tuple[int | None, int | None], ...]] = MappingProxyType(
    {
        ast.Eq: ((0, 0),),
        ast.NotEq: ((None, -1), (1, None)),
        ast.Lt: ((None, -1),),
        ast.LtE: ((None, 0),),
        ast.Gt: ((1, None),),
        ast.GtE: ((0, None),),
    }
)
"""Where the values begin and end that a comparison holds for, from the value compared with; None: without bound."""
OPPOSITE: Mapping[Sign, Sign] = MappingProxyType(
    {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt}
)
"""The comparison that holds for a value where another does not."""


@dataclass(frozen=True, slots=True)
class Range:
    """The values of one fact between two bounds, which belong to it."""

    low: Bound = _LOWEST
    high: Bound = _HIGHEST
    missing: bool = False
    """Whether the fact may be missing instead."""

    @property
    def has_values(self) -> bool:
        """Whether the fact may have a value."""
        return self.low <= self.high

    @property
    def is_empty(self) -> bool:
        """Whether the fact can neither have a value nor be missing."""
        return not (self.has_values or self.missing)

    @property
    def is_single(self) -> bool:
        """Whether the fact has one value only."""
        return self.low == self.high and not self.missing

    def meet(self, other: Range) -> Range:
        """Give what is in both."""
        return Range(max(self.low, other.low), min(self.high, other.high), self.missing and other.missing)

    def within(self, other: Range) -> bool:
        """Tell whether the other has all that is in this one."""
        inside = not self.has_values or (other.low <= self.low and self.high <= other.high)
        return inside and (other.missing or not self.missing)

    def outside(self) -> tuple[Range, ...]:
        """Give what is not in it."""
        missing = () if self.missing else (Range(_HIGHEST, _LOWEST, missing=True),)
        if not self.has_values:
            return (ALL, *missing)
        below = () if self.low == _LOWEST else (Range(high=_beside(self.low, -1)),)
        above = () if self.high == _HIGHEST else (Range(low=_beside(self.high, 1)),)
        return (*below, *above, *missing)

    def whole(self) -> Range:
        """Give the same for a fact whose values are whole numbers: what lies between two of them is nothing."""
        low, high = self.low, self.high
        if low != _LOWEST:
            low = (0, math.floor(low[1]) + 1 if low[2] > 0 else math.ceil(low[1]), 0)
        if high != _HIGHEST:
            high = (0, math.ceil(high[1]) - 1 if high[2] < 0 else math.floor(high[1]), 0)
        return Range(low, high, self.missing)


def _beside(bound: Bound, step: int) -> Bound:
    """Give the nearest place before (-1) or behind (1) a bound."""
    return (*bound[:2], bound[2] + step)


ALL = Range()
"""Any value."""
NOTHING = Range(_HIGHEST, _LOWEST)
"""No value."""
_FROM_NOUGHT = Range(low=(0, 0, 0))
_WHOLE: Mapping[str, Range] = MappingProxyType(
    {
        "input.length": _FROM_NOUGHT,
        "input.tokens": _FROM_NOUGHT,
        "input.messages": _FROM_NOUGHT,
        "time.hour": Range((0, 0, 0), (0, 23, 0)),
    }
)
"""The facts that are whole numbers, never missing, and what they can be."""


def domain(fact: str, *, may_miss: bool) -> Range:
    """Give everything that a fact may be in any request."""
    return _WHOLE.get(fact) or Range(missing=may_miss)


def without(fact: str, values: Range, taken: Range) -> tuple[Range, ...]:
    """Give what is left of a fact's values without some of them."""
    left = [values.meet(outside) for outside in taken.outside()]
    if fact in _WHOLE:
        left = [span.whole() for span in left if span.has_values]
    return tuple(span for span in left if not span.is_empty)


def ranges(fact: str, sign: Sign, value: Any, *, missing: bool = False) -> tuple[Range, ...]:
    """Give the ranges of a fact in which a comparison with a value holds, each of them with `missing`."""
    found = []
    for begin, end in _SPANS[sign]:
        low = _LOWEST if begin is None else (0, value, begin)
        high = _HIGHEST if end is None else (0, value, end)
        span = Range(low, high, missing)
        found.append(span.whole().meet(_WHOLE[fact]) if fact in _WHOLE else span)
    return tuple(found)
