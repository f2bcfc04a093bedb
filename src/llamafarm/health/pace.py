"""How fast a target has lately been: seconds to a stream's first token, or to a whole plain answer."""

from __future__ import annotations

import math
from collections import deque

__all__ = ["Pace"]

_SAMPLES = 100
_ENOUGH = 20
"""Samples below which nothing is said of their 95th percentile."""
_ENOUGH_TO_EXPECT = 5
"""Samples below which nothing is said of how long an answer can take."""
_WEIGHT = 0.2
"""Of the newest answer in the running mean."""
_FORGOTTEN = 30.0
"""Seconds without an answer after which the mean begins anew: it is to say how things are now."""


class Pace:
    """The last answers' times, streams apart from plain ones."""

    __slots__ = ("_first", "_measured", "mean")

    def __init__(self) -> None:
        self._first = {streamed: deque[float](maxlen=_SAMPLES) for streamed in (False, True)}
        self._measured = -math.inf
        self.mean: float | None = None
        """A running mean of both kinds; None before the first."""

    def add(self, seconds: float, now: float, *, streamed: bool) -> None:
        """Note how long an answer took; of one that was not waited for, the time it had: it would have taken longer."""
        self._first[streamed].append(seconds)
        if self.mean is None or now - seconds > self._measured + _FORGOTTEN:
            self.mean = seconds
        else:
            self.mean += _WEIGHT * (seconds - self.mean)
        self._measured = now

    def p95(self, *, streamed: bool) -> float | None:
        """Give the seconds within which 95 of 100 began; None where there were too few."""
        samples = sorted(self._first[streamed])
        return samples[math.ceil(0.95 * len(samples)) - 1] if len(samples) >= _ENOUGH else None

    def longest(self, *, streamed: bool) -> float | None:
        """Give the seconds that none took longer than; None where there were too few."""
        samples = self._first[streamed]
        return max(samples) if len(samples) >= _ENOUGH_TO_EXPECT else None
