"""A server's listening sockets and the life of its connections: opened, no longer accepted, drained, cut."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from llamafarm.server.http.connection import Connection
from llamafarm.server.http.connections import Connections
from llamafarm.server.http.sockets import BACKLOG, address, open_sockets

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from llamafarm.server.http.limits import Limits
    from llamafarm.server.http.messages import Application
    from llamafarm.server.http.tls import Certificate

__all__ = ["Listener"]

_log = logging.getLogger(__name__)

_PATIENCE = 5.0
"""Seconds that cancelled handlers are given to let go."""
_SHUTDOWN = 2.0
"""Seconds a TLS connection's end may take."""


class Listener:
    """Listens at `host` and `port`, or on `sockets` that are listening already; with a certificate, TLS only.

    It belongs to the event loop in which it is opened.
    """

    def __init__(
        self,
        application: Application,
        limits: Limits,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        sockets: Sequence[socket.socket] = (),
        certificate: Certificate | None = None,
    ) -> None:
        self._application = application
        self._limits = limits
        self._host = host
        self._port = port
        self._sockets = tuple(sockets)
        self._certificate = certificate
        self._servers: list[asyncio.AbstractServer] = []
        self._connections: Connections | None = None
        self.addresses: tuple[str, ...] = ()
        """Where it listens, as ``host:port``, with the real port where 0 was asked for; or a unix socket's path."""
        self.port = 0
        """The first address's; 0 for a unix socket."""

    @property
    def limits(self) -> Limits:
        """What holds for connections from now on."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        if self._connections is not None:
            self._connections.limits = limits

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections.members) if self._connections else 0

    @property
    def requests(self) -> int:
        """How many requests are being answered."""
        return len(self._connections.requests) if self._connections else 0

    async def open(self) -> None:
        """Begin to accept. Raises `ConfigError` or `ResourceError` where an address cannot be had."""
        listening = self._sockets or open_sockets(self._host, self._port)
        self._connections = Connections(self._limits)
        self.addresses = tuple(address(sock) for sock in listening)
        name = listening[0].getsockname()
        self.port = name[1] if isinstance(name, tuple) else 0
        for sock in listening:
            self._servers.append(await self._serve(sock, self._connections))

    async def _serve(self, sock: socket.socket, connections: Connections) -> asyncio.AbstractServer:
        loop = asyncio.get_running_loop()

        def connect() -> Connection:
            return Connection(self._application, connections)

        if not isinstance(sock.getsockname(), tuple):
            return await loop.create_unix_server(connect, sock=sock, backlog=BACKLOG)
        if self._certificate is None:
            return await loop.create_server(connect, sock=sock, backlog=BACKLOG)
        return await loop.create_server(
            connect,
            sock=sock,
            backlog=BACKLOG,
            ssl=self._certificate.context,
            ssl_handshake_timeout=self._limits.header_timeout,
            ssl_shutdown_timeout=_SHUTDOWN,
        )

    def reload_certificate(self) -> None:
        """Show new handshakes what is in the certificate's files now.

        Raises `ConfigError` where the two do not fit; the old pair stays in use then.
        """
        if self._certificate is not None:
            self._certificate.reload()

    def stop_accepting(self) -> None:
        """Close the listening sockets; connections go on."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def drain(self, grace: float) -> bool:
        """Accept no more, close idle connections, and let the busy ones finish their answers, for `grace` seconds.

        Gives whether all have. A connection that has sent nothing yet is given a second for its first request.
        """
        self.stop_accepting()
        return await self._connections.drain(grace) if self._connections else True

    async def close(self) -> None:
        """Cut what is left, and return when the handlers have let go."""
        self.stop_accepting()
        if self._connections is not None and not await self._connections.close(_PATIENCE):
            _log.warning("%d requests did not end within %g s of being cancelled", self.requests, _PATIENCE)
