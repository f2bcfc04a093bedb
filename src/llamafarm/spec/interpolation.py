"""Replaces ``${VAR}``, ``${VAR:-default}`` and ``${file:path}`` in a scalar that has been parsed already."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llamafarm.spec.files import read_bytes

__all__ = ["Filled", "Surroundings", "fill"]

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\})?")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_LARGEST_FILE = 1_000_000
"""Bytes; a mounted secret is far smaller."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the references of a file are looked up in."""

    env: Mapping[str, str]
    folder: Path
    """The folder of the strategy file: relative paths start there."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with its references replaced, and what came of them."""

    text: str
    origins: tuple[str, ...] = ()
    """What it was taken from: ``OPENAI_API_KEY``, ``file:/run/secrets/x``."""
    values: tuple[tuple[str, str], ...] = ()
    """What was put in, each with the reference it stands for."""
    unset: tuple[str, ...] = ()
    """Why some could not be replaced, in words for a message."""
    malformed: tuple[str, ...] = ()
    """What looked like a reference and is none."""
    literal: bool = False
    """Whether a part of the text comes from the strategy file itself: around a reference, or as a default."""


def fill(text: str, around: Surroundings) -> Filled:
    """Replace every reference of a text; ``$${`` stands for a plain ``${``. Never raises."""
    return _Filling(around).run(text) if "${" in text else Filled(text, literal=bool(text))


class _Filling:
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._origins: list[str] = []
        self._values: list[tuple[str, str]] = []
        self._unset: list[str] = []
        self._malformed: list[str] = []
        self._literal = False

    def run(self, text: str) -> Filled:
        filled = _REFERENCE.sub(self._replace, text)
        literal = self._literal or bool(_REFERENCE.sub("", text).strip())
        return Filled(
            filled, tuple(self._origins), tuple(self._values), tuple(self._unset), tuple(self._malformed), literal
        )

    def _replace(self, match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        body, closed = match[1], match[2]
        if not closed:
            self._malformed.append("${")
        elif body.startswith("file:"):
            return self._read(body.removeprefix("file:"))
        elif (variable := _VARIABLE.fullmatch(body)) is not None:
            return self._look_up(variable[1], variable[2])
        else:
            self._malformed.append(match[0])
        return match[0]

    def _look_up(self, name: str, default: str | None) -> str:
        self._origins.append(name)
        value = self._around.env.get(name)
        if value:
            self._values.append((value, f"${{{name}}}"))
            return value
        if default is None:
            self._unset.append(f"{name} is not set")
            return ""
        self._literal = self._literal or bool(default)
        return default

    def _read(self, name: str) -> str:
        path = self._around.folder / name
        self._origins.append(f"file:{path}")
        try:
            content = read_bytes(path, _LARGEST_FILE + 1)
            text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except FileNotFoundError:
            self._unset.append(f"{path} does not exist")
        except OSError as error:
            self._unset.append(f"{path} cannot be read: {error.strerror or error}")
        except ValueError:  # NULs in the name, or bytes that are not UTF-8
            self._unset.append(f"{path} cannot be read: it is no UTF-8 text")
        else:
            if not text or len(content) > _LARGEST_FILE:
                self._unset.append(f"{path} is empty" if not text else f"{path} has more than {_LARGEST_FILE:,} bytes")
                return ""
            self._values.append((text, f"${{file:{name}}}"))
            return text
        return ""
