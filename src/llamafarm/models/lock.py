"""One process at a time: a lock on a file that the system releases when its holder dies, however it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING

from llamafarm.models.files import write_failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

__all__ = ["lock_now", "locked", "unlock"]

_POLL = 0.1  # seconds; neither system can wait for such a lock without blocking a thread

if sys.platform == "win32":
    import msvcrt

    def _try(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_now(path: Path) -> int:
    """Take the lock and give what `unlock` releases. Raises BlockingIOError where somebody else has it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise write_failure(error, path) from error
    try:
        _try(descriptor)
    except OSError as error:
        os.close(descriptor)
        raise BlockingIOError(error.errno, "locked by another process", str(path)) from error
    return descriptor


def unlock(descriptor: int) -> None:
    """Release the lock."""
    os.close(descriptor)


@contextlib.asynccontextmanager
async def locked(path: Path, waiting: Callable[[], None]) -> AsyncIterator[None]:
    """Hold the lock; while somebody else has it, `waiting` is called again and again."""
    while True:
        try:
            descriptor = lock_now(path)
            break
        except BlockingIOError:
            waiting()
            await asyncio.sleep(_POLL)
    try:
        yield
    finally:
        unlock(descriptor)
