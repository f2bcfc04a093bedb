"""Shows on stderr how far long work has come: a bar for a person who watches, single lines for a log."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from llamafarm.cli.printing import note, printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from llamafarm.cli.settings import Settings
    from llamafarm.models.progress import Progress

__all__ = ["Downloads", "is_watched"]

_WORDS = {
    "waiting": "waiting for another process to fetch",
    "downloading": "fetching",
    "unpacking": "unpacking",
    "checking": "checking",
}


def is_watched(settings: Settings) -> bool:
    """Tell whether a person sees stderr and wants to."""
    return not settings.quiet and sys.stderr is not None and sys.stderr.isatty()


class Downloads:
    """Shows model files being fetched, as it is told about them; nothing before that, and nothing when quiet."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._said: set[tuple[str, str, str]] = set()

    def __call__(self, progress: Progress) -> None:
        """Show where a file stands."""
        if is_watched(self._settings):
            self._draw(progress)
        else:
            self._say(progress)

    def _say(self, progress: Progress) -> None:
        key = (progress.model, progress.phase, progress.source)
        if key in self._said or progress.phase == "checking":
            return
        self._said.add(key)
        size = f" ({progress.total / 1e6:.0f} MB)" if progress.total else ""
        note(self._settings, f"{_WORDS[progress.phase]} {progress.model}{size} from {progress.source}")

    def _draw(self, progress: Progress) -> None:
        bars = self._bars = self._bars or _bars()
        words = printable(f"{_WORDS[progress.phase]} {progress.model}")
        if progress.model in self._tasks:
            bars.update(self._tasks[progress.model], description=words, completed=progress.done, total=progress.total)
        else:
            self._tasks[progress.model] = bars.add_task(words, completed=progress.done, total=progress.total)
        if progress.phase == "checking" and progress.total is not None and progress.done >= progress.total:
            bars.remove_task(self._tasks.pop(progress.model))
        if not self._tasks:
            self._close()

    def _close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bars.start()
    return bars
