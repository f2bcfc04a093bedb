"""Counts what a batch has done, and shows it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from llamafarm.cli.printing import counted, dollars, note
from llamafarm.cli.progress import is_watched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.progress import Progress, TaskID

    from llamafarm.cli.settings import Settings

__all__ = ["Meter"]


class Meter:
    """Shows a bar on stderr while a person watches; says the sum at the end."""

    def __init__(self, settings: Settings, *, total: int | None, earlier: tuple[int, int], draws: bool) -> None:
        self._settings = settings
        self._total = total
        """Lines of the input; None for a pipe, whose end nobody knows."""
        self.earlier = earlier
        """Lines answered and failed in an earlier run, and not asked again."""
        self.answered = self.failed = 0
        self.input_tokens = self.output_tokens = 0
        self.cost = 0.0
        self.unpriced = 0
        """Lines of which nobody can tell what they may have cost."""
        self._started = time.monotonic()
        self._bar = _bar() if draws and is_watched(settings) else None
        self._task: TaskID | None = None

    def count(self, record: Mapping[str, Any]) -> None:
        """Count one line's answer or failure."""
        if "error" in record:
            self.failed += 1
        else:
            self.answered += 1
            self.input_tokens += record["usage"]["input_tokens"] or 0
            self.output_tokens += record["usage"].get("output_tokens") or 0
        self.unpriced += record["cost_usd"] is None
        self.cost += record["cost_usd"] or 0.0
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=1, description=self._described())

    @property
    def left(self) -> int | None:
        """Lines that were not asked; None where the input's end is not known."""
        return None if self._total is None else self._total - sum(self.earlier) - self.answered - self.failed

    def _described(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        rate = (self.answered + self.failed) / max(time.monotonic() - self._started, 1e-3)
        return f"{self.answered} answered{failed}, {rate:.1f}/s, {dollars(self.cost)}"

    def document(self) -> dict[str, Any]:
        """Give the sum for scripts."""
        return {
            "answered": self.answered,
            "failed": self.failed,
            "answered_earlier": self.earlier[0],
            "failed_earlier": self.earlier[1],
            "left": self.left,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": None if self.unpriced else self.cost,
            "seconds": round(time.monotonic() - self._started, 3),
        }

    def summarise(self) -> None:
        """Say the sum on stderr, in one line."""
        answered, failed = self.earlier
        earlier = f" ({answered} answered and {failed} failed earlier)" if answered or failed else ""
        tokens = f"{self.input_tokens} + {self.output_tokens} tokens"
        cost = dollars(self.cost) + (f" and {counted(self.unpriced, 'line')} of unknown cost" if self.unpriced else "")
        seconds = time.monotonic() - self._started
        note(
            self._settings,
            f"{self.answered} answered, {self.failed} failed{earlier}; {tokens}, {cost}, {seconds:.1f} s",
        )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("0 answered", total=self._total, completed=sum(self.earlier))
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
    )
