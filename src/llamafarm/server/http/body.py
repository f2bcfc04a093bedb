"""Where a request's body ends, and what is in it."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Protocol

from llamafarm.server.http.head import RejectedError

__all__ = ["Body", "ChunkedBody", "SizedBody"]

_SIZE_LINE_BYTES = 256
"""A chunk's size with its extensions, which nobody uses."""
_TRAILER_BYTES = 8 * 1024
"""All trailers together; they are dropped."""
_SMALL_CHUNKS = 4096
_FAIR_CHUNK_BYTES = 64
"""So many chunks may be as small as they like; beyond, they hold this many bytes on average, or only cost time."""
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t -~]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


class Body(Protocol):
    """A body on its way in."""

    content: bytearray

    def feed(self, data: bytes, start: int) -> int:
        """Take from `data` what belongs to the body; give where it ends, or -1 while it does not.

        Raises `RejectedError`.
        """


class SizedBody:
    """A body whose length is known."""

    __slots__ = ("_length", "content")

    def __init__(self, length: int) -> None:
        self._length = length
        self.content = bytearray()

    def feed(self, data: bytes, start: int) -> int:
        """See `Body`."""
        stop = start + self._length - len(self.content)
        self.content += data[start:stop] if start or stop < len(data) else data
        return stop if stop <= len(data) else -1


class _Part(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()


class ChunkedBody:
    """A body in chunks (RFC 9112, 7.1), each line of which ends in CRLF and nothing else."""

    __slots__ = ("_chunks", "_left", "_line", "_most", "_part", "_trailers", "content")

    def __init__(self, most: int) -> None:
        self._most = most
        self._part = _Part.SIZE
        self._left = 0
        self._chunks = 0
        self._line = b""
        self._trailers = 0
        self.content = bytearray()

    def feed(self, data: bytes, start: int) -> int:
        """See `Body`."""
        at = start
        while at < len(data):
            if self._part is _Part.DATA:
                piece = data[at : at + self._left]
                self.content += piece
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._part = _Part.DATA_END
                continue
            newline = data.find(b"\n", at)
            stop = newline + 1 if newline >= 0 else len(data)
            self._line += data[at : min(stop, at + _TRAILER_BYTES + 1)]
            at = stop
            if len(self._line) > _TRAILER_BYTES:
                raise self._endless()
            if newline < 0:
                self._check_unfinished()
                return -1
            if not self._line.endswith(b"\r\n"):
                raise RejectedError(400, "a chunk of the body is malformed")
            line, self._line = self._line[:-2], b""
            if self._take(line):
                return at
        return -1

    def _check_unfinished(self) -> None:
        """Refuse a line that can no more become right, and one that does not end."""
        line = self._line
        body, last = line[:-1], line[-1:]
        if b"\r" in body or (self._part is _Part.DATA_END and line not in {b"", b"\r"}):
            raise RejectedError(400, "a chunk of the body is malformed")
        if self._part is _Part.SIZE:
            size = body if last == b"\r" else line
            if len(line) > _SIZE_LINE_BYTES or (size and not _SIZE_LINE.fullmatch(size.rstrip(b" \t"))):
                raise RejectedError(400, "a chunk's size is malformed")
        elif self._trailers + len(line) > _TRAILER_BYTES:
            raise self._endless()

    def _take(self, line: bytes) -> bool:
        """Act on one line without its end; give whether the body ends with it."""
        if self._part is _Part.SIZE:
            size = _SIZE_LINE.fullmatch(line)
            if size is None or len(line) > _SIZE_LINE_BYTES:
                raise RejectedError(400, "a chunk's size is malformed")
            self._left = int(size[1], 16)
            if len(self.content) + self._left > self._most:
                raise RejectedError(413, f"the body is longer than {self._most} bytes")
            self._chunks += 1
            if self._chunks > _SMALL_CHUNKS + len(self.content) // _FAIR_CHUNK_BYTES:
                raise RejectedError(400, "the body comes in too many small chunks")
            self._part = _Part.DATA if self._left else _Part.TRAILER
            return False
        if self._part is _Part.DATA_END:
            if line:
                raise RejectedError(400, "a chunk is longer than its size says")
            self._part = _Part.SIZE
            return False
        if not line:
            return True
        self._trailers += len(line)
        if self._trailers > _TRAILER_BYTES:
            raise self._endless()
        if not _TRAILER.fullmatch(line):
            raise RejectedError(400, "a trailer of the body is malformed")
        return False

    def _endless(self) -> RejectedError:
        if self._part is _Part.TRAILER:
            return RejectedError(431, f"the body's trailers are longer than {_TRAILER_BYTES} bytes")
        return RejectedError(400, "a chunk of the body is malformed")
