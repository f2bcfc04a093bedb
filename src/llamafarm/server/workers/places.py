"""A worker's places: counted on the board with those of all workers, and collected when a bell rings."""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from llamafarm.server.workers.board import Board
    from llamafarm.spec.strategy import Strategy
    from llamafarm.types import Entry, Places

__all__ = ["SharedPlaces", "WorkerPlaces", "ring"]


def ring(bells: Sequence[int], rows: Iterable[int]) -> None:
    """Wake the workers of these rows; `bells` are the pipes they listen to."""
    for row in rows:
        with contextlib.suppress(OSError):  # full: it rings already; broken: everybody is gone
            os.write(bells[row], b"\0")


class WorkerPlaces:
    """All places of one worker, for every strategy of every generation."""

    def __init__(self, board: Board, row: int, bells: Sequence[int]) -> None:
        self.board = board
        self._row = row
        self._bells = bells
        self._serial = itertools.count()
        self._all: WeakValueDictionary[int, SharedPlaces] = WeakValueDictionary()
        """The oldest first; one that no queue has any more is gone."""

    def of(self, strategy: Strategy) -> Places:
        """Give a strategy's places. Raises `ResourceError` where the board has no room for another name."""
        limits = strategy.optimization
        column = self.board.column(strategy.name, limits.parallel_requests)
        self._all[next(self._serial)] = places = SharedPlaces(self, column, limits.queue_size)
        self.ring(self.board.settle(column))
        return places

    def ring(self, rows: Iterable[int]) -> None:
        """Have these rows collect what they were granted."""
        others = []
        mine = False
        for row in rows:
            if row == self._row:
                mine = True
            else:
                others.append(row)
        ring(self._bells, others)
        if mine:
            self.collect()

    def collect(self) -> None:
        """Hand the places that were granted to this worker to those who wait here, of an older generation first."""
        for places in list(self._all.values()):
            while places.length and self.board.collect(places.column):
                places.grant()


class SharedPlaces:
    """The places of one strategy."""

    def __init__(self, worker: WorkerPlaces, column: int, line: int) -> None:
        self.column = column
        self.length = 0
        """How many stand in this very line."""
        self._worker = worker
        self._line = line
        self._granted: Callable[[], None]

    @property
    def waiting(self) -> int:
        """How many stand in line, in all workers."""
        return self._worker.board.waiting(self.column)

    def bind(self, granted: Callable[[], None]) -> None:
        """Have `granted` called each time a place falls to this line."""
        self._granted = granted

    def ask(self) -> Entry:
        """Take a place where one is free and nobody waits in any worker; else one in the line."""
        entry = self._worker.board.ask(self.column, self._line)
        if entry == "line":
            self.length += 1
        return entry

    def give_back(self) -> None:
        """Give a place back; where somebody waits, it falls to the next worker in turn."""
        rows = self._worker.board.give_back(self.column)
        if rows:
            self._worker.ring(rows)

    def leave_line(self) -> None:
        """Leave the line without a place."""
        self.length -= 1
        rows = self._worker.board.leave_line(self.column)
        if rows:
            self._worker.ring(rows)

    def grant(self) -> None:
        """Have a place that fell to this line taken."""
        self.length -= 1
        self._granted()
