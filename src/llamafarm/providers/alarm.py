"""A timer that is moved for every piece of a stream, and so costs next to nothing to move."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Alarm"]


class Alarm:
    """Rings once at a moment that may be moved. Only a move to an earlier moment touches the event loop."""

    __slots__ = ("_due", "_handle", "_ring", "_wakes", "rang")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._due = math.inf
        self._wakes = math.inf
        self._handle: asyncio.TimerHandle | None = None
        self.rang = False

    def set(self, due: float) -> None:
        """Ring at a moment in monotonic seconds; infinity: not at all, until it is set again."""
        self._due = due
        if due < self._wakes and not self.rang:
            self._schedule()

    def cancel(self) -> None:
        """Never ring."""
        self._due = math.inf
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self._wakes = math.inf

    def _schedule(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._wakes = self._due
        self._handle = asyncio.get_running_loop().call_later(max(0.0, self._due - time.monotonic()), self._wake)

    def _wake(self) -> None:
        self._handle = None
        self._wakes = math.inf
        if time.monotonic() >= self._due:
            self.rang = True
            self._ring()
        elif self._due != math.inf:
            self._schedule()
