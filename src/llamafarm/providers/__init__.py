"""A wire format each: which module speaks a dialect is an entry point of the group `llamafarm.providers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from llamafarm import registry

if TYPE_CHECKING:
    from llamafarm.transport import Transport
    from llamafarm.types import Upstream

__all__ = ["GROUP", "Provider", "load", "trouble"]

GROUP = "llamafarm.providers"
"""The entry point group: a dialect's name → what makes its upstream of a transport."""
_DOES = "speaks the dialect"


class Provider(Protocol):
    """What an entry point of the group gives: usually a class."""

    def __call__(self, transport: Transport, /) -> Upstream:
        """Make the upstream. It may keep the transport, and must not close it."""


def load(dialect: str) -> Provider:
    """Find what speaks a dialect. Raises `ConfigError` where nothing does, `ResourceError` where it cannot be used."""
    provider: Provider = registry.load(GROUP, dialect, _DOES)
    return provider


def trouble(dialect: str) -> str | None:
    """Say why what speaks a dialect cannot be used, where it is there and cannot."""
    return registry.trouble(GROUP, dialect, _DOES)
