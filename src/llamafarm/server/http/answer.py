"""One answer as bytes: its head, its framing, and what is missing of it."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from llamafarm.server.http.messages import Headers

__all__ = ["Answer", "Wire"]

_VERSION = b"HTTP/1.1 "
_FRAMING = frozenset({"connection", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade"})
_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_INFORMATIONAL = 200
"""Statuses below this are no answers."""


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


@lru_cache(maxsize=256)
def _status_line(status: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n"


class Wire(Protocol):
    """What an answer needs of its connection."""

    transport: asyncio.Transport
    gone: bool
    """Whether the connection is lost."""
    writable: asyncio.Event
    """Set while the client takes what is sent, and when it is gone."""

    @property
    def keeps(self) -> bool:
        """Whether the connection goes on after this answer."""


class Answer:
    """The `Responder` of one request."""

    __slots__ = ("_bodiless", "_chunked", "_probed", "_version", "_wire", "complete", "persists", "started")

    def __init__(self, wire: Wire, *, method: str = "", version: str = "1.1") -> None:
        self._wire = wire
        self._version = version
        self._bodiless = method == "HEAD"
        self._chunked = False
        self._probed = False
        self.started = False
        """Whether the status line has gone out, so that no other can."""
        self.complete = False
        """Whether nothing is missing of it."""
        self.persists = False
        """Whether its head told the client that the connection goes on."""

    def send(self, status: int, headers: Headers, body: bytes) -> None:
        """Give the whole answer; its length is put into the headers. Raises `ValueError` for headers that cannot be."""
        bodiless = status in _BODILESS
        framing = "" if bodiless else f"content-length: {len(body)}\r\n"
        head = self._head(status, headers, framing, keeps=self._wire.keeps)
        self.started = self.complete = True
        self._put(head if bodiless or self._bodiless else head + body)

    def start(self, status: int, headers: Headers) -> None:
        """Begin an answer whose length is not known yet: in chunks, or for HTTP/1.0 until the connection's end."""
        bodiless = self._bodiless or status in _BODILESS
        chunked = self._version == "1.1"
        framing = "transfer-encoding: chunked\r\n" if chunked and status not in _BODILESS else ""
        head = self._head(status, headers, framing, keeps=self._wire.keeps and chunked)
        self._bodiless, self._chunked, self.started = bodiless, chunked, True
        self._put(head)

    async def write(self, data: bytes) -> None:
        """Send the next piece, and wait while the client takes none."""
        if self.complete or not self.started:
            raise RuntimeError("write comes between start and end")
        if self._wire.gone:
            await asyncio.sleep(0)  # the handler has been cancelled: here it learns of it
            return
        if data and not self._bodiless:
            self._wire.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        if not self._wire.writable.is_set():
            await self._wire.writable.wait()

    def end(self) -> None:
        """End what `start` began."""
        if self.complete or not self.started:
            raise RuntimeError("end comes once, after start")
        self.complete = True
        if self._chunked and not self._bodiless:
            self._put(b"0\r\n\r\n")

    def abort(self) -> None:
        """Cut the connection, so that what was sent does not pass for the whole."""
        if not self._wire.gone:
            self._wire.transport.abort()

    def probe(self) -> None:
        """Send what the answer goes on with whatever it is, so that a client that is gone says so.

        Every answer begins with the version, and a chunk's size may begin with a zero: no client sees a difference.
        """
        if not self.started:
            self._probed = True
            self._wire.transport.write(_VERSION)
        elif self._chunked and not self._bodiless and not self.complete:
            self._wire.transport.write(b"0")

    def _put(self, data: bytes) -> None:
        if not self._wire.gone:
            self._wire.transport.write(data)

    def _head(self, status: int, headers: Headers, framing: str, *, keeps: bool) -> bytes:
        if self.started:
            raise RuntimeError("a request is answered once")
        if status < _INFORMATIONAL:
            raise ValueError(f"{status} is no answer")
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\0" in lines:
            raise ValueError("a header of the answer has a line break in it")
        if not _FRAMING.isdisjoint([name.lower() for name, _ in headers]):
            raise ValueError(
                f"of an answer's headers the connection writes these itself: {', '.join(sorted(_FRAMING))}"
            )
        last = (
            "\r\n" if keeps and self._version == "1.1" else f"connection: {'keep-alive' if keeps else 'close'}\r\n\r\n"
        )
        text = f"{_status_line(status)}date: {_date(int(time.time()))}\r\n{lines}{framing}{last}"
        data = text.encode("latin-1")
        self.persists = keeps
        return data[len(_VERSION) :] if self._probed else data
