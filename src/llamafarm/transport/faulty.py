"""A transport that fails on purpose: to see what a chain of targets does when the network or a vendor breaks."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING

from llamafarm.errors import ConnectError, StreamCutError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llamafarm.transport.endpoint import Endpoint
    from llamafarm.transport.protocol import Response, Transport

__all__ = ["RETRY_AFTER", "FaultyTransport", "InjectedFault"]

RETRY_AFTER = 20
"""Seconds that an injected 429 with ``Retry-After`` asks for: longer than anybody waits who can ask another."""


class InjectedFault(StrEnum):
    """What is made to happen to a request."""

    REFUSED = "refused"
    """Nothing listens."""
    TIMEOUT = "timeout"
    """No answer ever: whoever asked has to give up by a timer of its own."""
    RATE_LIMIT = "429"
    RATE_LIMIT_WITH_PAUSE = "429 retry-after"
    """With ``Retry-After``."""
    SERVER_ERROR = "500"
    CUT = "cut"
    """The real answer, broken off when `FaultyTransport.break_off` is called."""


_STATUS = {
    InjectedFault.RATE_LIMIT: 429,
    InjectedFault.RATE_LIMIT_WITH_PAUSE: 429,
    InjectedFault.SERVER_ERROR: 500,
}
_LINE_END = b"\n"


class FaultyTransport:
    """Plays a fault on requests instead of sending them; those to other endpoints go to the transport behind it.

    `at` says which endpoints are meant; without it all are. Only for a cut is the real request sent: its answer comes
    line by line, so that `break_off` ends it right behind the event that has been read.
    """

    def __init__(
        self, transport: Transport, fault: InjectedFault, *, at: Callable[[Endpoint], bool] = lambda _: True
    ) -> None:
        self._transport = transport
        self._fault = fault
        self._at = at
        self._broken = False
        self.played = 0
        """Requests that met the fault."""

    async def post(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Response:
        """Send a request with a body, or play the fault on it."""
        if not self._at(endpoint):
            return await self._transport.post(endpoint, headers, body)
        made = await self._play(endpoint)
        return made or _Line(await self._transport.post(endpoint, headers, body), endpoint, self)

    async def get(self, endpoint: Endpoint, headers: Mapping[str, str]) -> Response:
        """Send a request without a body, or play the fault on it."""
        if not self._at(endpoint):
            return await self._transport.get(endpoint, headers)
        made = await self._play(endpoint)
        return made or _Line(await self._transport.get(endpoint, headers), endpoint, self)

    async def _play(self, endpoint: Endpoint) -> Response | None:
        """Give a made answer, or none where a real one is to be cut."""
        self.played += 1
        match self._fault:
            case InjectedFault.CUT:
                return None
            case InjectedFault.REFUSED:
                raise ConnectError(f"cannot connect to {endpoint.place}: refused (injected)")
            case InjectedFault.TIMEOUT:
                await asyncio.Event().wait()
        return _Made(_STATUS[self._fault], pause=self._fault is InjectedFault.RATE_LIMIT_WITH_PAUSE)

    def break_off(self) -> None:
        """End every answer that is being read as a broken connection would."""
        self._broken = True

    @property
    def is_broken(self) -> bool:
        """Whether answers have been broken off."""
        return self._broken

    async def aclose(self) -> None:
        """Leave the transport behind it open: it belongs to whoever made it."""


class _Made:
    """An error answer that no server gave."""

    def __init__(self, status: int, *, pause: bool) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {
            "content-type": "application/json",
            **({"retry-after": str(RETRY_AFTER)} if pause else {}),
        }
        self._body = b'{"error": {"message": "injected by a test", "type": "injected", "code": null}}'

    async def read(self, limit: int, *, cut: bool = False) -> bytes:  # noqa: ARG002 - it is far below any limit
        body, self._body = self._body, b""
        return body[:limit]

    async def read_some(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        self._body = b""


class _Line:
    """A real answer whose bytes are handed out line by line, until they are broken off."""

    def __init__(self, response: Response, endpoint: Endpoint, transport: FaultyTransport) -> None:
        self._response = response
        self._endpoint = endpoint
        self._transport = transport
        self._held = b""

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    async def read(self, limit: int, *, cut: bool = False) -> bytes:
        return await self._response.read(limit, cut=cut)

    async def read_some(self) -> bytes:
        if self._transport.is_broken:
            self._response.close()
            raise StreamCutError(f"{self._endpoint.place}: the connection broke before the answer's end (injected)")
        if not self._held:
            self._held = await self._response.read_some()
        end = self._held.find(_LINE_END) + 1 or len(self._held)
        line, self._held = self._held[:end], self._held[end:]
        return line

    def close(self) -> None:
        self._held = b""
        self._response.close()


if TYPE_CHECKING:
    _transport: type[Transport] = FaultyTransport
    _made: type[Response] = _Made
    _line: type[Response] = _Line
