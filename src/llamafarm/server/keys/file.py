"""The file of gateway keys: where it is, reading it, changing it, noticing a change; what a damaged one means."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from llamafarm.errors import ConfigError, DownloadError, ResourceError
from llamafarm.home import home
from llamafarm.server.keys.key import Key, Keys
from llamafarm.spec.files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llamafarm.spec.strategy import ServerSettings

__all__ = ["KeyFile", "change_keys", "keys_file", "load_keys"]

_log = logging.getLogger(__name__)
_LARGEST = 64 << 20
"""Bytes; a hundred thousand keys fit in a third of it."""
_CHANGED_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LOCK_PATIENCE = 10.0
"""Seconds; who holds the lock needs milliseconds."""
_LOCK_POLL = 0.05

Signature = tuple[int, int, int, int]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: Literal[1]
    keys: list[Key]


def keys_file(settings: ServerSettings) -> Path:
    """Give the path of the file that a strategy file's `server` means: `keys`, else `keys.json` in the home folder."""
    return Path(settings.keys) if settings.keys is not None else home() / "keys.json"


def load_keys(path: Path) -> Keys:
    """Read the keys of a file. Where there is no file, there are none, and none is required.

    Raises ConfigError for a file that cannot be read, is damaged, or that others may write: anybody could then add a
    key of their own. One that others may only read is no danger, as hashes of random secrets give nothing away;
    `KeyFile` warns of it all the same, for the tenants' names are in it.
    """
    try:
        mode = path.stat().st_mode
        content = read_bytes(path, _LARGEST + 1)
    except FileNotFoundError:
        return Keys.of((), required=False)
    except (OSError, ValueError) as error:
        reason = (error.strerror or error) if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: the gateway's keys cannot be read: {reason}") from error
    if os.name == "posix" and mode & _CHANGED_BY_OTHERS:
        raise ConfigError(f"{path}: other users may write to the gateway's keys: `chmod 600 {path}`, and look through")
    return _decoded(content, path)


def _decoded(content: bytes, path: Path) -> Keys:
    if len(content) > _LARGEST:
        raise ConfigError(f"{path} has more than {_LARGEST >> 20} MiB: is it a file of gateway keys?")
    try:
        return Keys.of(msgspec.json.decode(content, type=_File).keys)
    except (ConfigError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{path}: the gateway's keys are damaged ({error}): put a copy back, or delete it and create keys anew"
        ) from error


def change_keys(path: Path, edit: Callable[[Keys], Keys]) -> Keys:
    """Read the keys, have `edit` give others, and write those; one process at a time. Gives what was written.

    The file is replaced as a whole: who reads meanwhile sees the old one or the new one. A new file is its owner's
    alone; one that exists keeps its owner and mode, for the gateway may run as another user. Raises ConfigError as
    `load_keys` does, and ResourceError where it cannot be written.
    """
    real = Path(os.path.realpath(path))  # a link stays one
    with _locked(real):
        keys = edit(load_keys(real))
        document = _File(version=1, keys=list(keys.by_digest.values()))
        content = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
        try:
            _replace(real, content)
        except OSError as error:
            raise _unwritten(real, error) from error
    return keys


def _unwritten(path: Path, error: object) -> ResourceError:
    reason = (error.strerror or error) if isinstance(error, OSError) else error
    return ResourceError(f"{path}: the gateway's keys cannot be written: {reason}")


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _keep_owner_and_mode(path, new)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name itself has to last, too
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _keep_owner_and_mode(old: Path, new: Path) -> None:
    if os.name != "posix" or not old.exists():
        return
    was, now = old.stat(), new.stat()
    if (was.st_uid, was.st_gid) != (now.st_uid, now.st_gid):
        with contextlib.suppress(PermissionError):  # only the superuser can; the mode then still lets the group in
            os.chown(new, was.st_uid, was.st_gid)
    new.chmod(stat.S_IMODE(was.st_mode))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock beside a file. Raises ResourceError where another process does not let go of it."""
    from llamafarm.models.lock import lock_now, unlock  # which is slow to import, and only needed to change the file

    lock = path.with_name(f"{path.name}.lock")
    until = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            descriptor = lock_now(lock)
            break
        except BlockingIOError:
            if time.monotonic() > until:
                raise ResourceError(f"{lock}: another process has held the gateway's keys for too long") from None
            time.sleep(_LOCK_POLL)
        except DownloadError as error:  # as it puts every failure to write
            raise _unwritten(path, error.__cause__) from error
    try:
        yield
    finally:
        unlock(descriptor)


class KeyFile:
    """The keys of a running gateway. Whatever becomes of the file, it never opens a gateway that was closed."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises ConfigError as `load_keys` does."""
        self.path = path
        self._signature = _signature(path)
        self.keys = load_keys(path)
        """Those that count now."""
        self._warn()

    def reload_if_changed(self) -> bool:
        """Read the file again if it is another one by its `stat`, and tell whether other keys count now.

        Costs some microseconds where nothing changed. Raises nothing: of a file that cannot be read or is damaged the
        log tells, and the keys read last still count. Where it is gone, no key counts.
        """
        signature = _signature(self.path)
        if signature == self._signature:
            return False
        self._signature = signature
        try:
            keys = load_keys(self.path)
        except ConfigError as error:
            _log.error("%s; the keys that were read before still count", error)
            # Even where there were none: who put a file there does not want a gateway without keys.
            keys = Keys(self.keys.by_digest, required=True)
        if self.keys.required and not keys.required:
            _log.error("%s is gone: nobody is let in until `llamafarm keys create` has made a key", self.path)
            keys = Keys.of(())
        changed = keys != self.keys
        self.keys = keys
        self._warn()
        return changed

    def _warn(self) -> None:
        with contextlib.suppress(OSError):
            if os.name == "posix" and self.path.stat().st_mode & stat.S_IROTH:
                _log.warning("%s: every user of this machine can read who has keys: `chmod o-r %s`", *[self.path] * 2)


def _signature(path: Path) -> Signature | str:
    """Give what another file, or other content, would have other; of one that cannot be looked at, why."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        return str(error)
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
