"""What a provider may ask of HTTP, whatever library carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.transport.endpoint import Endpoint

__all__ = ["ERROR_BODY_LIMIT", "PLAIN_BODY_LIMIT", "Response", "Transport"]

PLAIN_BODY_LIMIT = 64 * 1024 * 1024
"""Bytes a whole answer may have: a thousand embeddings of 3,072 dimensions as text take about 60 MB."""
ERROR_BODY_LIMIT = 64 * 1000
"""Bytes of an error's body that are looked at; the rest is dropped."""


class Response(Protocol):
    """An answer whose headers are in. It must be read to its end or closed."""

    @property
    def status(self) -> int:
        """The HTTP status; a redirect's too, for none is followed."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, upper or lower case alike."""

    async def read(self, limit: int, *, cut: bool = False) -> bytes:
        """Give the whole body, decompressed.

        A body above `limit` bytes raises `BadReplyError`; with `cut` its first `limit` bytes are given, and the
        connection is closed. Raises `StreamCutError` where the connection breaks before the body's end (with `cut`:
        gives what came).
        """

    async def read_some(self) -> bytes:
        """Give the next bytes of the body as soon as there are any, decompressed; none at its end.

        Raises `StreamCutError` where the connection breaks, or `close` is called, before the body's end.
        """

    def close(self) -> None:
        """Let go: at once, and the server sees it, where the body has not been read to its end. Safe to call twice."""


class Transport(Protocol):
    """Sends requests. Nothing is retried, redirected or remembered, and no deadline is kept: callers cancel.

    A request raises `ConnectError` where no answer began, `BlockedError` where the guard forbids the address,
    `BadReplyError` where what answered does not speak HTTP.
    """

    async def post(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Response:
        """Send a request with a body and return once the answer's headers are in."""

    async def get(self, endpoint: Endpoint, headers: Mapping[str, str]) -> Response:
        """Send a request without a body and return once the answer's headers are in."""

    async def aclose(self) -> None:
        """Close every connection. Safe to call twice."""
