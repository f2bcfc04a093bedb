"""Decides what one line of the log holds: everything about a call but its content and its secrets."""

from __future__ import annotations

import logging
import logging.handlers
import queue
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from llamafarm.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from llamafarm.types import Event

__all__ = ["LogSink", "logging_to"]

_LOGGER = "llamafarm"


def _kinds(error: type[RefusedError]) -> frozenset[str]:
    return frozenset({error.kind}).union(*(_kinds(below) for below in error.__subclasses__()))


_REFUSALS = _kinds(RefusedError)
_FIELDS = "event"
"""The attribute of a log record that carries a call's fields."""


class LogSink:
    """Writes one line a call to the ``llamafarm`` logger.

    INFO for a call that was answered at the first try (or left by its reader), WARNING for one that needed more or
    was refused, ERROR for one that failed or was cut.
    """

    def __init__(self, version: str | None = None, least: str = "DEBUG") -> None:
        self._version = version
        """The strategy file's own version, where it has one."""
        self._least = logging.getLevelNamesMapping()[least]
        """What is below it is not logged, whatever the logger takes."""
        self._logger = logging.getLogger(_LOGGER)

    def emit(self, event: Event) -> None:
        """Hand the line to the handlers; formatting waits for the thread that writes."""
        level = _level(event)
        if level >= self._least and self._logger.isEnabledFor(level):
            self._logger.log(level, "call %s", event.id, extra={_FIELDS: _fields(event, self._version)})


def _level(event: Event) -> int:
    if event.ended in ("failed", "cut"):
        return logging.WARNING if event.error in _REFUSALS else logging.ERROR
    return logging.WARNING if any(attempt.error for attempt in event.attempts) else logging.INFO


def _fields(event: Event, version: str | None) -> dict[str, Any]:
    """Choose what is logged: an error's kind but not its message, in which a vendor may quote the prompt."""
    fields: dict[str, Any] = {"id": event.id, "strategy": event.strategy}
    if version is not None:
        fields["version"] = version
    usage = event.usage
    return {
        **fields,
        "operation": str(event.operation),
        "target": event.target,
        "model": event.model,
        "ended": event.ended,
        "error": event.error,
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cost_usd": None if event.cost is None else event.cost / 1e9,
        "ms": round(event.ms, 1),
        "first_token_ms": None if event.first_token_ms is None else round(event.first_token_ms, 1),
        "attempts": [
            {"target": a.target, "model": a.model, "outcome": a.outcome, "ms": round(a.ms, 1)} for a in event.attempts
        ],
    }


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _time(record), "level": record.levelname, **_said(record)}
        return msgspec.json.encode(line).decode()


class _Text(logging.Formatter):
    """Time and level, then the same fields as ``name=value``, those without a value left out."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _said(record)
        attempts = fields.pop("attempts", [])
        if len(attempts) > 1:
            fields["attempts"] = ",".join(f"{a['target']}:{a['outcome']}" for a in attempts)
        said = " ".join(f"{name}={_quoted(value)}" for name, value in fields.items() if value is not None)
        return f"{_time(record)} {record.levelname} {said}"


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _said(record: logging.LogRecord) -> dict[str, Any]:
    """Give a call's fields, or of any other record its logger and message."""
    fields: dict[str, Any] | None = getattr(record, _FIELDS, None)
    return {"logger": record.name, "message": record.getMessage()} if fields is None else dict(fields)


def _quoted(value: Any) -> str:
    text = f"{value:.9f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return msgspec.json.encode(text).decode() if not text or any(c in ' "=\n\r\t\\' for c in text) else text


class _Stream(logging.StreamHandler["TextIO"]):
    """Writes to a stream; where that fails there is no place left to say so."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name for it
        pass


@contextmanager
def logging_to(stream: TextIO, *, level: str, log_format: Literal["json", "text"] = "text") -> Iterator[None]:
    """Write what the ``llamafarm`` loggers say at `level` or above to `stream`, from a thread of its own.

    At the end everything said is written, and the logger is as it was.
    """
    logger = logging.getLogger(_LOGGER)
    written = _Stream(stream)
    written.setFormatter(_Json() if log_format == "json" else _Text())
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(waiting)
    listener = logging.handlers.QueueListener(waiting, written)
    before = logger.level, logger.propagate
    logger.setLevel(level)
    logger.propagate = False
    logger.addHandler(handler)
    listener.start()
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        listener.stop()
