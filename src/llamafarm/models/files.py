"""Large files off the event loop: hashing, copying, room on the disk, and what a full disk means."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
from typing import IO, TYPE_CHECKING, BinaryIO, TypeVar

from llamafarm.errors import DownloadError, ModelFileError
from llamafarm.models.gguf import MAGIC

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["check_kind", "check_room", "copy", "delete", "digest", "megabytes", "off_loop", "size_of", "write_failure"]

_STEP = 4 << 20
_START = 16
_MAX_SAFETENSORS_HEADER = 100 << 20  # the format's own limit
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
T = TypeVar("T")


async def off_loop(work: Callable[[], T]) -> T:
    """Run `work` in a thread. When cancelled, first wait for it: nobody may touch its file while it still writes."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def digest(path: Path, report: Callable[[int, int], None]) -> str:
    """Give a file's sha256 as hexadecimal digits; `report` hears the bytes read so far, and how many there are."""
    hasher = hashlib.sha256()

    def step() -> int:
        block = file.read(_STEP)
        hasher.update(block)
        return len(block)

    done, total = 0, size_of(path)
    with path.open("rb") as file:
        while count := await off_loop(step):
            done += count
            report(done, total)
    return hasher.hexdigest()


async def copy(source: IO[bytes], target: Path, report: Callable[[int], None], most: int | None = None) -> None:
    """Write `source` to the file `target`; more than `most` bytes are a `ModelFileError`."""

    def step() -> int:
        block = source.read(_STEP)
        try:
            file.write(block)
        except OSError as error:
            raise write_failure(error, target) from error
        return len(block)

    done = 0
    with target.open("wb") as file:
        while count := await off_loop(step):
            done += count
            if most is not None and done > most:
                raise ModelFileError(f"it is larger than the {megabytes(most)} it should have")
            report(done)
        await off_loop(lambda: _flush(file, target))


def _flush(file: BinaryIO, target: Path) -> None:
    try:
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise write_failure(error, target) from error


def size_of(path: Path) -> int:
    """Give a file's length in bytes."""
    return path.stat().st_size


def delete(path: Path) -> None:
    """Delete a file that may not be there."""
    path.unlink(missing_ok=True)


def check_room(folder: Path, needed: int) -> None:
    """Raise `DownloadError` where the disk has less room than `needed` bytes."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"not enough disk space in {folder}: {megabytes(needed)} needed, {megabytes(free)} free; "
            "make room, or set LLAMAFARM_HOME to a folder on another disk"
        )


def write_failure(error: OSError, path: Path) -> DownloadError:
    """Say why a file could not be written, and what to do."""
    if error.errno in _FULL:
        return DownloadError(
            f"no disk space left while writing {path}: make room and run it again (it goes on from there), "
            "or set LLAMAFARM_HOME to a folder on another disk"
        )
    return DownloadError(
        f"{path} cannot be written ({error.strerror or error}): set LLAMAFARM_HOME to a folder that can be"
    )


def check_kind(path: Path) -> None:
    """Raise `ModelFileError` where a file is neither GGUF nor safetensors, judging by how it begins."""
    try:
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    header = int.from_bytes(start[:8], "little")
    safetensors = start[8:9] == b"{" and header <= _MAX_SAFETENSORS_HEADER
    if not start.startswith(MAGIC) and not safetensors:
        what = f"it begins with {start!r}" if start else "it is empty"
        raise ModelFileError(f"{path} is neither a GGUF nor a safetensors file: {what}")


def megabytes(count: int) -> str:
    """Write a number of bytes for people, in steps of 1000."""
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.1f} MB"
