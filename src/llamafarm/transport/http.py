"""The transport a farm opens: decides which HTTP library carries it out, and loads that at the first request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.transport.aio import AioClient
    from llamafarm.transport.endpoint import Endpoint
    from llamafarm.transport.guard import Guard
    from llamafarm.transport.protocol import Response, Transport

__all__ = ["HttpTransport"]


class HttpTransport:
    """A pool of connections that are kept alive and shared by all upstreams. It belongs to one event loop.

    With a `guard` only what it allows is connected to, and no proxy is used.
    """

    def __init__(self, guard: Guard | None = None, *, proxies: bool = True) -> None:
        self._guard = guard
        self._proxies = proxies and guard is None
        self._client: AioClient | None = None

    async def post(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Response:
        """Send a request with a body and return once the answer's headers are in."""
        return await self._open().request("POST", endpoint, headers, body)

    async def get(self, endpoint: Endpoint, headers: Mapping[str, str]) -> Response:
        """Send a request without a body and return once the answer's headers are in."""
        return await self._open().request("GET", endpoint, headers, None)

    def _open(self) -> AioClient:
        if self._client is None:
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
