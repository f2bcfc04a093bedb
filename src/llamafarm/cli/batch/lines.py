"""Reads a batch's input line by line, never all of it at once."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal, Self

import click

from llamafarm.cli.prompts import stdin
from llamafarm.errors import BadCallError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

__all__ = ["Form", "Input", "Line"]

Form = Literal["txt", "jsonl"]

_LONGEST = 64 * 1024 * 1024
"""Bytes of a line; pictures of a vendor's largest size fit in."""
_AHEAD = 64
"""Lines read ahead from a pipe."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank."""

    index: int
    """Its place among the lines that are not blank, from 0."""
    number: int
    """Its place in the file, from 1."""
    content: bytes

    def text(self, name: str) -> str:
        """Give the line's text; raises BadCallError where it is not UTF-8."""
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            raise BadCallError(f"{name}:{self.number}: not UTF-8 text (byte {error.start + 1} of the line)") from error


class Input:
    """A batch's input: a file, which can be read twice, or a pipe, which cannot."""

    def __init__(self, given: str) -> None:
        """Open it. Raises UsageError where it can't be read, BadCallError where it is a closed standard input."""
        self.name = "standard input" if given == "-" else given
        if given == "-":
            stdin()  # where it is closed, its number may by now be some other file's
        try:
            # A descriptor of its own: closing it leaves stdin open for the interpreter's end.
            descriptor = os.dup(0) if given == "-" else os.open(given, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            self._file: BinaryIO = os.fdopen(descriptor, "rb")
            status = os.fstat(self._file.fileno())
        except OSError as error:
            raise click.UsageError(f"{self.name}: {error.strerror or error}") from error
        self.is_file = stat.S_ISREG(status.st_mode)
        self._start = self._file.tell() if self.is_file else 0
        self._identity = (status.st_dev, status.st_ino)

    def is_same(self, path: Path) -> bool:
        """Tell whether a path is this very file."""
        return path.exists() and (path.stat().st_dev, path.stat().st_ino) == self._identity

    def read(self) -> Iterator[Line]:
        """Read from the start; a pipe only once. Raises UsageError where that fails."""
        if self.is_file:
            self._file.seek(self._start)
        index = number = 0
        while True:
            try:
                content = self._file.readline(_LONGEST + 1)
            except OSError as error:
                raise click.UsageError(f"{self.name}: {error.strerror or error}") from error
            if not content:
                return
            number += 1
            if len(content) > _LONGEST:
                raise click.UsageError(f"{self.name}:{number}: the line is longer than {_LONGEST >> 20} MiB")
            content = content.removeprefix(b"\xef\xbb\xbf") if number == 1 else content
            content = content.strip()
            if content:
                yield Line(index, number, content)
                index += 1

    async def __aiter__(self) -> AsyncIterator[Line]:
        """Read without holding up the loop."""
        if self.is_file:
            for line in self.read():
                yield line
            return
        async for line in _from_pipe(self.read()):
            yield line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_file:  # a pipe's reading thread may still stand in it
            self._file.close()


async def _from_pipe(source: Iterator[Line]) -> AsyncIterator[Line]:
    """Read a pipe in a thread that is left behind when the reader goes: nothing can wake it but the pipe itself."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Line | click.UsageError | None] = asyncio.Queue(_AHEAD)

    def hand_over(item: Line | click.UsageError | None) -> None:
        asyncio.run_coroutine_threadsafe(arrived.put(item), loop).result()

    def read() -> None:
        try:
            for line in source:
                hand_over(line)
            hand_over(None)
        except click.UsageError as error:
            hand_over(error)
        except (RuntimeError, asyncio.CancelledError):  # the loop has ended: nobody listens any more
            return

    threading.Thread(target=read, name="batch input", daemon=True).start()
    while True:
        item = await arrived.get()
        if item is None:
            return
        if isinstance(item, click.UsageError):
            raise item
        yield item
