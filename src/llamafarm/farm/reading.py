"""Reads a file that a user named: a regular one, and no more of it than makes sense."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_file"]

_PATIENT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""Opening a pipe must not wait for somebody to write into it."""


def read_file(path: str | Path, most: int) -> bytes:
    """Give a file's content, of at most `most` bytes. Raises ValueError, with the reason, where that is not possible.

    Pipes and devices are refused: they can stay silent, or never end.
    """
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _PATIENT)) as file:
            is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            content: bytes | None = file.read(most + 1) if is_regular else b""
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    except ValueError:  # Python's own words for it name no file
        raise ValueError("no file has such a name: there is a NUL in it, or half a character") from None
    if not is_regular:
        raise ValueError("not a regular file: a pipe or a device is not read")
    if content is None:  # a device in disguise, as some under /proc are: it has nothing just now
        raise ValueError("not a regular file, though it claims to be one: nothing could be read at once")
    if len(content) > most:
        raise ValueError(f"it has more than the {most >> 20} MB that are taken")
    return content
