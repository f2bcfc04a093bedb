"""Which files have been checked: so that a gigabyte is hashed once and not at every start."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

from llamafarm.errors import ModelFileError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Checks"]

_BLOCK = 4 << 20


class Checks:
    """Notes on files, each worth something only while the file's size and time of change stay as they were."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def require(self, path: Path, sha256: str, name: str) -> None:
        """Raise `ModelFileError` where the file has another hash; hash it only if no valid note says so."""
        if self._read(path).get("sha256") == sha256:
            return
        got = _hash(path)
        if got != sha256:
            raise ModelFileError(
                f"model {name!r}: {path} is damaged or another file: its sha256 is {got}, expected is {sha256}; "
                f"run `llamafarm pull {name}`"
            )
        self.note(path, sha256)

    def holds(self, path: Path, *, proven: bool) -> bool:
        """Tell whether there is a valid note; with `proven`, one that the engine could load it."""
        note = self._read(path)
        return bool(note) and (not proven or note.get("proven") is True)

    def note(self, path: Path, sha256: str | None, *, proven: bool = False) -> None:
        """Write a note, adding to a valid one. A folder that cannot be written only costs the check next time."""
        old = self._read(path)
        note = {**_identity(path), "sha256": sha256 or old.get("sha256"), "proven": proven or old.get("proven") is True}
        target = self._place(path)
        temporary = target.with_name(f"{target.name}.{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(note), encoding="utf-8")
            temporary.replace(target)
        except OSError:
            temporary.unlink(missing_ok=True)

    def _read(self, path: Path) -> dict[str, object]:
        try:
            note = json.loads(self._place(path).read_text(encoding="utf-8"))
            identity = _identity(path)
        except (OSError, ValueError, RecursionError):
            return {}
        return note if isinstance(note, dict) and note.items() >= identity.items() else {}

    def _place(self, path: Path) -> Path:
        return self._folder / (hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:32] + ".json")


def _identity(path: Path) -> dict[str, object]:
    status = path.stat()
    return {"path": str(path), "size": status.st_size, "changed": status.st_mtime_ns}


def _hash(path: Path) -> str:
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                hasher.update(block)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    return hasher.hexdigest()
