"""Knows each vendor's address, its key's variable and its deviations from its dialect: the rows of `vendors.json`.

The words of a quirk are those the provider module of the row's dialect documents.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Final, Literal

import msgspec

__all__ = ["CUSTOM", "Prefill", "Quirk", "Vendor", "all_vendors", "find_vendor", "vendor_names"]

_FILE = Path(__file__).with_name("vendors.json")


def _matches(model: str, globs: tuple[str, ...], but_not: tuple[str, ...]) -> bool:
    # A vendor resold by another keeps its models' own names behind a slash: `openai/gpt-5` is `gpt-5`.
    name = model.lower().rpartition("/")[2]
    return any(fnmatchcase(name, glob) for glob in globs) and not any(fnmatchcase(name, glob) for glob in but_not)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """Where some models of a vendor deviate from the dialect."""

    words: tuple[str, ...]
    models: tuple[str, ...] = ("*",)
    """Globs over lower-case names."""
    but_not: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefill:
    """How some models of a vendor go on from the beginning of an answer."""

    how: Literal["last_message", "prefix", "partial", "continue_final_message"]
    """A last assistant message as it is; one with ``prefix: true``; one with ``partial: true``; one with vLLM's two
    request fields."""
    base_url: str | None = None
    """Where it is served, if not at the vendor's `base_url`."""
    models: tuple[str, ...] = ("*",)
    but_not: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One place that serves models: a cloud vendor or a kind of local application."""

    name: str
    """What a strategy file calls it."""
    title: str
    """What people call it."""
    docs: str
    """Where its API is described; the row was checked against it."""
    checked: dt.date
    """The day somebody last did so."""
    dialect: str = "openai"
    """The provider module that speaks to it."""
    local: bool = False
    """Whether it is an application of one's own, which costs nothing unless priced."""
    base_url: str | None = None
    """None: the strategy file has to give one (or nothing is connected to)."""
    example_url: str | None = None
    """What such a URL looks like."""
    path: str = ""
    """What comes between an application's address, as people write it, and its API."""
    default_model: str = ""
    """What is meant where a file names no model; empty: it has to."""
    key_variables: tuple[str, ...] = ()
    """Environment variables that may hold the API key; the first that is set wins."""
    headers: dict[str, str] = field(default_factory=lambda: {"Authorization": "Bearer {key}"}, hash=False)
    """Sent with every request; those with ``{key}`` only where there is a key."""
    quirks: tuple[Quirk, ...] = ()
    prefill: tuple[Prefill, ...] = ()
    supports: frozenset[str] | None = None
    """Abilities all its models have, for a model without a row; None: unknown."""

    def quirks_of(self, model: str) -> frozenset[str]:
        """Give the words of every quirk that a model has."""
        return frozenset(
            word for quirk in self.quirks if _matches(model, quirk.models, quirk.but_not) for word in quirk.words
        )

    def prefill_of(self, model: str) -> Prefill | None:
        """Tell how a model goes on from a given beginning; None: it cannot, as far as is known."""
        return next((way for way in self.prefill if _matches(model, way.models, way.but_not)), None)


CUSTOM: Final = Vendor(
    name="custom",
    title="Any OpenAI-compatible endpoint",
    docs="https://platform.openai.com/docs/api-reference/chat",
    checked=dt.date(2026, 11, 22),
    example_url="https://llm.example.com/v1",
)
"""What stands in for a vendor nobody has written a row for."""


@cache
def all_vendors() -> tuple[Vendor, ...]:
    """Give every row: cloud vendors, local applications, and `CUSTOM` last."""
    return (*msgspec.json.decode(_FILE.read_bytes(), type=tuple[Vendor, ...]), CUSTOM)


@cache
def _by_name() -> dict[str, Vendor]:
    return {vendor.name: vendor for vendor in all_vendors()}


def find_vendor(name: str) -> Vendor | None:
    """Look a vendor or an application up by the name a strategy file uses; None: there is no such row."""
    return _by_name().get(name)


def vendor_names(*, local: bool = False) -> tuple[str, ...]:
    """List the names a strategy file can use: those of `provider`, or those of local applications."""
    return tuple(vendor.name for vendor in all_vendors() if vendor.local is local)
