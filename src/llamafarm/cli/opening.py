"""Opens the strategy that a command is about, with its log and its progress shown on stderr."""

from __future__ import annotations

import logging
import os
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, cast

from llamafarm.cli.printing import LineByLine, note
from llamafarm.cli.progress import Downloads
from llamafarm.farm import Farm, find_file, find_strategy
from llamafarm.stages.pauses import LOGGER as PAUSES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import TextIO

    from llamafarm.cli.settings import Settings
    from llamafarm.spec import Document
    from llamafarm.spec.strategy import Strategy
    from llamafarm.telemetry import LogSink

__all__ = ["load", "opened"]


def load(settings: Settings) -> tuple[Document, Strategy]:
    """Load the strategy that the common options mean, and the file it is in. Raises ConfigError."""
    return find_strategy(find_file(settings.strategy_file, os.environ), settings.strategy, os.environ)


@asynccontextmanager
async def opened(settings: Settings, found: tuple[Document, Strategy] | None = None) -> AsyncIterator[Farm]:
    """Open the strategy that the common options mean, or that `load` has already found."""
    document, strategy = found or load(settings)
    with _log(settings, document, strategy) as sinks, Downloads(settings) as downloads:
        async with Farm(strategy, sinks=sinks, progress=downloads) as farm:
            yield farm


@contextmanager
def _log(settings: Settings, document: Document, strategy: Strategy) -> Iterator[tuple[LogSink, ...]]:
    """Write the log to stderr where the file or the user asks for one; else the command itself says what went wrong."""
    from llamafarm.telemetry import LogSink, logging_to

    monitoring = strategy.monitoring
    index = document.file.strategies.index(strategy)
    keys = (document.places.key("strategies", index, "monitoring", name) for name in ("log_level", "log_format"))
    asked = not settings.quiet and (settings.verbose or any(keys))
    level = "CRITICAL" if not asked else "DEBUG" if settings.verbose else monitoring.log_level
    logged = logging_to(cast("TextIO", LineByLine()), level=level, log_format=monitoring.log_format)
    pauses = nullcontext() if level in ("DEBUG", "INFO") else _telling_of_pauses(settings)
    with logged, pauses:
        yield (LogSink(document.file.version),) if asked else ()


@contextmanager
def _telling_of_pauses(settings: Settings) -> Iterator[None]:
    """Say on stderr what a call waits for, so that it does not look like a hang."""
    logger = logging.getLogger(PAUSES)
    told = _Notes(settings)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(told)
    try:
        yield
    finally:
        logger.removeHandler(told)
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


class _Notes(logging.Handler):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def emit(self, record: logging.LogRecord) -> None:
        note(self._settings, record.getMessage())
