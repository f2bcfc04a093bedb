"""Keeps a batch's output: one line for each input line, whole or not there, whenever the program is stopped."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import msgspec

from llamafarm.cli.printing import document, encoded
from llamafarm.errors import ConfigError, ResourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["AnswerFile", "Answers", "Printed"]

_BEGIN = b'{"index":'
_FAILED, _ANSWERED = 1, 2
_MOST_LINES = 1 << 27
"""An index beyond this is not one of ours: it would only take memory."""


class _Past(msgspec.Struct):
    """What is read of an answer that is there."""

    index: int
    hash: str
    error: Any = None


class Answers(Protocol):
    """Where answers go."""

    def add(self, record: dict[str, Any]) -> None:
        """Write a line's answer; once it returns, the line is whole."""


class Printed:
    """Answers on stdout."""

    def add(self, record: dict[str, Any]) -> None:
        """Print it."""
        document(record)


class AnswerFile:
    """Answers in a file that is gone on with where it already has some.

    It is locked while it is open, where the system can; a second batch on it is refused.
    """

    def __init__(self, given: str) -> None:
        """Open the file and read what is answered; a half-written last line is cut off.

        Raises ConfigError where it holds something else, ResourceError where it can't be opened.
        """
        self.name = given
        self.repaired = False
        self._path = Path(given).resolve()
        self._hashes = array("Q")
        self._states = bytearray()
        self._descriptor = self._open(self._path, os.O_CREAT)
        self._is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        if self._is_file:
            self._lock(self._descriptor)
            self._read()

    # What is there

    def fingerprint(self, index: int) -> int:
        """Give the fingerprint that the answer at `index` was made for; 0 where there is none."""
        return self._hashes[index] if index < len(self._hashes) else 0

    def is_failed(self, index: int) -> bool:
        """Tell whether what is there at `index` is a failure."""
        return index < len(self._states) and self._states[index] == _FAILED

    @property
    def counts(self) -> tuple[int, int]:
        """How many are answered and how many failed."""
        return self._states.count(_ANSWERED), self._states.count(_FAILED)

    @property
    def last(self) -> int:
        """The highest index there is, -1 where there is none."""
        return len(self._states.rstrip(b"\0")) - 1

    def _read(self) -> None:
        for number, (offset, content) in enumerate(self._lines(), 1):
            if not content.endswith(b"\n"):
                if not (content.startswith(_BEGIN) or _BEGIN.startswith(content)):
                    raise self._foreign(number)
                os.ftruncate(self._descriptor, offset)
                self.repaired = True
                return
            past = self._past(content, number)
            self._mark(past.index, int(past.hash, 16), _ANSWERED if past.error is None else _FAILED)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Give each line there is with its offset."""
        offset = 0
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            for content in file:
                yield offset, content
                offset += len(content)

    def _past(self, content: bytes, number: int) -> _Past:
        try:
            past = msgspec.json.decode(content, type=_Past)
            known = 0 <= past.index < _MOST_LINES and 0 < int(past.hash, 16) < 1 << 64
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise self._foreign(number) from None
        if not known:
            raise self._foreign(number)
        return past

    def _foreign(self, number: int) -> ConfigError:
        return ConfigError(
            f"{self.name}:{number}: not an answer of `llamafarm batch`: give a file of its own to --out,"
            " or one to go on with"
        )

    def _mark(self, index: int, fingerprint: int, state: int) -> None:
        missing = index + 1 - len(self._states)
        if missing > 0:
            self._states.extend(bytes(missing))
            self._hashes.frombytes(bytes(missing * self._hashes.itemsize))
        self._hashes[index], self._states[index] = fingerprint, state

    # What is added and taken away

    def add(self, record: dict[str, Any]) -> None:
        """Append a line; raises ResourceError where the disk does not take it, and then leaves no half of it."""
        before = os.fstat(self._descriptor).st_size
        try:
            _write_all(self._descriptor, encoded(record) + b"\n")
        except OSError as error:
            if self._is_file:
                os.ftruncate(self._descriptor, before)
            raise self._full(error) from error

    def drop(self, unwanted: Callable[[int], bool]) -> None:
        """Take out the lines of some indices: the file is written anew beside itself and then replaced."""
        try:
            anew = self._without(unwanted)
        except OSError as error:
            raise self._full(error) from error
        os.close(self._descriptor)
        self._descriptor = anew
        for index in range(len(self._states)):
            if self._states[index] and unwanted(index):
                self._hashes[index] = self._states[index] = 0

    def _without(self, unwanted: Callable[[int], bool]) -> int:
        """Put a file without some lines in the place of this one, and give its descriptor. Raises OSError."""
        made, name = tempfile.mkstemp(dir=self._path.parent, prefix=".llamafarm-", suffix=".tmp")
        os.close(made)  # a descriptor that appends is wanted
        beside = Path(name)
        try:
            anew = self._open(beside, 0)
            self._lock(anew)
            beside.chmod(stat.S_IMODE(os.fstat(self._descriptor).st_mode))
            for number, (_, content) in enumerate(self._lines(), 1):
                if not unwanted(self._past(content, number).index):
                    _write_all(anew, content)
            os.fsync(anew)
            beside.replace(self._path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        return anew

    def _full(self, error: OSError) -> ResourceError:
        return ResourceError(
            f"{self.name}: {error.strerror or error}: mend that and run the same command again to go on"
        )

    def _open(self, path: Path, flags: int) -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0) | flags, 0o666)
        except OSError as error:
            raise ResourceError(f"{self.name}: {error.strerror or error}") from error

    def _lock(self, descriptor: int) -> None:
        if os.name == "nt":
            return
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{self.name}: another `llamafarm batch` is writing it") from None
        except OSError as error:  # a file system without locks
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise

    def close(self) -> None:
        """Have the system put everything on the disk, and let go of the file."""
        try:
            if self._is_file:
                os.fsync(self._descriptor)
        except OSError as error:
            raise self._full(error) from error
        finally:
            os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
