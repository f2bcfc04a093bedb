"""Cuts a stream of JSON lines into events, whatever pieces its bytes come in. Does no I/O."""

from __future__ import annotations

from llamafarm.transport.sse import LINE_LIMIT, Event, OversizedEventError

__all__ = ["NDJSONParser"]


class NDJSONParser:
    """An incremental parser of newline-delimited JSON: each line that is not blank is an event without a name."""

    __slots__ = ("_limit", "_size", "_tail")

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._tail: list[bytes] = []  # pieces of a line whose end has not come
        self._size = 0

    def feed(self, block: bytes) -> list[Event]:
        """Take the next bytes and give the events they complete. Raises `OversizedEventError`."""
        first, *rest = block.split(b"\n")
        self._keep(first)
        if not rest:
            return []
        lines = [self._line(), *rest[:-1]]
        self._keep(rest[-1])
        return [Event(line) for line in map(bytes.strip, lines) if line]

    def end(self) -> list[Event]:
        """Give the line the stream ended in, where its line feed never came. May be called twice."""
        line = self._line().strip()
        return [Event(line)] if line else []

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise OversizedEventError(f"a line of the stream is longer than {self._limit} bytes")
        if piece:
            self._tail.append(piece)

    def _line(self) -> bytes:
        line = b"".join(self._tail)
        self._tail, self._size = [], 0
        return line
