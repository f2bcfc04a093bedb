"""Knows what vendors' models cost and can do, as of one day: the rows of `models.json`, which nobody edits by hand."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from llamafarm.types import Price  # noqa: TC001 - msgspec reads the annotations at run time

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LaterPrice", "ModelRow", "Snapshot", "find_model", "models_of", "price_of", "search", "snapshot"]

_FILE = Path(__file__).with_name("models.json")
_OTHER_PRODUCTS = ("audio", "fast", "image", "live", "realtime", "research", "search", "transcribe", "tts")
"""Words in a model's name that make it another product at another price: `gpt-4o` is not `gpt-4o-audio-preview`.
A pattern without the word never reaches a model with it."""


@dataclass(frozen=True, slots=True)
class LaterPrice:
    """A price its vendor has announced."""

    since: dt.date
    """The first day it holds, UTC."""
    price: Price


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one model of one vendor. `None` is always "unknown", never "no"."""

    id: str
    """The name the vendor's API takes."""
    names: tuple[str, ...] = ()
    """Further names for it: dated versions, aliases."""
    patterns: tuple[str, ...] = ()
    """Globs for names not listed yet, like next month's dated version."""
    price: Price | None = None
    later: tuple[LaterPrice, ...] = ()
    """Earliest first."""
    ceiling: bool = False
    """Whether the price is the highest of several, because it depends on the hour or because sources disagree: the
    vendor's bill may be lower."""
    bounded: bool = True
    """Whether tokens and requests are all it bills. A model that searches on every call has no worst case."""
    extras: frozenset[str] = frozenset()
    """What the price does not cover, billed only where a request asks for it: ``web_search``, ``service_tier``,
    ``audio_input`` …"""
    context_window: int | None = None
    """Tokens of prompt and answer together."""
    max_output: int | None = None
    """The most tokens of one answer."""
    supports: frozenset[str] | None = None
    """All its abilities: vision, tools, json, audio, reasoning, prefill, image, embedding."""
    defaults: dict[str, Any] = {}
    """Request parameters without which it does badly, like a system prompt; a strategy's own come first."""
    deprecated: bool = False
    """Whether the vendor has retired it or said when it will."""

    def price_on(self, day: dt.date) -> Price | None:
        """Give the price that holds on a day (UTC), as far as it is known."""
        started = [later.price for later in self.later if later.since <= day]
        return started[-1] if started else self.price


class Snapshot(NamedTuple):
    """Where the rows are from."""

    date: dt.date
    """The day whose prices they are."""
    sources: tuple[str, ...]
    """The packages they were built from, with versions."""


class _Document(msgspec.Struct):
    date: dt.date
    sources: tuple[str, ...]
    vendors: dict[str, msgspec.Raw]
    """A vendor's rows are decoded when somebody asks for them: most commands need one vendor, or none."""


@cache
def _document() -> _Document:
    return msgspec.json.decode(_FILE.read_bytes(), type=_Document)


@cache
def models_of(vendor: str) -> tuple[ModelRow, ...]:
    """Give every row of a vendor, by id; none where the vendor has no published prices or is unknown."""
    raw = _document().vendors.get(vendor)
    return () if raw is None else msgspec.json.decode(raw, type=tuple[ModelRow, ...])


@cache
def _exact(vendor: str) -> Mapping[str, ModelRow]:
    rows = models_of(vendor)
    aliases = {name.lower(): row for row in reversed(rows) for name in row.names}
    return aliases | {row.id.lower(): row for row in rows}


@cache
def _patterns(vendor: str) -> tuple[tuple[str, ModelRow], ...]:
    pairs = [(pattern.lower(), row) for row in models_of(vendor) for pattern in row.patterns]
    # The longest one first: it says most about the model.
    return tuple(sorted(pairs, key=lambda pair: -len(pair[0])))


def find_model(vendor: str, model: str) -> ModelRow | None:
    """Look a model up by exact name (in any case), then by pattern; None: nothing is known about it."""
    name = model.lower()
    if (row := _exact(vendor).get(name)) is not None:
        return row
    other = [word for word in _OTHER_PRODUCTS if word in name]
    for pattern, row in _patterns(vendor):
        if fnmatchcase(name, pattern) and all(word in pattern for word in other):
            return row
    return None


def price_of(vendor: str, model: str, day: dt.date | None = None) -> Price | None:
    """Give what a model costs on a day (default: today, UTC); None: unknown, which is not the same as free."""
    row = find_model(vendor, model)
    return None if row is None else row.price_on(day or dt.datetime.now(dt.UTC).date())


def search(text: str) -> tuple[tuple[str, ModelRow], ...]:
    """Find (vendor, row) pairs whose vendor, id or names together contain every word of a text."""
    words = text.lower().split()
    return tuple(
        (vendor, row)
        for vendor in _document().vendors
        for row in models_of(vendor)
        if all(any(word in part for part in (vendor, row.id.lower(), *map(str.lower, row.names))) for word in words)
    )


def snapshot() -> Snapshot:
    """Tell which day's prices these are, and where they are from."""
    return Snapshot(_document().date, _document().sources)
