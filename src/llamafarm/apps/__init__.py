"""Local model applications: each is an entry point of the group `llamafarm.apps`; `embedded` runs in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from llamafarm import registry

if TYPE_CHECKING:
    from llamafarm.models.progress import Report
    from llamafarm.models.store import ModelStore
    from llamafarm.types import Upstream

__all__ = ["GROUP", "App", "load", "trouble"]

GROUP = "llamafarm.apps"
"""The entry point group: a dialect's name → what makes its upstream of a store of models."""
_DOES = "runs"


class App(Protocol):
    """What an entry point of the group gives: usually a class."""

    def __call__(self, store: ModelStore, /, *, progress: Report | None, download: bool) -> Upstream:
        """Make the upstream; without `download` it fetches nothing, whatever the strategy file says."""


def load(dialect: str) -> App:
    """Find the application behind a dialect.

    Raises `ConfigError` where there is none, `ResourceError` where it cannot be used.
    """
    app: App = registry.load(GROUP, dialect, _DOES)
    return app


def trouble(dialect: str) -> str | None:
    """Say why the application behind a dialect cannot be used, where it is there and cannot."""
    return registry.trouble(GROUP, dialect, _DOES)
