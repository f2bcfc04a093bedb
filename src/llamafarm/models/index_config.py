"""Which package indexes this user's pip and uv are set to: the same ones serve for models that come in wheels."""

from __future__ import annotations

import configparser
import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamafarm.home import expanded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Indexes", "user_indexes"]

_PYPI = "https://pypi.org/simple"
_SECTIONS = ("global", "install", "download")


@dataclass(frozen=True, slots=True)
class Indexes:
    """Where packages are looked for, in order."""

    urls: tuple[str, ...]
    """Simple indexes, each the folder of its project pages; ``file:`` is possible, and credentials in them."""
    folders: tuple[Path, ...] = ()
    """Plain folders of wheels (pip's `find-links`)."""


def user_indexes(environ: Mapping[str, str] | None = None, files: Iterable[Path] | None = None) -> Indexes:
    """Read pip's and uv's variables and configuration files as those programs do; PyPI where they say nothing.

    A default index of either replaces PyPI. Unreadable configuration files are passed over: they are not ours, and
    pip and uv complain about them.
    """
    env = os.environ if environ is None else environ
    pip: dict[str, str] = {}
    uv: dict[str, Any] = {}
    for path in _config_files(env) if files is None else files:
        if path.suffix == ".toml":
            uv |= _toml(path)
        else:
            pip |= _ini(path)
    for key in ("index-url", "extra-index-url", "find-links", "no-index"):
        value = env.get("PIP_" + key.upper().replace("-", "_"))
        if value is not None:
            pip[key] = value
    offline = pip.get("no-index", "").lower() in ("1", "true", "yes", "on")
    defaults = [env.get("UV_DEFAULT_INDEX"), env.get("UV_INDEX_URL"), pip.get("index-url"), *_uv_defaults(uv)]
    default = next((url for url in defaults if url), _PYPI)
    extras = [*_words(pip.get("extra-index-url")), *_words(env.get("UV_INDEX")), *_words(env.get("UV_EXTRA_INDEX_URL"))]
    urls = [] if offline else [default, *filter(None, defaults), *map(_unnamed, extras), *_uv_extras(uv)]
    unique = dict.fromkeys(_unnamed(url).rstrip("/") for url in urls)
    return Indexes(tuple(unique), tuple(_folders(_words(pip.get("find-links")))))


def _config_files(env: Mapping[str, str]) -> Iterator[Path]:
    """Give the files in the order in which later ones win."""
    try:
        home = expanded("~")
    except ValueError:  # then nothing of this user's own is there to be read; pip goes on in the same way
        home = Path("~")
    config_home = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
    if sys.platform == "win32":
        roaming = Path(env.get("APPDATA") or home)
        yield from (roaming / "uv" / "uv.toml", Path(env.get("PROGRAMDATA", "C:\\ProgramData")) / "pip" / "pip.ini")
        yield from (home / "pip" / "pip.ini", roaming / "pip" / "pip.ini", Path(sys.prefix) / "pip.ini")
    else:
        yield from (Path("/etc/uv/uv.toml"), config_home / "uv" / "uv.toml")
        yield from (Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"), home / ".pip" / "pip.conf")
        if sys.platform == "darwin":
            yield home / "Library" / "Application Support" / "pip" / "pip.conf"
        yield from (config_home / "pip" / "pip.conf", Path(sys.prefix) / "pip.conf")
    for variable in ("UV_CONFIG_FILE", "PIP_CONFIG_FILE"):
        if env.get(variable):
            yield Path(env[variable])


def _ini(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (OSError, configparser.Error, UnicodeDecodeError):
        return {}
    return {
        key.replace("_", "-"): value
        for section in _SECTIONS
        if parser.has_section(section)
        for key, value in parser.items(section)
    }


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


def _uv_tables(uv: Mapping[str, Any]) -> list[dict[str, Any]]:
    tables = uv.get("index")
    return (
        [row for row in tables if isinstance(row, dict) and isinstance(row.get("url"), str)]
        if isinstance(tables, list)
        else []
    )


def _uv_defaults(uv: Mapping[str, Any]) -> list[str]:
    named = [row["url"] for row in _uv_tables(uv) if row.get("default")]
    url = uv.get("index-url")
    return [*named, *([url] if isinstance(url, str) else [])]


def _uv_extras(uv: Mapping[str, Any]) -> list[str]:
    named = [row["url"] for row in _uv_tables(uv) if not row.get("default")]
    extra = uv.get("extra-index-url")
    return [*named, *([url for url in extra if isinstance(url, str)] if isinstance(extra, list) else [])]


def _words(text: str | None) -> list[str]:
    return (text or "").split()


def _unnamed(url: str) -> str:
    """Take off the name that uv allows in front: ``name=https://…``."""
    name, equals, rest = url.partition("=")
    return rest if equals and name.replace("-", "").replace("_", "").replace(".", "").isalnum() else url


def _folders(places: list[str]) -> Iterator[Path]:
    for place in places:
        try:
            path = expanded(place.removeprefix("file://"))
        except ValueError:  # pip, too, passes over a folder that is not there
            continue
        if path.is_dir():
            yield path
