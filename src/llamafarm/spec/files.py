"""Which files may be read: regular ones, and of pipes those that the shell has handed over; nothing that can hang."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["read_bytes"]

_HANDED_OVER = ("/dev/fd/", "/proc/self/fd/")
_PIECE = 1 << 20
_OPENING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def read_bytes(path: Path, most: int, *, or_pipe: bool = False) -> bytes:
    """Read a regular file, or its first `most` bytes. Raises OSError, also for a folder, a device or a named pipe.

    With `or_pipe` a pipe this process was started with, like `/dev/stdin`, is read to its end.
    """
    pipe_allowed = or_pipe and (str(path) == "/dev/stdin" or str(path).startswith(_HANDED_OVER))
    _check(
        path.stat().st_mode, pipe_allowed=pipe_allowed
    )  # before it is opened: opening alone can do things to a device
    descriptor = os.open(path, _OPENING)
    try:
        mode = os.fstat(descriptor).st_mode
        _check(mode, pipe_allowed=pipe_allowed)
        if stat.S_ISFIFO(mode):
            os.set_blocking(descriptor, True)
        return _read(descriptor, most)
    finally:
        os.close(descriptor)


def _read(descriptor: int, most: int) -> bytes:
    content = bytearray()
    while len(content) < most and (piece := os.read(descriptor, min(most - len(content), _PIECE))):
        content += piece
    return bytes(content)


def _check(mode: int, *, pipe_allowed: bool) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not (stat.S_ISREG(mode) or (pipe_allowed and stat.S_ISFIFO(mode))):
        raise OSError(errno.EINVAL, "it is not a regular file")
