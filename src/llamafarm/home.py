"""Where this program keeps what it must remember between runs: one folder, and nothing outside it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from llamafarm.errors import ConfigError

__all__ = ["expanded", "home"]


def home() -> Path:
    """Give the folder for models and records: `LLAMAFARM_HOME`, else the platform's place for a user's data.

    The folder need not exist yet. Raises ConfigError where neither is known.
    """
    chosen = os.environ.get("LLAMAFARM_HOME")
    if chosen:
        try:
            return expanded(chosen).absolute()
        except ValueError as error:
            raise ConfigError(f"LLAMAFARM_HOME is {chosen!r}: {error}") from None
    try:
        return _platforms_place()
    except ValueError as error:
        raise ConfigError(f"there is no place for models and records: {error}: set LLAMAFARM_HOME") from None


def expanded(path: str | Path) -> Path:
    """Put a user's home folder in place of a leading ``~``. Raises ValueError, with the reason, where there is none."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # no such user, or none this process runs as; a NUL in the name
        whose = Path(path).parts[0]
        raise ValueError(f"no home folder is known for {whose!r}") from None


def _platforms_place() -> Path:
    if sys.platform == "darwin":
        return expanded("~") / "Library" / "Application Support" / "llamafarm"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or expanded("~") / "AppData" / "Local") / "llamafarm"
    data = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification says that a relative path there must be ignored.
    return (Path(data) if data.startswith("/") else expanded("~") / ".local" / "share") / "llamafarm"
