"""Decides which strategy file is meant, and which strategy in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from llamafarm import spec, strategies
from llamafarm.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.spec import Document
    from llamafarm.spec.strategy import Strategy

__all__ = ["DEFAULT", "find_file", "find_strategy", "load_shipped"]

DEFAULT = "local_development"
"""The shipped strategy that is meant where neither a file nor a name is given."""


def find_file(given: str | Path | None, environment: Mapping[str, str]) -> Path | None:
    """Give the strategy file that is meant; None: the shipped ones.

    In order: the one given, ``LLAMAFARM_STRATEGIES``, ``strategies.yaml`` in the working directory. Raises ConfigError
    where the variable names nothing.
    """
    if given is not None:
        return Path(given)
    if environment.get("LLAMAFARM_STRATEGIES"):
        named = Path(environment["LLAMAFARM_STRATEGIES"])
        if not named.exists():
            raise ConfigError(
                f"LLAMAFARM_STRATEGIES names {named}, which does not exist: correct the variable, or unset it"
            )
        return named
    here = Path("strategies.yaml")
    # Whatever is called so is meant, also what then cannot be read: it is never passed over in silence.
    return here if os.path.lexists(here) else None


def load_shipped(name: str, environment: Mapping[str, str]) -> Document:
    """Load one of the shipped strategies; raises ConfigError for an unknown name."""
    if name not in strategies.names():
        raise ConfigError(f"no strategy is called {name!r}; shipped with llamafarm: {', '.join(strategies.names())}")
    return spec.load_text(strategies.text(name), name=f"{name}.yaml (shipped)", env=environment)


def find_strategy(file: Path | None, name: str | None, environment: Mapping[str, str]) -> tuple[Document, Strategy]:
    """Load what is meant: a strategy of the file by name, else a shipped one of that name; without a name the first."""
    if file is None:
        document = load_shipped(name or DEFAULT, environment)
        return document, document.file.strategies[0]
    document = spec.load_file(file, env=environment)
    if name is None:
        return document, document.file.strategies[0]
    for strategy in document.file.strategies:
        if strategy.name == name:
            return document, strategy
    if name in strategies.names():
        shipped = load_shipped(name, environment)
        return shipped, shipped.file.strategies[0]
    known = ", ".join(strategy.name for strategy in document.file.strategies)
    raise ConfigError(
        f"{file} has no strategy called {name!r}; it has: {known}; shipped: {', '.join(strategies.names())}"
    )
