"""HTTP by aiohttp: connections, limits, and what its exceptions mean here. Only `http` imports this module."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING, TypeGuard

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from llamafarm import __version__
from llamafarm.errors import BadReplyError, BlockedError, StreamCutError
from llamafarm.transport.aio_failures import explain
from llamafarm.transport.encodings import decoder
from llamafarm.transport.guard import is_localhost, loopback_source
from llamafarm.transport.proxies import Proxy, proxy_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiohttp.connector import AddrInfoType

    from llamafarm.transport.endpoint import Endpoint
    from llamafarm.transport.guard import Guard

__all__ = ["AioClient", "AioResponse"]

_CONNECT_SECONDS = 10.0
"""For TCP and TLS together. A host that drops packets would otherwise use up the whole deadline."""
_KEEP_ALIVE_SECONDS = 30.0
_HEADER_LIMIT = 32 * 1024
_DNS_SECONDS = 30
_DEFAULT_HEADERS = {"User-Agent": f"llamafarm/{__version__}", "Accept-Encoding": "identity"}


class AioClient:
    """The sessions: for plain TCP, for TLS, and for each unix socket. Belongs to the event loop it is first used in."""

    def __init__(self, guard: Guard | None, *, proxies: bool) -> None:
        self._guard = guard
        self._use_proxies = proxies
        self._sessions: dict[str | bool, aiohttp.ClientSession] = {}
        """By the unix socket's path, or by whether all that is sent is within TLS, which the guard must know."""
        self._proxies: dict[tuple[str, str, int], Proxy | None] = {}
        self._tls: ssl.SSLContext | None = None

    async def request(
        self,
        method: str,
        endpoint: Endpoint,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> AioResponse:
        """Send a request and return once the answer's headers are in."""
        if self._guard is not None and endpoint.socket is None:
            self._guard.check(endpoint.host, (), encrypted=endpoint.scheme == "https")
        proxy = self._proxy(endpoint)
        to_proxy = {"Proxy-Authorization": proxy.authorization} if proxy and proxy.authorization else None
        if to_proxy and endpoint.scheme == "http":
            # Without TLS there is no tunnel: the proxy reads the request's own headers.
            headers = {**headers, **to_proxy}
        try:
            response = await self._session(endpoint.socket or endpoint.scheme == "https").request(
                method,
                endpoint.url,
                headers=headers,
                data=body,
                allow_redirects=False,
                ssl=self._tls_context() if endpoint.scheme == "https" else True,
                proxy=proxy.url if proxy else None,
                proxy_headers=to_proxy,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Not chained: aiohttp's exceptions carry the request's headers, and with them the key.
            if self._guard is not None and _is_blocked(error):
                raise BlockedError(str(error.os_error.strerror)) from None
            raise explain(error, endpoint, proxy.url if proxy else None, _CONNECT_SECONDS) from None
        return AioResponse(response, endpoint)

    def _session(self, way: str | bool) -> aiohttp.ClientSession:
        session = self._sessions.get(way)
        if session is None:
            session = self._sessions[way] = aiohttp.ClientSession(
                connector=self._connector(way),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_DEFAULT_HEADERS,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                max_line_size=_HEADER_LIMIT,
                max_field_size=_HEADER_LIMIT,
            )
        return session

    def _connector(self, way: str | bool) -> aiohttp.BaseConnector:
        if isinstance(way, str):
            return aiohttp.UnixConnector(way, limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS)
        return aiohttp.TCPConnector(
            limit=0,  # the strategy's `parallel_requests` is the limit
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            ttl_dns_cache=_DNS_SECONDS,
            resolver=_Resolver(self._guard, encrypted=way),
            socket_factory=partial(_new_socket, self._guard, encrypted=way),
        )

    def _proxy(self, endpoint: Endpoint) -> Proxy | None:
        if not self._use_proxies:
            return None
        origin = (endpoint.scheme, endpoint.host, endpoint.port)
        if origin not in self._proxies:
            self._proxies[origin] = proxy_for(endpoint)
        return self._proxies[origin]

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()  # the system's roots, or those SSL_CERT_FILE names
        return self._tls

    async def aclose(self) -> None:
        """Close every connection."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()
        # Transports report their end to the loop one turn after they are closed.
        await asyncio.sleep(0)


class AioResponse:
    """An answer whose headers are in; see `protocol.Response`."""

    __slots__ = ("_cut", "_decoder", "_endpoint", "_inflating", "_pieces", "_response")

    def __init__(self, response: aiohttp.ClientResponse, endpoint: Endpoint) -> None:
        self._response = response
        self._endpoint = endpoint
        self._pieces: Iterator[bytes] = iter(())
        self._inflating = False  # the last piece came out of a block that may hold more
        self._cut: StreamCutError | None = None
        try:
            self._decoder = decoder(response.headers.get("Content-Encoding", ""))
        except ValueError as error:
            response.close()
            raise BadReplyError(f"{endpoint.shown}: {error}") from None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, upper or lower case alike."""
        return self._response.headers

    async def read(self, limit: int, *, cut: bool = False) -> bytes:
        """Give the whole body, or with `cut` its beginning."""
        pieces: list[bytes] = []
        size = 0
        try:
            while piece := await self.read_some():
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    break
        except StreamCutError:
            if not cut:
                raise
        if size > limit:
            self.close()
            if not cut:
                raise BadReplyError(f"{self._endpoint.shown}: the answer is longer than {limit // 1024**2} MiB")
        return b"".join(pieces)[:limit]

    async def read_some(self) -> bytes:
        """Give the next bytes of the body; none at its end."""
        while True:
            if self._cut is not None:
                raise self._cut
            try:
                if self._inflating:
                    await asyncio.sleep(0)  # a small block can inflate to so much that nothing else would run
                piece = next(self._pieces, None)
                self._inflating = piece is not None
                if piece is not None:
                    return piece
                block = await self._response.content.readany()
                if not block:
                    self._decoder.end()
                    return b""
                self._pieces = self._decoder.decode(block)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise self._broken(error) from None

    def _broken(self, error: Exception) -> StreamCutError:
        if self._cut is None:
            self.close()
            reason = error if isinstance(error, ValueError) else "the connection broke before the answer's end"
            self._cut = StreamCutError(f"{self._endpoint.place}: {reason}")
        return self._cut

    def close(self) -> None:
        """Let go; a pending read raises."""
        if self._cut is None and not self._response.content.at_eof():
            self._cut = StreamCutError(f"{self._endpoint.place}: closed before the answer's end")
            self._response.content.set_exception(self._cut)
        self._response.close()


class _Resolver(AbstractResolver):
    """The system's resolver, behind the guard; `localhost` is never looked up."""

    def __init__(self, guard: Guard | None, *, encrypted: bool) -> None:
        self._guard = guard
        self._encrypted = encrypted
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        if is_localhost(host):
            return [
                _result(host, "127.0.0.1", port, socket.AF_INET),
                _result(host, "::1", port, socket.AF_INET6),
            ]
        if self._guard is not None:
            self._guard.check(host, (), encrypted=self._encrypted)
        results = await self._system.resolve(host, port, family)
        if self._guard is not None:
            self._guard.check(host, [result["host"] for result in results], encrypted=self._encrypted)
        return results

    async def close(self) -> None:
        await self._system.close()


def _result(host: str, address: str, port: int, family: socket.AddressFamily) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=family,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )


def _new_socket(guard: Guard | None, address: AddrInfoType, *, encrypted: bool) -> socket.socket:
    """Open a socket for one connection: the last moment at which the guard can look at the real address."""
    family, kind, protocol, _, sockaddr = address
    if guard is None:
        return socket.socket(family, kind, protocol)
    host = str(sockaddr[0])
    try:
        guard.check("localhost", (host,), encrypted=encrypted)
    except BlockedError as error:
        # As an OSError it counts as a failed connection, so that the library cleans up behind it.
        raise PermissionError(errno.EPERM, str(error)) from None
    made = socket.socket(family, kind, protocol)
    source = loopback_source(host)
    if source is not None:
        try:
            made.bind((source, 0))
        except OSError as error:
            made.close()
            raise OSError(error.errno, f"the loopback interface does not have {source}") from None
    return made


def _is_blocked(error: Exception) -> TypeGuard[aiohttp.ClientConnectorError]:
    """Whether it is what `_new_socket` raised for the guard."""
    return isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno == errno.EPERM
