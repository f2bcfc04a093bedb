"""Which keys of a file could not be read, and what stands in their place so that everything else is still checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llamafarm.spec.shape import Choice, Flag, ListOf, MapOf, Number, OneOf, Record, Shape, Text

__all__ = ["Unread", "completed", "stand_in"]

_NEVER = "false"
"""Stands for a condition."""


class Unread:
    """The keys whose values could not be made. Nothing may be concluded from what stands in their place."""

    def __init__(self) -> None:
        self._paths: set[str] = set()
        self._above: set[str] = set()
        """Those paths, and every path above one of them."""
        self._misplaced: set[str] = set()

    def add(self, path: str) -> None:
        """Note the path of a key that could not be read, with all that is below it."""
        self._paths.add(path)
        self._above.update(_upwards(path))

    def misplace(self, name: str) -> None:
        """Note a key that stands where it does not belong: it is missing wherever it was meant to be."""
        self._misplaced.add(name)

    def touches(self, path: str) -> bool:
        """Tell whether a key, something below it or what it stands in could not be read."""
        if self._misplaced and path.rpartition(".")[2] in self._misplaced:
            return True
        return bool(self._paths) and (path in self._above or any(above in self._paths for above in _upwards(path)))


def _upwards(path: str) -> Iterator[str]:
    """Give a path and every path above it, up to that of the whole file."""
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    yield ""


def completed(shape: Record, values: Mapping[str, Any]) -> Any:
    """Make a dataclass of the values that could be made; what is required and not among them is stood in for."""
    lacking = {
        field.name: stand_in(field.shape)
        for field in shape.fields.values()
        if field.required and field.name not in values
    }
    return shape.cls(**values, **lacking)


def stand_in(shape: Shape) -> Any:
    """Give a harmless value of a shape."""
    match shape:
        case Text(format="condition"):
            return _NEVER
        case Number(ge=least):
            return 1 if least is None else least
        case Choice(words):
            return words[0]
        case Flag():
            return False
        case ListOf():
            return ()
        case MapOf():
            return {}
        case Record():
            return completed(shape, {})
        case OneOf(options):
            return stand_in(options[0])
        case _:
            return ""
