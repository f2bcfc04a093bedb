"""One client's connection: its requests one after the other, each within its limits and deadlines.

A connection reads a head, then a body, then waits for the answer, and then reads the next head. What comes while it
waits is kept, up to a limit beyond which it stops reading; until then it sees at once when the client goes.

When a client ends only its own side, it may be gone, or it may have said all it had to say: TCP does not tell the two
apart. Other servers (nginx, Go, Node, uvicorn) take it for gone; then a request from ``printf … | nc`` is never
answered. Here the answer's own first bytes are sent ahead, which are the same for every answer: a host whose program is
gone returns a reset, and the request is cancelled within a round trip; a client that still reads gets what it would get
anyway. TLS has no such half: there its end is the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import socket
import struct
import sys
from enum import Enum, auto
from typing import TYPE_CHECKING, cast

from llamafarm.server.http.answer import Answer
from llamafarm.server.http.head import RejectedError
from llamafarm.server.http.intake import Intake
from llamafarm.server.http.messages import Refusal, Request
from llamafarm.server.http.mishaps import FAILED, report, worded

if TYPE_CHECKING:
    from llamafarm.server.http.connections import Connections
    from llamafarm.server.http.messages import Application, Handler, Head

__all__ = ["Connection"]

_FRESH_WHILE_DRAINING = 1.0
"""Seconds a connection without a request so far is given when the server drains: its request may be on the way."""
_FIRST_LOOK = 0.005
_LAST_LOOK = 1.0
"""Seconds between two looks at whether a half-closed connection has been reset; they double from first to last."""


_AT_ONCE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""`SO_LINGER` that makes closing a reset."""


class _Phase(Enum):
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    LINGER = auto()
    """Refused, or answered for the last time: what still comes is dropped."""
    CLOSED = auto()


_HEAD, _BODY, _ANSWER, _LINGER, _CLOSED = _Phase


def _was_reset(transport: asyncio.Transport) -> bool:
    sock = transport.get_extra_info("socket")
    try:
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in {errno.EPIPE, errno.ECONNRESET}
    except OSError:
        return True


def _forget_unsent(transport: asyncio.Transport) -> None:
    """Have the system drop what it holds for a client that takes nothing, megabytes of it; else it goes on trying."""
    with contextlib.suppress(OSError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)


class Connection(asyncio.Protocol):
    """Made by the event loop for each client."""

    def __init__(self, application: Application, connections: Connections) -> None:
        self._application = application
        self._all = connections
        self._limits = connections.limits
        self._phase = _HEAD
        self.transport: asyncio.Transport
        self.gone = False
        self._intake = Intake(self._limits, connections)
        self._answer: Answer | None = None
        self._task: asyncio.Task[None] | None = None
        self._pending = b""
        self._at = 0
        self._reading = True
        self._persists = True
        self._served = 0
        self._ended = False
        self._dropped = 0
        self._unsent = math.inf
        self.deadline = self.since = self._all.loop.time()
        self.peer = ""
        self.writable = asyncio.Event()
        self.writable.set()

    @property
    def keeps(self) -> bool:
        """Whether the connection goes on after the present answer."""
        return self._persists and not self._all.draining

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request, or say that there is no room."""
        self.transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self.peer = name[0] if isinstance(name, tuple) else ""
        if self._all.enter(self):
            self._wait(self._limits.header_timeout)
        elif self._all.turn_away(self):
            self._refuse(503, "the server has as many connections as it takes; try again later")
        else:
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Take what came, or keep it while an answer is under way."""
        if self._phase is _LINGER:
            self._dropped += len(data)
            if self._dropped > self._limits.linger_bytes:
                self.abort()
        elif self._phase is _ANSWER or self._pending or not self.writable.is_set():
            self._pending = self._pending[self._at :] + data
            self._at = 0
            if len(self._pending) > self._limits.pipelined_bytes:
                self._read(on=False)
        elif self._phase is not _CLOSED:
            self._take(data, 0)

    def eof_received(self) -> bool:
        """Go on with what was asked, and find out whether anybody is there to read it."""
        under_way = self._phase is _ANSWER or bool(self._pending)
        if not under_way or self.transport.get_extra_info("ssl_object") is not None:
            return False
        self._ended = True
        if self._answer is not None and self._phase is _ANSWER:
            self._answer.probe()
        self._look(_FIRST_LOOK)
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        """Cancel the request under way, unless its answer is whole."""
        self._phase = _CLOSED
        self.gone = True
        self._intake.forget()
        self._pending = b""
        self.writable.set()
        self._all.leave(self)
        if self._task is not None and self._answer is not None and not self._answer.complete:
            self._all.cancel(self._task)

    def pause_writing(self) -> None:
        """Note that the client takes less than is sent."""
        self.writable.clear()
        self._unsent = self.transport.get_write_buffer_size()
        self.deadline = self._all.loop.time() + self._limits.write_timeout

    def resume_writing(self) -> None:
        """Go on with the answer, or with the next request."""
        self.writable.set()
        if self._phase is _ANSWER:
            self.deadline = math.inf
        elif self._phase is _HEAD:
            started = self._intake.begun
            self._wait(self._limits.header_timeout if started else self._limits.idle_timeout)
            self._next()

    # What all connections together ask for (`connections.Member`).

    def expire(self, now: float) -> None:
        """Act on the deadline, which has passed."""
        unsent = self.transport.get_write_buffer_size()
        if unsent and unsent < self._unsent:
            self._unsent = unsent
            self.deadline = now + self._limits.write_timeout
        elif unsent:
            _forget_unsent(self.transport)
            self.abort()
        elif self._phase is _LINGER or self._phase is _ANSWER:
            self.abort()
        elif self._phase is _BODY:
            self._refuse(408, f"the body did not come within {self._limits.body_timeout:g} s")
        elif self._intake.begun:
            self._refuse(408, f"the headers did not come within {self._limits.header_timeout:g} s")
        else:
            self._close()

    def drain(self) -> None:
        """Close, if nothing is under way and a request has been answered; others get a moment, or their answer."""
        if self._phase is not _HEAD or self._intake.begun or self._pending:
            return
        if self._served:
            self._close()
        else:
            self.deadline = min(self.deadline, self._all.loop.time() + _FRESH_WHILE_DRAINING)

    def evict(self) -> None:
        """Make room for another."""
        self.abort()

    def abort(self) -> None:
        """Close without waiting for anything."""
        if self._phase is not _CLOSED:
            self.transport.abort()

    # A request, from its first byte to its last.

    def _take(self, data: bytes, at: int) -> None:
        """Read one request on from `at`; what follows it is kept for after its answer."""
        heading = self._phase is _HEAD
        try:
            if heading:
                at = self._take_head(data, at)
            if at >= 0 and self._phase is _BODY:
                at = self._take_body(data, at)
                if heading and at < 0:
                    self.deadline = self._all.loop.time() + self._limits.body_timeout
        except RejectedError as error:
            self._refuse(error.status, error.message)
            return
        if 0 <= at < len(data) and self._phase is not _LINGER:
            self._pending, self._at = data, at

    def _take_head(self, data: bytes, at: int) -> int:
        intake = self._intake
        if self._served and not intake.begun:
            self.deadline = self._all.loop.time() + self._limits.header_timeout
        at = intake.feed_head(data, at, self.peer)
        head = intake.head
        if at < 0 or head is None:
            return at
        self._all.waiting.pop(self, None)
        self._persists = intake.persistent()
        try:
            intake.handler = self._application.admit(head)
        except Refusal as refusal:
            if intake.length:
                self._reply(refusal)
            else:
                self._answer_now(refusal, head)
            return at
        except Exception as error:  # noqa: BLE001 - the outer edge: a bug in the application costs one request
            report(error, head)
            raise RejectedError(500, FAILED) from None
        self._phase = _BODY
        return at

    def _take_body(self, data: bytes, at: int) -> int:
        intake = self._intake
        end = intake.feed_body(data, at)
        if end >= 0:
            self._begin()
        elif intake.continues and at == len(data):
            intake.continues = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return end

    def _begin(self) -> None:
        intake = self._intake
        head, handler = intake.head, intake.handler
        if head is None or handler is None:
            raise RuntimeError("a request begins after its head")
        self._phase = _ANSWER
        self.deadline = math.inf if self.writable.is_set() else self.deadline
        self._answer = answer = Answer(self, method=head.method, version=self._intake.version)
        self._task = task = self._all.loop.create_task(self._run(handler, Request(head, intake.content), answer))
        self._all.requests.add(task)
        if self._ended:
            answer.probe()

    async def _run(self, handler: Handler, request: Request, answer: Answer) -> None:
        task = self._task
        try:
            try:
                await handler(request, answer)
            except Exception as error:  # noqa: BLE001 - the outer edge: a bug in a handler costs one request
                report(error, request.head)
            self._answered(answer, request.head)
        except BaseException:
            answer.abort()
            raise
        finally:
            if task is not None:
                self._all.ended(task)

    def _answered(self, answer: Answer, head: Head) -> None:
        """Go on behind a handler that has ended, whatever it has done."""
        if self._phase is not _ANSWER:
            return
        if not answer.started:
            refusal = worded(self._application, 500, FAILED, head)
            answer.send(refusal.status, refusal.headers, refusal.body)
        if not answer.complete:
            answer.abort()
            return
        self._answer = self._task = None
        self._served += 1
        self._intake = Intake(self._limits, self._all)
        if not answer.persists or not self.keeps or (self._ended and not self._pending):
            self._close()
            return
        self._phase = _HEAD
        self._wait(self._limits.idle_timeout)
        self._next()

    def _wait(self, seconds: float) -> None:
        self.since = self._all.loop.time()
        if self.writable.is_set():
            self.deadline = self.since + seconds
            self._unsent = math.inf
        self._all.waiting[self] = None

    def _next(self) -> None:
        """Take the next request out of what has come already."""
        if self._phase is not _HEAD or not self.writable.is_set():
            return
        if self._pending:
            data, at = self._pending, self._at
            self._pending, self._at = b"", 0
            self._read(on=True)
            self._take(data, at)
            if self._ended and self._phase in {_HEAD, _BODY} and not self._pending:
                self._close()  # the rest of this request cannot come any more
        else:
            self._read(on=True)

    # Refusals and ends.

    def _refuse(self, status: int, message: str) -> None:
        self._reply(worded(self._application, status, message, self._intake.head))

    def _reply(self, refusal: Refusal) -> None:
        """Give the connection's last answer, and see that the client comes to read it."""
        self._persists = False
        self._all.waiting.pop(self, None)
        head = self._intake.head
        answer = Answer(self, method=head.method if head else "", version=self._intake.version)
        answer.send(refusal.status, refusal.headers, refusal.body)
        self._linger()

    def _answer_now(self, refusal: Refusal, head: Head) -> None:
        """Answer without a handler; the connection goes on, in the loop's next round so that others have theirs."""
        self._phase = _ANSWER
        self._answer = answer = Answer(self, method=head.method, version=self._intake.version)
        answer.send(refusal.status, refusal.headers, refusal.body)
        self._all.loop.call_soon(self._answered, answer, head)

    def _linger(self) -> None:
        """End our side, and drop what comes until the client ends its own.

        Closed at once, with bytes unread, the connection would be reset, and the answer lost with it.
        """
        self._phase = _LINGER
        self._intake.forget()
        self._pending, self._at = b"", 0
        self._unsent = math.inf
        self.deadline = self._all.loop.time() + self._limits.linger_timeout
        self._read(on=True)
        if self._ended:
            self.transport.close()
        elif self.transport.can_write_eof():
            self.transport.write_eof()

    def _close(self) -> None:
        """Close behind the last answer."""
        if self._pending:
            self._linger()
            return
        self._phase = _LINGER
        self._all.waiting.pop(self, None)
        self._unsent = math.inf
        self.deadline = self._all.loop.time() + self._limits.linger_timeout
        self.transport.close()

    def _read(self, *, on: bool) -> None:
        if on is self._reading or self._ended or self._phase is _CLOSED:
            return
        self._reading = on
        if on:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _look(self, seconds: float) -> None:
        """See whether a half-closed connection has been reset: nothing is told of it while nothing is read."""
        if self._phase is _CLOSED:
            return
        if _was_reset(self.transport):
            self.abort()
            return
        self._all.loop.call_later(seconds, self._look, min(seconds * 2, _LAST_LOOK))
