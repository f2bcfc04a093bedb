"""Decides which hosts and addresses may be connected to: what `privacy_mode: local_only` stands on."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Protocol

from llamafarm.errors import BlockedError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Guard", "LoopbackOnly", "is_localhost", "is_loopback_address"]


def is_localhost(host: str) -> bool:
    """Whether a name means this machine by definition (RFC 6761), so that no resolver is asked for it."""
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")


class Guard(Protocol):
    """Says what may be connected to. Unix sockets are not asked about: they cannot leave the machine."""

    def check(self, host: str, addresses: Sequence[str]) -> None:
        """Raise `BlockedError` where a connection is not allowed.

        Called with no `addresses` before a name is looked up, for a look-up itself tells others; and with the one
        address right before each connection, whatever the look-up said.
        """


class LoopbackOnly:
    """Allows loopback addresses and `localhost`, and nothing else: no other name is looked up."""

    __slots__ = ()

    def check(self, host: str, addresses: Sequence[str]) -> None:
        """Raise `BlockedError` unless the host, and every address, is this machine itself."""
        if not (is_localhost(host) or is_loopback_address(host)) or not all(map(is_loopback_address, addresses)):
            where = f"{host} ({', '.join(addresses)})" if addresses else host
            raise BlockedError(
                f"privacy_mode local_only forbids a connection to {where}: only loopback addresses, localhost and "
                f"unix sockets are allowed; change the target's base_url or the privacy mode",
            )


def is_loopback_address(text: str) -> bool:
    """Whether a text is an address of this machine itself; a name is not."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
