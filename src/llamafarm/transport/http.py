"""The transport a farm opens: decides which HTTP library carries it out, and loads that at the first request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm.transport.knock import knock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.transport.aio import AioClient
    from llamafarm.transport.endpoint import Endpoint
    from llamafarm.transport.guard import Guard
    from llamafarm.transport.protocol import Response, Transport

__all__ = ["HttpTransport"]


class HttpTransport:
    """A pool of connections that are kept alive and shared by all upstreams. It belongs to one event loop.

    With a `guard` only what it allows is connected to, and proxies are used only where it lets them be.
    """

    def __init__(self, guard: Guard | None = None, *, proxies: bool = True) -> None:
        self._guard = guard
        self._proxies = proxies and (guard is None or guard.proxies)
        self._client: AioClient | None = None

    async def post(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Response:
        """Send a request with a body and return once the answer's headers are in."""
        return await (await self._open(endpoint)).request("POST", endpoint, headers, body)

    async def get(self, endpoint: Endpoint, headers: Mapping[str, str]) -> Response:
        """Send a request without a body and return once the answer's headers are in."""
        return await (await self._open(endpoint)).request("GET", endpoint, headers, None)

    async def _open(self, endpoint: Endpoint) -> AioClient:
        if self._client is None:
            await knock(endpoint, self._guard)
        if self._client is None:  # another request may have come first
            from llamafarm.transport.aio import AioClient

            self._client = AioClient(self._guard, proxies=self._proxies)
        return self._client

    async def aclose(self) -> None:
        """Close every connection. Safe to call twice; a later request opens a new pool."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


if TYPE_CHECKING:
    _: Transport = HttpTransport()
