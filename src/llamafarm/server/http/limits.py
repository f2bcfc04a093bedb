"""How much, and for how long, one client may ask of the server before it has been answered."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

_KIB = 1024
_MIB = 1024 * _KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds. The defaults are those of a strategy file's `server` section."""

    header_bytes: int = 32 * _KIB
    """Request line and headers together."""
    target_bytes: int = 8 * _KIB
    """The request line's target: path and query."""
    header_count: int = 100
    body_bytes: int = 10 * _MIB
    buffered_bytes: int = 256 * _MIB
    """All bodies together that are still being received. A body that came whole with its head is not counted."""
    pipelined_bytes: int = 64 * _KIB
    """What is read ahead of the answer a connection waits for; then reading stops."""
    header_timeout: float = 10.0
    """From the connection's opening, later from a request's first byte, to the end of its headers."""
    body_timeout: float = 30.0
    """For the whole body, so that one that drips does not last."""
    idle_timeout: float = 75.0
    """Between two requests."""
    write_timeout: float = 60.0
    """While a client takes nothing of what was sent to it."""
    linger_timeout: float = 5.0
    """How long, after a refusal, a client that still sends is listened to, so that it comes to read the answer."""
    linger_bytes: int = 32 * _MIB
    """How much it may send in that time."""
    max_connections: int = 4096
