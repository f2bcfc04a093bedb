"""Writes down every look-up and connection of this process, and with `closed` lets none of them happen. For tests only.

Python tells its audit hooks of each before the system is asked; what native code does by itself is not seen here, so the
namespace tests count packets as well.
"""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import contextmanager

_EVENTS = frozenset(
    {
        "socket.connect",
        "socket.sendto",
        "socket.sendmsg",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.gethostbyaddr",
        "socket.getnameinfo",
    }
)
_watches: list[tuple[list[tuple[str, str]], bool]] = []
_installed: list[bool] = []


def _hook(event, arguments):
    if event not in _EVENTS or not _watches:
        return
    seen, closed = _watches[-1]
    target = arguments[1] if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else arguments[0]
    if isinstance(target, tuple):
        target = target[0]
    seen.append((event, target if isinstance(target, str) else repr(target)))
    if closed:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "closed by a test")


@contextmanager
def watched(*, closed=False):
    """Give the list of (event, address or name) while the block runs. A hook stays, once it is there; it does nothing then."""
    if not _installed:
        sys.addaudithook(_hook)
        _installed.append(True)
    seen: list[tuple[str, str]] = []
    _watches.append((seen, closed))
    try:
        yield seen
    finally:
        _watches.pop()


def strays(seen):
    """Give what of it is not this machine itself: another address, or any name at all. A path is a unix socket's."""
    return [(event, target) for event, target in seen if not target.startswith("/") and not _is_here(target)]


def _is_here(target):
    """By the bytes the system would get: another way than the one that is tested."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, target)
        except OSError:
            continue
        mapped = packed.removeprefix(bytes(10) + b"\xff\xff")
        return packed == bytes(15) + b"\x01" if len(mapped) == 16 else mapped[0] == 127
    return False
