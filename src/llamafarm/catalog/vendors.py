"""Knows each vendor's address, its key's variable and its deviations from its dialect: the rows of `vendors.json`.

The words of a quirk are those the provider module of the row's dialect documents.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from llamafarm import registry
from llamafarm.errors import ConfigError, ResourceError

__all__ = [
    "CUSTOM",
    "Fim",
    "Prefill",
    "Quirk",
    "Vendor",
    "all_vendors",
    "find_vendor",
    "installed_providers",
    "vendor_names",
]

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
class Fim:
    """How some models of a vendor fill a gap between a prompt and a suffix."""

    how: Literal["completions", "fim", "infill"]
    """Legacy completions with a `suffix`; Mistral's path for it, which answers in the format of chat; llama-server's
    own path and format."""
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
    fim: tuple[Fim, ...] = ()
    operations: tuple[str, ...] = ("chat", "completion", "embedding", "image")
    """What its API can be asked for."""
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

    def fim_of(self, model: str) -> Fim | None:
        """Tell how a model fills in the middle; None: it cannot, as far as is known."""
        return next((way for way in self.fim if _matches(model, way.models, way.but_not)), None)

    @property
    def fim_how(self) -> Literal["completions", "fim", "infill"]:
        """How a model does of which somebody says that it can."""
        return self.fim[0].how if self.fim else "completions"


CUSTOM: Final = Vendor(
    name="custom",
    title="Any OpenAI-compatible endpoint",
    docs="https://platform.openai.com/docs/api-reference/chat",
    checked=dt.date(2026, 11, 22),
    example_url="https://llm.example.com/v1",
    quirks=(Quirk(words=("takes_unknown",)),),
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
    """Look a vendor or an application up by the name a strategy file uses; None: there is no such row.

    An installed package's own provider, which has no row, gets one that names its dialect.
    """
    found = _by_name().get(name)
    return _row_of(name) if found is None and name in installed_providers() else found


_GROUP = "llamafarm.providers"
"""The entry point group of provider modules."""


def installed_providers() -> frozenset[str]:
    """Name the providers that installed packages register and the table does not have."""
    return registry.names(_GROUP) - _by_name().keys()


def _row_of(name: str) -> Vendor:
    """Make the row of an installed provider of what its class says of itself; all of it is optional."""
    try:
        module: Any = registry.load(_GROUP, name, "is the provider")
    except (ConfigError, ResourceError):
        module = None  # said where a request needs it
    base_url, variables = getattr(module, "base_url", None), getattr(module, "key_variables", ())
    operations, supports = getattr(module, "operations", CUSTOM.operations), getattr(module, "supports", None)
    return Vendor(
        name=name,
        title=name,
        docs="",
        checked=CUSTOM.checked,
        dialect=name,
        base_url=base_url if isinstance(base_url, str) else None,
        key_variables=tuple(variables),
        operations=tuple(operations),
        supports=None if supports is None else frozenset(supports),
    )


def vendor_names(*, local: bool = False) -> tuple[str, ...]:
    """List the names a strategy file can use: those of `provider`, or those of local applications."""
    return tuple(vendor.name for vendor in all_vendors() if vendor.local is local)
