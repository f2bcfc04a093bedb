"""One request on its way in: its head, then its body, counted with all the others' that are being received."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm.server.http.body import ChunkedBody, SizedBody
from llamafarm.server.http.head import CHUNKED, HeadParser, RejectedError

if TYPE_CHECKING:
    from llamafarm.server.http.body import Body
    from llamafarm.server.http.connections import Connections
    from llamafarm.server.http.limits import Limits
    from llamafarm.server.http.messages import Handler, Head

__all__ = ["Intake"]


class Intake:
    """Takes one request as it comes."""

    __slots__ = ("_all", "_body", "_counted", "_limits", "_parser", "content", "continues", "handler", "head", "length")

    def __init__(self, limits: Limits, connections: Connections) -> None:
        self._all = connections
        self._limits = limits
        self._parser = HeadParser(limits)
        self._body: Body | None = None
        self._counted = 0
        self.head: Head | None = None
        self.handler: Handler | None = None
        """Who answers, once the application has said so."""
        self.length = 0
        """The body's, or `CHUNKED`."""
        self.continues = False
        """Whether the client waits for a 100 before it sends its body."""
        self.content = b""
        """The whole body, once `feed_body` has said where it ends."""

    @property
    def begun(self) -> bool:
        """Whether a byte has come."""
        return self._parser.size > 0

    @property
    def version(self) -> str:
        """The client's version of HTTP; 1.1 until it is known."""
        return self._parser.version or "1.1"

    def persistent(self) -> bool:
        """Whether the client would go on with the connection."""
        return self._parser.persistent()

    def feed_head(self, data: bytes, at: int, peer: str) -> int:
        """Take the head from `data` at `at`; give where it ends, or -1 while it does not. Raises `RejectedError`."""
        at = self._parser.feed(data, at)
        if at >= 0:
            self.head = self._parser.head(peer)
            self.length = self._parser.length()
            self.continues = self._parser.continues()
        return at

    def feed_body(self, data: bytes, at: int) -> int:
        """Take the body likewise."""
        if self._body is None:
            if self.length > self._limits.body_bytes:
                raise RejectedError(413, f"the body is longer than {self._limits.body_bytes} bytes")
            end = at + self.length
            if self.length >= 0 and end <= len(data):
                self.content = data[at:end]
                return end
            self._body = ChunkedBody(self._limits.body_bytes) if self.length == CHUNKED else SizedBody(self.length)
        body = self._body
        end = body.feed(data, at)
        if end >= 0:
            self.content = bytes(body.content)
            self.forget()
            return end
        added = len(body.content) - self._counted
        self._counted += added
        self._all.buffered += added
        if self._all.buffered > self._limits.buffered_bytes:
            raise RejectedError(503, "the server is receiving as much as it can hold; try again later")
        return end

    def forget(self) -> None:
        """Let go of a body that is whole, or will never be."""
        self._all.buffered -= self._counted
        self._counted = 0
        self._body = None
