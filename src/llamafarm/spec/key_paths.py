"""Every key that a strategy file can have, as paths: ``strategies[].constraints.max_tokens``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from llamafarm.spec.shape import ByType, ListOf, MapOf, Record, Shape, shape_of
from llamafarm.spec.strategy import ChainEntry, Component, Kind, StrategyFile, kind_of

__all__ = ["KINDS", "home", "keys", "word"]

KINDS: dict[Kind, str] = {"cloud_api": "cloud", "model_app": "app", "fine_tuner": "tuner", "repository": "repository"}
"""The word for each kind of component in a key's path."""


@cache
def keys() -> tuple[str, ...]:
    """Give every key's path. A component's config stands once for each kind, like ``components{}.config<app>.ttl``.

    ``[]`` is an item of a list, ``{}`` the value of a mapping with names of the user's own. The config of a chain
    entry has the keys of its type's, so they are not repeated.
    """
    return tuple(dict.fromkeys(_walk(shape_of(StrategyFile), "")))


@cache
def _homes() -> dict[str, tuple[str, ...]]:
    homes: dict[str, list[str]] = {}
    for path in keys():
        parts = path.split(".")
        for depth, part in enumerate(parts):
            name = word(part)
            parent = ".".join(parts[:depth])
            if parent not in homes.setdefault(name, []):
                homes[name].append(parent)
    return {name: tuple(parents) for name, parents in homes.items()}


def home(name: str) -> str | None:
    """Tell where a key stands, in one place or two: ``under constraints`` for ``daily_budget``."""
    parents = _homes().get(name, ())
    outer = [parent for parent in parents if not any(parent.startswith(f"{other}.") for other in parents if other)]
    if len(outer) > 1 and any("config<" in parent for parent in outer):
        outer = [parent for parent in outer if "config<" not in parent] + ["config"]
    places = dict.fromkeys(_readable(parent) for parent in outer)
    return ", or ".join(places) if 0 < len(places) <= _MOST_PLACES else None


_MOST_PLACES = 2
"""A key that stands in more places says nothing by its name."""


def _readable(parent: str) -> str:
    if not parent:
        return "at the top of the file"
    if parent == "strategies[]":
        return "in a strategy"
    last = parent.rsplit(".", maxsplit=1)[-1]
    if parent == "config":
        return "in a component's config"
    for kind, short in KINDS.items():
        if last == f"config<{short}>":
            return f"in the config of a {kind}"
    return "under " + word(last)


def word(part: str) -> str:
    """Give the key of a path's part: `alerts` of ``alerts[]``."""
    return re.split(r"[\[{<]", part, maxsplit=1)[0]


def _walk(shape: Shape, path: str) -> Iterator[str]:
    match shape:
        case Record(cls, fields) if cls is Component:
            yield f"{path}.type"
            config = fields["config"].shape
            records = config.records if isinstance(config, ByType) else {}
            for kind, record in {kind_of(name): record for name, record in records.items()}.items():
                yield from _walk(record, f"{path}.config<{KINDS[kind]}>")
        case Record(cls, fields) if cls is ChainEntry:
            yield from (f"{path}.{name}" for name in fields)
        case Record(_, fields):
            for name, field in fields.items():
                yield from _walk(field.shape, f"{path}.{name}" if path else name)
        case ListOf(item) if isinstance(item, Record):
            yield path
            yield from _walk(item, f"{path}[]")
        case MapOf(value) if isinstance(value, Record):
            yield path
            yield from _walk(value, f"{path}{{}}")
        case _:
            yield path
