"""What a text must look like beyond being text: addresses, paths, sizes, zones, versions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from llamafarm.home import expanded
from llamafarm.spec.sizes import parse_bytes

__all__ = ["FORMATS", "MOST_BYTES", "Format", "Most", "Unit", "formatted", "is_local_address", "is_loopback"]

MOST_BYTES = 10**15
"""A thousand terabytes: more is a slip."""
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_SOURCES = ("hf", "pypi", "https", "file")
_LOOPBACK = re.compile(r"localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1")
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*(%\w+)?")


@dataclass(frozen=True, slots=True)
class Format:
    """Marks a field's text as one of `FORMATS`."""

    name: str


@dataclass(frozen=True, slots=True)
class Unit:
    """Says what a field's number counts, in words for a message."""

    name: str


@dataclass(frozen=True, slots=True)
class Most:
    """Bounds a field's number, either way, far above any that is meant.

    More is a slip, and may be more than a clock, a pool or a counter of 64 bits can take.
    """

    value: int


@dataclass(frozen=True, slots=True)
class Rule:
    """What a format asks for."""

    expected: str
    """In words, for a message."""
    accepts: Callable[[str], bool]
    placed: Callable[[str, Path], str] | None = None
    """What becomes of a relative path in it."""
    pattern: str = r"\S"
    """As much of the check as a JSON Schema can say."""


def formatted(text: str, rule: Rule, folder: Path) -> str:
    """Give the text with relative paths put under `folder`. Raises ValueError with what was expected."""
    if not rule.accepts(text):
        raise ValueError(rule.expected)
    return text if rule.placed is None else rule.placed(text, folder)


def is_local_address(url: str) -> bool:
    """Tell whether an address stays on this machine by its text alone: loopback, ``localhost``, a socket or a file."""
    parts = urlsplit(url)
    if parts.scheme in ("unix", "sqlite", "file"):
        return True
    return is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or address (no brackets, no port) is this machine's own by its text alone."""
    return _LOOPBACK.fullmatch(host.lower()) is not None


def _has_host(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    blank = any(character.isspace() for character in text)
    return parts.scheme in schemes and bool(parts.hostname) and port != 0 and not blank


def _is_endpoint(text: str) -> bool:
    return _is_http(text) or (text.startswith("unix:") and "/" in text)


def _is_http(text: str) -> bool:
    return _has_host(text, "http", "https")


def _is_host(text: str) -> bool:
    return _HOST_NAME.fullmatch(text) is not None


def _is_version(text: str) -> bool:
    return _VERSION.fullmatch(text) is not None


def _is_sha256(text: str) -> bool:
    return _SHA256.fullmatch(text) is not None


def _is_store(text: str) -> bool:
    return re.fullmatch(r"sqlite:///[^/].*|sqlite:////.+", text) is not None or _has_host(text, "redis", "rediss")


def _is_zone(text: str) -> bool:
    # ZoneInfo opens a file: a name with NULs, a path upwards or a folder's name fails in ways of their own.
    try:
        ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        return False
    return True


def _is_size(text: str) -> bool:
    try:
        return 0 < parse_bytes(text) <= MOST_BYTES
    except ValueError:
        return False


def _is_source(text: str) -> bool:
    scheme = _SCHEME.match(text)
    return _is_text(text) and (scheme is None or (scheme[1].lower() in _SOURCES and len(text) > scheme.end()))


def _is_text(text: str) -> bool:
    return bool(text.strip())


def _under(text: str, folder: Path) -> str:
    if text.startswith("~"):
        try:
            return str(expanded(text))
        except ValueError as error:
            raise ValueError(f"a path ({error})") from None
    return str(Path(text) if Path(text).is_absolute() else folder / text)


def _program(text: str, folder: Path) -> str:
    # A bare word is a command to be found on the path.
    return _under(text, folder) if "/" in text or "\\" in text or text.startswith("~") else text


def _source(text: str, folder: Path) -> str:
    scheme = _SCHEME.match(text)
    if scheme is None:
        return _under(text, folder)
    if scheme[1].lower() != "file":
        return text
    return "file:" + _under(text[len("file:") :].removeprefix("//"), folder)


def _model(text: str, folder: Path) -> str:
    is_path = text.startswith(("./", "../", "~/")) or text.endswith(".gguf")
    return _under(text, folder) if is_path else text


_HOST = r"://[^\s/?#]+[^\s]*$"
FORMATS: dict[str, Rule] = {
    "endpoint": Rule(
        "an address like https://host/v1 or unix:/path", _is_endpoint, pattern=rf"^https?{_HOST}|^unix:.*/"
    ),
    "http": Rule("an http:// or https:// address with a host", _is_http, pattern=rf"^https?{_HOST}"),
    "host": Rule("a host's name or address, without a port", _is_host, pattern=f"^({_HOST_NAME.pattern})$"),
    "store": Rule("sqlite:///file or redis://host", _is_store, pattern=rf"^sqlite:///.|^rediss?{_HOST}"),
    "version": Rule("a semantic version like 2.0.0", _is_version, pattern=f"^({_VERSION.pattern})$"),
    "vendor": Rule("a vendor's name like openai, or custom", _is_text),
    "zone": Rule("the name of a time zone like Europe/Berlin", _is_zone),
    "sha256": Rule("64 hexadecimal digits", _is_sha256, pattern=f"^{_SHA256.pattern}$"),
    "size": Rule("a size like 256 MB", _is_size, pattern=r"^\s*\d+(\.\d+)?\s*([kKmMgGtT][iI]?)?[bB]?\s*$"),
    "glob": Rule("a name or a pattern like gpt-4*", _is_text),
    "condition": Rule("a condition like input.length > 2000", _is_text),
    "path": Rule("a path", _is_text, _under),
    "program": Rule("a program's name or path", _is_text, _program),
    "source": Rule(
        "hf:, pypi:, https:, file: or a path",
        _is_source,
        _source,
        r"^(hf|pypi|https|file):.|^(?![A-Za-z][A-Za-z0-9+.-]+:).*\S",
    ),
    "model": Rule("a model's name or the path of a GGUF file", _is_text, _model),
}
"""Every format a field can be marked with."""
