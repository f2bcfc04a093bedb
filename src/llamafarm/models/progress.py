"""How far the fetching of a model file has come, as its watchers are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Phase", "Progress", "Report", "Reporter", "silent"]

Phase = Literal["waiting", "downloading", "unpacking", "checking"]
"""Waiting: another process fetches the same file."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a fetch stands. `done` never falls within one phase of one source."""

    model: str
    done: int
    """Bytes."""
    total: int | None
    """Bytes; None: the source does not say."""
    source: str
    phase: Phase


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Take progress and do nothing with it."""


class Reporter:
    """Tells a watcher about one model and keeps `done` from falling, even when a download starts over."""

    def __init__(self, model: str, report: Report) -> None:
        self._model = model
        self._report = report
        self._last: tuple[str, Phase] | None = None
        self._most = 0

    def __call__(self, done: int, total: int | None, source: str, phase: Phase) -> None:
        """Pass on where it stands."""
        if self._last != (source, phase):
            self._last, self._most = (source, phase), 0
        self._most = max(self._most, done)
        self._report(Progress(self._model, self._most, total, source, phase))
