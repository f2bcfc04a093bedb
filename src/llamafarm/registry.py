"""Finds what installed packages register under a name: the entry points of a group, our own like everybody's."""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from llamafarm.errors import ConfigError, ResourceError

__all__ = ["load", "names", "trouble"]

_OURS = "llamafarm."


def names(group: str) -> frozenset[str]:
    """Name everything that is registered in a group."""
    return frozenset(point.name for point in _registered(group, tuple(sys.path)))


@cache
def _registered(group: str, _: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Read what every package of this search path registers, once: it takes milliseconds."""
    return tuple(entry_points(group=group))


def load(group: str, name: str, does: str) -> Any:
    """Import what is registered as `name`; `does` says in a few words what it is for.

    Raises ConfigError where nothing is, ResourceError where more than one thing is, or it cannot be imported.
    """
    found = _found(group, name)
    if not found:
        known = ", ".join(sorted(names(group))) or "none"
        raise ConfigError(
            f"no installed package {does} {name!r} (known: {known}); "
            f"install the one that does, or install llamafarm again if a built-in one is missing"
        )
    if len(found) > 1:
        packages = ", ".join(sorted(point.dist.name if point.dist else point.value for point in found))
        raise ResourceError(f"more than one installed package {does} {name!r}: {packages}; keep one")
    try:
        return found[0].load()
    except Exception as error:  # somebody else's module may raise anything while it is imported
        why = error if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {error}"
        raise ResourceError(
            f"what {does} {name!r} ({found[0].value}) cannot be imported: {why}; install its package again"
        ) from error


def trouble(group: str, name: str, does: str) -> str | None:
    """Say why what is registered as `name` cannot be used, where that is so. Ours is not imported to find out."""
    found = _found(group, name)
    if not found or (len(found) == 1 and found[0].value.startswith(_OURS)):
        return None
    try:
        load(group, name, does)
    except ResourceError as error:
        return str(error)
    return None


def _found(group: str, name: str) -> list[EntryPoint]:
    return [point for point in _registered(group, tuple(sys.path)) if point.name == name]
