"""A TCP proxy on loopback that breaks the connections through it: cut, reset, silent or slow, at a byte you choose."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import struct
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit

__all__ = ["ChaosProxy", "Fault", "close_after", "drip", "hang_after", "reset_after"]

_HEAD_END = b"\r\n\r\n"
_BLOCK = 64 * 1024
_ACCEPT_TURNS = 5
"""Turns of the event loop within which asyncio hands over a connection that it has just accepted; until Python 3.12
one that is still on its way is lost, and never closed, by closing the server."""
_ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time at all: closing then sends a reset, and drops what has not been sent."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one connection; as it stands, nothing does.

    Bytes are those of the far end's answer as they go over the wire, head, chunk sizes and all. A connection that is
    kept for a second request goes on counting.
    """

    after: float = math.inf
    """Bytes that are passed on before `then` happens; with 0 it happens once the far end begins to answer."""
    then: Literal["reset", "close", "hang"] = "reset"
    """An RST; a FIN, as from a server that exits; or nothing at all, until the client leaves."""
    of: Literal["answer", "body"] = "answer"
    """Whether `after` counts from the first byte, or from the one behind the head's blank line."""
    piece: int = _BLOCK
    """The most bytes that are passed on at once."""
    pause: float = 0.0
    """Seconds between two pieces."""


def reset_after(count: int, *, of: Literal["answer", "body"] = "answer") -> Fault:
    """Pass `count` bytes on, then reset the connection."""
    return Fault(count, "reset", of)


def close_after(count: int, *, of: Literal["answer", "body"] = "answer") -> Fault:
    """Pass `count` bytes on, then close the connection in the usual way."""
    return Fault(count, "close", of)


def hang_after(count: int, *, of: Literal["answer", "body"] = "answer") -> Fault:
    """Pass `count` bytes on, and nothing more."""
    return Fault(count, "hang", of)


def drip(piece: int = 1, pause: float = 0.0) -> Fault:
    """Pass everything on, a few bytes at a time."""
    return Fault(piece=piece, pause=pause)


class ChaosProxy:
    """Stands between a client and a server on this machine, with a fault for each connection, of which the last stays.

    ::

        async with FakeServer() as server, ChaosProxy(server.base_url, reset_after(200), Fault()) as proxy:
            ...  # a target with base_url proxy.base_url: its first connection breaks, those after it do not

    `script` may be changed at any time; a connection takes its fault when it is accepted. `refuse` and `listen` make
    the port dead and alive.
    """

    def __init__(self, base_url: str, *script: Fault) -> None:
        """Take the `base_url` of the far end; the proxy's own has another port, and is known once it is entered."""
        self._url = urlsplit(base_url)
        self.script = list(script) or [Fault()]
        self.base_url = ""
        self.connections = 0
        """Accepted so far."""
        self.passed = 0
        """Bytes of answers that were passed on, all connections together."""
        self._port = 0
        self._bound: socket.socket | None = None
        """Holds the port while nothing listens there."""
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._idle = asyncio.Event()

    @property
    def open_connections(self) -> int:
        """Connections whose client has not left yet."""
        return len(self._open)

    async def until_idle(self, seconds: float = 5.0) -> None:
        """Wait until no connection is open, not even one that is only kept; TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            while self._open:
                self._idle.clear()
                await self._idle.wait()

    async def refuse(self) -> None:
        """Refuse connections from now on, and reset those that are open."""
        await self._stop()
        self._bound = _bind(self._port)

    async def listen(self) -> None:
        """Take connections again, at the same port."""
        if self._server is None:
            bound, self._bound = self._bound or _bind(self._port), None
            self._port = bound.getsockname()[1]
            self._server = await asyncio.start_server(self._accept, sock=bound)

    async def __aenter__(self) -> Self:
        await self.listen()
        url = self._url
        self.base_url = f"{url.scheme}://127.0.0.1:{self._port}{url.path}"
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._stop()
        if self._bound is not None:
            self._bound.close()
            self._bound = None

    async def _stop(self) -> None:
        if self._server is not None:
            for _ in range(_ACCEPT_TURNS):
                await asyncio.sleep(0)
            self._server.close()
            self._server = None
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await asyncio.sleep(0)  # transports report their end one turn after they are closed

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        fault = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        task = asyncio.get_running_loop().create_task(self._serve(fault, reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task).transport.abort()  # again, for a task that was cancelled before it ran
        self._idle.set()

    async def _serve(self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._carry(fault, reader, writer)
        except asyncio.CancelledError:
            _reset(writer)
        finally:
            await _close(writer)

    async def _carry(self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        except OSError:
            _reset(writer)
            return
        asking = asyncio.ensure_future(_ask(reader, far_writer))
        answering = asyncio.ensure_future(self._answer(fault, far_reader, writer))
        try:
            await asyncio.wait((asking, answering), return_when=asyncio.FIRST_COMPLETED)
        finally:
            asking.cancel()
            answering.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)
            await _close(far_writer)

    async def _answer(self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass the answer on, piece by piece, until its end or the fault."""
        try:
            left = fault.after
            if fault.of == "body":
                await self._pass(await reader.readuntil(_HEAD_END), fault, writer)
            while block := await reader.read(_BLOCK):
                await self._pass(block if left >= len(block) else block[: int(left)], fault, writer)
                left -= len(block)
                if left <= 0:
                    break
            else:
                return
        except (ConnectionError, asyncio.IncompleteReadError):
            _reset(writer)
            return
        if fault.then == "hang":
            await asyncio.Event().wait()  # `_ask` sees the client leave
        if fault.then == "reset":
            _reset(writer)

    async def _pass(self, block: bytes, fault: Fault, writer: asyncio.StreamWriter) -> None:
        for at in range(0, len(block), fault.piece):
            part = block[at : at + fault.piece]
            writer.write(part)
            await writer.drain()
            self.passed += len(part)
            if fault.piece < _BLOCK or fault.pause:
                await asyncio.sleep(fault.pause)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass requests on until the client leaves."""
    with contextlib.suppress(ConnectionError):
        while block := await reader.read(_BLOCK):
            writer.write(block)
            await writer.drain()


def _bind(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    writer.transport.abort()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()
