"""What all workers count together, in memory they share: exact also when one of them is killed at any moment.

A strategy has a column, a worker a row in it. What a worker has at work, waiting and granted there is one number in one
cell, written by one store: a process that dies leaves it as it was before or after. Who looks and then writes holds a
lock that the kernel takes back from the dead. So all that a death leaves to do is to empty the dead one's cells.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llamafarm.types import Entry

__all__ = ["COLUMNS", "Board", "Totals", "board_file"]

COLUMNS = 1024
"""Names of strategies that there is room for; a name is kept until the program ends."""
_CELL = 8
_MASK = (1 << 24) - 1
_WAITING_AT, _GRANTED_AT = 24, 48
_AT_WORK = 1
_WAITING = 1 << _WAITING_AT
_GRANTED = 1 << _GRANTED_AT
"""A place that another worker's request has left to one that waits here, until it is collected."""
_GRANT = _GRANTED + _AT_WORK - _WAITING
_GONE, _RESTARTS, _HEAD = 0, 1, 2
"""In front: requests that ended workers had answered, and how many workers were started anew."""
_PID, _IN_FLIGHT, _ANSWERED, _FIGURES = 0, 1, 2, 3
"""Then for each worker."""
_NAME, _NAME_TOO, _LIMIT, _TURN, _STATES = 0, 1, 2, 3, 4
"""Then for each strategy: its hashed name, its `parallel_requests`, the row whose turn it was last, the rows."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Figures of all workers together, those that have ended among them."""

    pids: tuple[int, ...]
    restarts: int
    in_flight: int
    answered: int


def board_file(rows: int) -> int:
    """Make the memory for so many workers, and give its descriptor; it has no name that another program could open."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("llamafarm")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, (_HEAD + rows * _FIGURES + COLUMNS * (_STATES + rows)) * _CELL)
    return descriptor


class Board:
    """The shared memory as one process sees it: a worker in its `row`, the parent (row -1) in none.

    What gives rows gives those whose workers have been granted a place and are to collect it.
    """

    def __init__(self, descriptor: int, rows: int, row: int = -1) -> None:
        import fcntl

        self.descriptor = descriptor
        self._lockf, self._exclusive, self._unlock = fcntl.lockf, fcntl.LOCK_EX, fcntl.LOCK_UN
        self._rows = rows
        self._row = row
        self._memory = mmap.mmap(descriptor, (_HEAD + rows * _FIGURES + COLUMNS * (_STATES + rows)) * _CELL)
        self._cells = memoryview(self._memory).cast("Q")
        self._me = _HEAD + row * _FIGURES

    def close(self) -> None:
        """Let go of the memory; the descriptor with it."""
        self._cells.release()
        self._memory.close()
        os.close(self.descriptor)

    # Places

    def column(self, name: str, limit: int) -> int:
        """Give a strategy's column, and note how many places it has now. Raises `ResourceError` where none is left."""
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=2 * _CELL).digest()
        first, second = int.from_bytes(digest[:_CELL]) or 1, int.from_bytes(digest[_CELL:])
        self._lockf(self.descriptor, self._exclusive, 1, 0)
        try:
            column = self._find(first, second)
        finally:
            self._lockf(self.descriptor, self._unlock, 1, 0)
        self._cells[self._base(column) + _LIMIT] = limit
        return column

    def _find(self, first: int, second: int) -> int:
        cells = self._cells
        for column in range(COLUMNS):
            base = self._base(column)
            if cells[base + _NAME] == first and cells[base + _NAME_TOO] == second:
                return column
            if not cells[base + _NAME]:
                cells[base + _NAME_TOO] = second
                cells[base + _NAME] = first
                return column
        raise ResourceError(f"the workers know {COLUMNS} names of strategies by now, and no more: restart the gateway")

    def waiting(self, column: int) -> int:
        """Give how many wait for a place, in all workers."""
        return sum(self._states(self._base(column))) >> _WAITING_AT & _MASK

    def at_work(self, column: int) -> int:
        """Give how many have a place, in all workers."""
        return sum(self._states(self._base(column))) & _MASK

    def ask(self, column: int, line: int) -> Entry:
        """Take a place where one is free and nobody waits, else one in the line, where fewer than `line` wait."""
        base = self._base(column)
        mine = base + _STATES + self._row
        self._lock(column)
        try:
            total = sum(self._states(base))
            waiting = total >> _WAITING_AT & _MASK
            if not waiting and total & _MASK < self._cells[base + _LIMIT]:
                self._cells[mine] += _AT_WORK
                return "place"
            if waiting >= line:
                return "full"
            self._cells[mine] += _WAITING
            return "line"
        finally:
            self._free(column)

    def give_back(self, column: int) -> Iterable[int]:
        """Give a place back."""
        base = self._base(column)
        self._lock(column)
        try:
            self._cells[base + _STATES + self._row] -= _AT_WORK
            return self._grant(base)
        finally:
            self._free(column)

    def leave_line(self, column: int) -> Iterable[int]:
        """Leave the line; where all that wait here have been granted a place, one of those is given back."""
        base = self._base(column)
        mine = base + _STATES + self._row
        self._lock(column)
        try:
            if self._cells[mine] >> _WAITING_AT & _MASK:
                self._cells[mine] -= _WAITING
                return ()
            self._cells[mine] -= _GRANTED + _AT_WORK
            return self._grant(base)
        finally:
            self._free(column)

    def collect(self, column: int) -> bool:
        """Take one of the places that were granted to this row; False: there is none."""
        mine = self._base(column) + _STATES + self._row
        if not self._cells[mine] >> _GRANTED_AT:
            return False
        self._lock(column)
        try:
            self._cells[mine] -= _GRANTED
        finally:
            self._free(column)
        return True

    def settle(self, column: int) -> Iterable[int]:
        """Grant the places that are free: their number may have grown."""
        self._lock(column)
        try:
            return self._grant(self._base(column))
        finally:
            self._free(column)

    def _grant(self, base: int) -> Iterable[int]:
        """Give free places to rows that wait, in turns; the column's lock is held."""
        cells, states = self._cells, self._states(base)
        total = sum(states)
        free, waiting = cells[base + _LIMIT] - (total & _MASK), total >> _WAITING_AT & _MASK
        granted: set[int] = set()
        for _ in range(min(free, waiting)):
            row = self._next(states, cells[base + _TURN])
            cells[base + _STATES + row] = states[row] = states[row] + _GRANT
            cells[base + _TURN] = row
            granted.add(row)
        return granted

    def _next(self, states: list[int], last: int) -> int:
        turns = ((last + step) % self._rows for step in range(1, self._rows + 1))
        return next(row for row in turns if states[row] >> _WAITING_AT & _MASK)

    def _base(self, column: int) -> int:
        return _HEAD + self._rows * _FIGURES + column * (_STATES + self._rows)

    def _states(self, base: int) -> list[int]:
        states: list[int] = self._cells[base + _STATES : base + _STATES + self._rows].tolist()
        return states

    def _lock(self, column: int) -> None:
        self._lockf(self.descriptor, self._exclusive, 1, column + 1)

    def _free(self, column: int) -> None:
        self._lockf(self.descriptor, self._unlock, 1, column + 1)

    # Figures

    def tally(self, in_flight: int, answered: int) -> None:
        """Note this worker's figures."""
        self._cells[self._me + _IN_FLIGHT] = in_flight
        self._cells[self._me + _ANSWERED] = answered

    def totals(self) -> Totals:
        """Add up what all workers have noted."""
        cells = self._cells
        rows = [_HEAD + row * _FIGURES for row in range(self._rows)]
        return Totals(
            tuple(cells[row + _PID] for row in rows if cells[row + _PID]),
            cells[_RESTARTS],
            sum(cells[row + _IN_FLIGHT] for row in rows),
            cells[_GONE] + sum(cells[row + _ANSWERED] for row in rows),
        )

    # What the parent does

    def seat(self, row: int, pid: int, *, again: bool) -> None:
        """Note who has a row; `again`: another had it before."""
        self._cells[_HEAD + row * _FIGURES + _PID] = pid
        self._cells[_RESTARTS] += again

    def clear(self, row: int) -> None:
        """Empty the row of a process that has ended, and let others have its places; they are all to collect."""
        cells, figures = self._cells, _HEAD + row * _FIGURES
        cells[_GONE] += cells[figures + _ANSWERED]
        for cell in range(figures, figures + _FIGURES):
            cells[cell] = 0
        for column in range(COLUMNS):
            base = self._base(column)
            if not cells[base + _NAME]:
                return
            self._lock(column)
            try:
                cells[base + _STATES + row] = 0
                self._grant(base)
            finally:
                self._free(column)
