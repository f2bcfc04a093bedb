"""One file over HTTP: resumed where it broke off, in this run or the next, and never mixed from two versions."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from dataclasses import dataclass
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from llamafarm.models.files import check_room, off_loop, write_failure
from llamafarm.models.network import headers_for, proxy_for
from llamafarm.models.patience import Patience, SourceFailedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import aiohttp

__all__ = ["Download", "download"]

_BUFFER = 1 << 20
_RANGE = re.compile(r"bytes (?:(?P<start>\d+)-\d+|\*)/(?P<total>\d+|\*)")
_AGAIN = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_NEVER_REACHED = 2  # tries where no connection stands at all: without a network more only make people wait


@dataclass(frozen=True, slots=True)
class Download:
    """What is fetched, and where to."""

    url: str
    part: Path
    """The partial file; what it holds is kept when the download fails, and belongs to `url`."""
    hashed: bool
    """Whether a hash will judge the result: then a part without a validator may be resumed, too."""
    size: int | None = None
    """Bytes it must have, where known."""
    room: int = 0
    """Bytes the disk must have left once it is here."""

    @property
    def note(self) -> Path:
        """The file beside the part that says what it is a part of."""
        return self.part.with_name(self.part.name + ".json")


class _BrokenError(Exception):
    """This try failed and another may not."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


async def download(
    session: aiohttp.ClientSession, job: Download, report: Callable[[int, int | None], None], patience: Patience
) -> None:
    """Fetch a file into `job.part`, again and again while the connection breaks and each try may bring more.

    Raises `SourceFailedError` where this place does not give it, `DownloadError` where the disk cannot take it.
    """
    import aiohttp

    failures = 0
    host = urlsplit(job.url).hostname or "?"
    while True:
        before = _size(job.part)
        most, pause = patience.tries, 0.0
        try:
            await _try(session, job, report)
        except aiohttp.ClientConnectorCertificateError as error:
            raise SourceFailedError(
                f"the certificate of {host} is not trusted ({error.certificate_error}): where your network has its own "
                "root certificates, set SSL_CERT_FILE to them"
            ) from error
        except aiohttp.ClientConnectorError as error:
            most = min(most, _NEVER_REACHED)
            reason = (
                f"{host} cannot be reached ({error.os_error.strerror or error}): is there a network, or a proxy to set"
            )
        except TimeoutError:
            reason = f"{host} went silent"
        except (aiohttp.InvalidURL, aiohttp.TooManyRedirects) as error:
            raise SourceFailedError(f"{host} gives no usable address: {type(error).__name__}") from error
        except aiohttp.ClientError as error:
            reason = f"the connection to {host} broke ({type(error).__name__})"
        except _BrokenError as error:
            reason, pause = str(error), error.pause
        else:
            return
        failures = 1 if _size(job.part) > before else failures + 1
        if failures >= most:
            raise SourceFailedError(f"{reason} (gave up after {failures} tries)")
        await asyncio.sleep(max(pause, min(patience.pause * 2 ** (failures - 1), patience.longest_pause)))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


async def _try(session: aiohttp.ClientSession, job: Download, report: Callable[[int, int | None], None]) -> None:
    headers = headers_for(job.url)
    offset = _resumable(job, headers)
    async with session.get(job.url, headers=headers, proxy=proxy_for(job.url)) as response:
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            _at_end(job, response.headers.get("Content-Range", ""))
            return
        start, total = _begin(job, response, offset, headers.get("If-Range"))
        try:
            check_room(job.part.parent, job.room + (total - start if total is not None else 0))
            job.note.write_text(json.dumps(_validators(job, response)), encoding="utf-8")
            file = job.part.open("r+b" if start else "wb")
        except OSError as error:
            raise write_failure(error, job.part) from error
        with file:
            file.seek(start)
            file.truncate()
            done = await _write(response, file, job.part, lambda count: report(start + count, total))
    if total is not None and start + done != total:
        raise _BrokenError(f"the file ended after {start + done} of {total} bytes")


def _resumable(job: Download, headers: dict[str, str]) -> int:
    """Add the headers that ask for the rest of a part; give where it starts, 0 for all of it."""
    offset = _size(job.part)
    if not offset:
        return 0
    try:
        note = json.loads(job.note.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        note = {}
    if not isinstance(note, dict) or note.get("url") != _digest(job.url):
        return 0
    validator = note.get("validator")
    if isinstance(validator, str) and validator:
        headers["If-Range"] = validator
    elif not job.hashed:
        return 0
    headers["Range"] = f"bytes={offset}-"
    return offset


def _digest(url: str) -> str:
    """Write an address as its hash: credentials or a signature may stand in it."""
    return hashlib.sha256(url.encode()).hexdigest()


def _validators(job: Download, response: aiohttp.ClientResponse) -> dict[str, str]:
    tag = response.headers.get("ETag", "")
    # Only a strong tag may stand in If-Range (RFC 9110, 13.1.5).
    validator = response.headers.get("Last-Modified", "") if tag[:2] in ("", "W/") else tag
    return {"url": _digest(job.url), "validator": validator}


def _begin(job: Download, response: aiohttp.ClientResponse, offset: int, asked: str | None) -> tuple[int, int | None]:
    """Tell at which byte the answer's body starts and how long the whole file is.

    `asked` is the validator of what was fetched earlier: the rest of another version is never put behind it.
    """
    if response.status in _AGAIN:
        pause = response.headers.get("Retry-After", "")
        raise _BrokenError(_refusal(response), min(float(pause), 60.0) if pause.isdigit() else 0.0)
    if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise SourceFailedError(_refusal(response))
    start, total = 0, response.content_length
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or match["start"] is None or int(match["start"]) != offset:
            job.part.unlink(missing_ok=True)
            raise _BrokenError(f"{response.url.host} sent another part of the file than it was asked for")
        if asked is not None and _validators(job, response)["validator"] not in ("", asked):
            job.part.unlink(missing_ok=True)  # a server that takes no notice of If-Range
            raise _BrokenError(f"the file at {response.url.host} has changed since its first part was fetched")
        start, total = offset, None if match["total"] == "*" else int(match["total"])
    if job.size is not None and total is not None and total != job.size:
        raise SourceFailedError(f"the file there has {total} bytes, expected are {job.size}")
    return start, total


def _at_end(job: Download, content_range: str) -> None:
    """Judge a refused range: the part is the whole file, or is of no use."""
    match = _RANGE.fullmatch(content_range)
    if match is None or match["total"] != str(_size(job.part)):
        job.part.unlink(missing_ok=True)
        raise _BrokenError("the part that was fetched earlier no longer fits the file there")


async def _write(response: aiohttp.ClientResponse, file: BinaryIO, path: Path, report: Callable[[int], None]) -> int:
    """Write the body; what has arrived when it breaks is written, too."""
    buffer = bytearray()
    done = 0

    def flush() -> None:
        try:
            file.write(buffer)
            file.flush()
        except OSError as error:
            raise write_failure(error, path) from error
        buffer.clear()

    try:
        async for block in response.content.iter_any():
            buffer += block
            done += len(block)
            if len(buffer) >= _BUFFER:
                await off_loop(flush)
            report(done)
    finally:
        flush()
    await off_loop(lambda: os.fsync(file.fileno()))
    return done


def _refusal(response: aiohttp.ClientResponse) -> str:
    host, status = response.url.host, response.status
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return (
            f"{host} refused ({status}): the file is private, gated or unknown there; for a hub set HF_TOKEN to a "
            "token that may read it, for an index put its credentials in ~/.netrc"
        )
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return f"{host} has no such file ({status}): check the name, the path and the revision"
    # Not the reason it gives: that is the server's own text, and may hold what a terminal would obey.
    return f"{host} answered {status} {responses.get(status, '')}".rstrip()
