"""A wire format each: which module speaks a dialect is an entry point of the group `llamafarm.providers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from llamafarm import registry

if TYPE_CHECKING:
    from llamafarm.transport import Transport
    from llamafarm.types import Upstream

__all__ = ["GROUP", "Provider", "load"]

GROUP = "llamafarm.providers"
"""The entry point group: a dialect's name → what makes its upstream of a transport."""


class Provider(Protocol):
    """What an entry point of the group gives: usually a class."""

    def __call__(self, transport: Transport, /) -> Upstream:
        """Make the upstream. It may keep the transport, and must not close it."""


def load(dialect: str) -> Provider:
    """Find what speaks a dialect. Raises `ConfigError` where nothing does, or more than one thing."""
    provider: Provider = registry.load(GROUP, dialect, "speaks the dialect")
    return provider
