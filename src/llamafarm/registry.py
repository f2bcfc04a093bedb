"""Finds what installed packages register under a name: the entry points of a group, our own like everybody's."""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from llamafarm.errors import ConfigError

__all__ = ["load", "names"]


def names(group: str) -> frozenset[str]:
    """Name everything that is registered in a group."""
    return frozenset(point.name for point in _registered(group, tuple(sys.path)))


@cache
def _registered(group: str, _: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Read what every package of this search path registers, once: it takes milliseconds."""
    return tuple(entry_points(group=group))


def load(group: str, name: str, does: str) -> Any:
    """Import what is registered as `name`; `does` says in a few words what it is for.

    Raises ConfigError where nothing is, or more than one thing, or it cannot be imported.
    """
    found = [point for point in _registered(group, tuple(sys.path)) if point.name == name]
    if not found:
        known = ", ".join(sorted(names(group))) or "none"
        raise ConfigError(
            f"no installed package {does} {name!r} (known: {known}); "
            f"install the one that does, or install llamafarm again if a built-in one is missing"
        )
    if len(found) > 1:
        packages = ", ".join(sorted(point.dist.name if point.dist else point.value for point in found))
        raise ConfigError(f"more than one installed package {does} {name!r}: {packages}; keep one")
    try:
        return found[0].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"what {does} {name!r} ({found[0].value}) cannot be imported: {error}") from error
