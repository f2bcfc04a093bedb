"""Decides which hosts and addresses may be connected to: what `privacy_mode` stands on once a socket is opened."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, ClassVar, Protocol

from llamafarm.errors import BlockedError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["EncryptedElsewhere", "Guard", "LoopbackOnly", "is_localhost", "is_loopback_address", "loopback_source"]


def is_localhost(host: str) -> bool:
    """Whether a name means this machine by definition (RFC 6761), so that no resolver is asked for it."""
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")


def is_loopback_address(text: str) -> bool:
    """Whether a text is an address of this machine itself; a name is not, nor is an odd spelling like ``127.1``."""
    return loopback_source(text) is not None


def loopback_source(address: str) -> str | None:
    """Give the address to send from, so that what is sent to `address` cannot leave by another interface.

    None where `address` is not this machine's. A packet to 127.0.0.1 takes the default route where the loopback
    interface is down; one that also comes from there is refused by the system instead.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if not isinstance(parsed, IPv6Address):
        return "127.0.0.1" if parsed.is_loopback else None
    if parsed.scope_id is not None:  # it names an interface, and ::1 needs none
        return None
    if parsed.ipv4_mapped is not None:
        return "::ffff:127.0.0.1" if parsed.ipv4_mapped.is_loopback else None
    return "::1" if parsed.is_loopback else None


class Guard(Protocol):
    """Says what may be connected to. Unix sockets are not asked about: they cannot leave the machine."""

    @property
    def proxies(self) -> bool:
        """Whether a connection it allows may go through a proxy of the environment."""

    def check(self, host: str, addresses: Sequence[str], *, encrypted: bool = False) -> None:
        """Raise `BlockedError` where a connection is not allowed.

        Called with no `addresses` before a name is looked up, for a look-up itself tells others; and with the one
        address right before each connection, whatever the look-up said. `encrypted`: all that is sent is within TLS.
        """


class LoopbackOnly:
    """What ``local_only`` means: loopback addresses and `localhost`, and nothing else; no other name is looked up."""

    __slots__ = ()
    proxies: ClassVar[bool] = False

    def check(self, host: str, addresses: Sequence[str], *, encrypted: bool = False) -> None:  # noqa: ARG002 - TLS hides not enough
        """Raise `BlockedError` unless the host, and every address, is this machine itself."""
        if not _is_here(host, addresses):
            raise BlockedError(
                f"privacy_mode local_only forbids a connection to {_shown(host, addresses)}: only loopback addresses, "
                f"localhost and unix sockets are allowed; change the target's base_url or the privacy mode",
            )


class EncryptedElsewhere:
    """What ``private`` means: nothing is sent to another machine in a form that can be read on the way."""

    __slots__ = ()
    proxies: ClassVar[bool] = True

    def check(self, host: str, addresses: Sequence[str], *, encrypted: bool = False) -> None:
        """Raise `BlockedError` for another machine without TLS."""
        if not encrypted and not _is_here(host, addresses):
            raise BlockedError(
                f"privacy_mode private forbids a connection without TLS to {_shown(host, addresses)}: what is sent "
                f"could be read on the way; give a base_url that begins with https, or change the privacy mode",
            )


def _is_here(host: str, addresses: Sequence[str]) -> bool:
    return (is_localhost(host) or is_loopback_address(host)) and all(map(is_loopback_address, addresses))


def _shown(host: str, addresses: Sequence[str]) -> str:
    return f"{host} ({', '.join(addresses)})" if addresses else host
