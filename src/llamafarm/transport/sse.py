"""Cuts a stream of server-sent events into events, whatever pieces its bytes come in. Does no I/O."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LINE_LIMIT", "Event", "OversizedEventError", "SSEParser"]

LINE_LIMIT = 8 * 1024 * 1024
"""Bytes one line, and the data of one event, may have: room for an image in base64."""

_BOM = b"\xef\xbb\xbf"
_LF, _CR = 0x0A, 0x0D


class OversizedEventError(ValueError):
    """A line, or an event's data, is longer than the limit."""


class Event(NamedTuple):
    """One event of a stream."""

    data: bytes
    """Its `data` lines, joined by line feeds."""
    name: bytes = b""
    """Its `event` field; empty where it has none."""


class SSEParser:
    """An incremental parser of the WHATWG event-stream format.

    `id` and `retry` fields and comments carry nothing that is of use here and are dropped. Unlike a browser,
    `end` gives an event whose closing blank line never came: its reader can tell whether it is whole.
    """

    __slots__ = ("_after_cr", "_data", "_data_size", "_limit", "_name", "_start", "_tail", "_tail_size")

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._start: bytes | None = b""  # until it is known whether the stream begins with a byte order mark
        self._tail: list[bytes] = []  # pieces of a line whose end has not come
        self._tail_size = 0
        self._after_cr = False
        self._data: list[bytes] = []
        self._data_size = 0
        self._name = b""

    def feed(self, block: bytes) -> list[Event]:
        """Take the next bytes and give the events they complete. Raises `OversizedEventError`."""
        if self._start is not None:
            block = self._skip_bom(block)
        if self._after_cr and block:
            self._after_cr = False
            if block[0] == _LF:
                block = block[1:]
        if not block:
            return []
        lines = block.splitlines()
        last = block[-1]
        whole = last in (_LF, _CR)
        self._after_cr = last == _CR
        if self._tail and (whole or len(lines) > 1):
            self._tail.append(lines[0])
            lines[0] = b"".join(self._tail)
            self._tail, self._tail_size = [], 0
        if not whole:
            self._keep(lines.pop())
        events: list[Event] = []
        for line in lines:
            self._take(line, events)
        return events

    def end(self) -> list[Event]:
        """Give the event the stream ended in, if it ended in one."""
        events: list[Event] = []
        if self._start:
            self._keep(self._start)
            self._start = None
        if self._tail:
            line = b"".join(self._tail)
            self._tail, self._tail_size = [], 0
            self._take(line, events)
        self._take(b"", events)
        return events

    def _skip_bom(self, block: bytes) -> bytes:
        start = (self._start or b"") + block
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(_BOM)

    def _keep(self, piece: bytes) -> None:
        self._tail_size += len(piece)
        if self._tail_size > self._limit:
            raise OversizedEventError(f"a line of the stream is longer than {self._limit} bytes")
        self._tail.append(piece)

    def _take(self, line: bytes, events: list[Event]) -> None:
        if not line:
            if self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                events.append(Event(data, self._name))
                self._data, self._data_size = [], 0
            self._name = b""
        elif line.startswith(b"data:"):
            self._append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line == b"data":
            self._append(b"")
        elif line.startswith(b"event:"):
            self._name = line[6:].removeprefix(b" ")

    def _append(self, value: bytes) -> None:
        self._data_size += len(value) + 1
        if self._data_size > self._limit:
            raise OversizedEventError(f"an event of the stream is longer than {self._limit} bytes")
        self._data.append(value)
