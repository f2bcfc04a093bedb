"""Opens the strategy that a command is about, with its log and its progress shown on stderr."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from llamafarm.cli.progress import Downloads
from llamafarm.farm import Farm, find_file, find_strategy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from llamafarm.cli.settings import Settings
    from llamafarm.spec import Document
    from llamafarm.spec.strategy import Strategy
    from llamafarm.telemetry import LogSink

__all__ = ["load", "opened"]


def load(settings: Settings) -> tuple[Document, Strategy]:
    """Load the strategy that the common options mean, and the file it is in. Raises ConfigError."""
    return find_strategy(find_file(settings.strategy_file, os.environ), settings.strategy, os.environ)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Farm]:
    """Open the strategy that the common options mean."""
    document, strategy = load(settings)
    with _log(settings, document, strategy) as sinks, Downloads(settings) as downloads:
        async with Farm(strategy, sinks=sinks, progress=downloads) as farm:
            yield farm


@contextmanager
def _log(settings: Settings, document: Document, strategy: Strategy) -> Iterator[tuple[LogSink, ...]]:
    """Write the log to stderr; a line for every call only where the file or the user asks for a log.

    Without that, what went wrong is said once, by the command itself.
    """
    from llamafarm.telemetry import LogSink, logging_to

    monitoring = strategy.monitoring
    level = "CRITICAL" if settings.quiet else "DEBUG" if settings.verbose else monitoring.log_level
    index = document.file.strategies.index(strategy)
    keys = (document.places.key("strategies", index, "monitoring", name) for name in ("log_level", "log_format"))
    asked = settings.verbose or any(keys)
    with logging_to(sys.stderr, level=level, log_format=monitoring.log_format):
        yield (LogSink(document.file.version),) if asked else ()
