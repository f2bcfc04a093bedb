"""The sockets a server listens on: opened here, or handed down by systemd."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING

from llamafarm.errors import ConfigError, ResourceError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["BACKLOG", "address", "handed_down", "open_sockets"]

_FIRST_FD = 3
"""Where systemd's sockets begin (sd_listen_fds(3))."""
BACKLOG = 1024
"""How many connections the system holds until they are accepted."""
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""Seconds, seconds, times: a client whose machine is gone is noticed within two minutes."""


def address(sock: socket.socket) -> str:
    """Give where a socket listens, as ``host:port`` (IPv6 in brackets) or a path."""
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return str(name)
    return f"[{name[0]}]:{name[1]}" if sock.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of `host`; port 0 takes a free one, the same for all of them.

    An empty host is every address of this machine. Raises `ConfigError` for a host that is none of this machine's,
    `ResourceError` for a port that cannot be had.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error}; set server.host to an address of this machine"
        ) from None
    opened: list[socket.socket] = []
    try:
        for family, kind, protocol, _, where in dict.fromkeys(found):
            given = opened[0].getsockname()[1] if opened and not port else port
            opened.append(_listening(family, kind, protocol, (where[0], given, *where[2:])))
    except OSError as error:
        for sock in opened:
            sock.close()
        raise _unavailable(host, port, error) from None
    return opened


def _listening(family: int, kind: int, protocol: int, where: tuple[str | int, ...]) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        _prepare(sock)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _prepare(sock: socket.socket) -> None:
    """Set what accepted connections inherit."""
    sock.setblocking(False)
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _unavailable(host: str, port: int, error: OSError) -> ConfigError | ResourceError:
    where = f"cannot listen on {f'[{host}]' if ':' in host else host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return ResourceError(f"{where}: another program has that port; stop it, or set server.port (--port)")
    if error.errno == errno.EACCES:
        return ResourceError(
            f"{where}: permission denied; ports below 1024 need a privilege, so set server.port (--port)"
        )
    if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        return ConfigError(f"{where}: no address of this machine; set server.host (--host)")
    return ResourceError(f"{where}: {error.strerror or error}")


def handed_down(environment: MutableMapping[str, str], *, first: int = _FIRST_FD) -> list[socket.socket]:
    """Take over the sockets that systemd opened for this process, and the variables that speak of them.

    None, where the variables are absent or are for another process. Raises `ConfigError` for a descriptor that is no
    listening stream socket.
    """
    process, count = environment.get("LISTEN_PID"), environment.get("LISTEN_FDS")
    if process is None or count is None or process != str(os.getpid()):
        return []
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environment.pop(name, None)
    if not (count.isascii() and count.isdecimal()) or len(count) > 3:  # noqa: PLR2004 - digits; nobody hands down a thousand
        raise ConfigError(f"LISTEN_FDS is {count!r}: it must be the number of sockets handed down")
    taken: list[socket.socket] = []
    try:
        for descriptor in range(first, first + int(count)):
            taken.append(_taken_over(descriptor))  # noqa: PERF401 - those taken are closed where a later one is wrong
    except ConfigError:
        for sock in taken:
            sock.close()
        raise
    return taken


def _taken_over(descriptor: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        raise ConfigError(f"LISTEN_FDS counts descriptor {descriptor}, which is no open socket") from None
    if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.close()
        raise ConfigError(f"descriptor {descriptor} is no listening stream socket; use ListenStream in the socket unit")
    sock.set_inheritable(False)
    _prepare(sock)
    return sock
