"""What the parent and a worker say to each other over the socket between them."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    import socket

__all__ = ["Answer", "Ask", "Heard", "Hire", "Link", "Load", "Loaded", "Message", "Ready", "Refused", "Renew", "Stop"]

_HEAD = struct.Struct("!I")
"""In front of each message: its length in bytes."""


class Heard(msgspec.Struct, tag="heard", frozen=True):
    """From a worker to all: whether a target is left out (`health.Standing`)."""

    target: str
    """A hash of its identity with the run's secret, so that nothing of its key is in it."""
    until: float | None = None
    ways: tuple[tuple[str, float], ...] = ()
    cooling_until: float | None = None
    probing: bool = False


class Load(msgspec.Struct, tag="load", frozen=True):
    """To a worker: what it serves from now on."""

    generation: int
    path: bytes | None
    """The strategy file's; None: the shipped strategies."""
    text: str
    """What the file held when the parent found it good: a worker that starts later serves the same."""
    names: tuple[str, ...]
    """The strategies of it."""


class Hire(msgspec.Struct, tag="hire", frozen=True):
    """To a worker, first of all: its place among the others, and descriptors that it has inherited."""

    load: Load
    failure: str | None
    """Why the last reload was refused."""
    host: str | None
    port: int | None
    row: int
    rows: int
    sockets: tuple[int, ...]
    board: int
    bell: int
    """What it listens to."""
    bells: tuple[int, ...]
    """What it rings, by row."""
    secret: bytes
    """What targets' identities are hashed with."""
    level: str
    log_format: Literal["json", "text"]
    heard: tuple[Heard, ...]


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """To a worker: a reload came to nothing."""

    failure: str


class Renew(msgspec.Struct, tag="renew", frozen=True):
    """To a worker: read the certificate's files again."""


class Stop(msgspec.Struct, tag="stop", frozen=True):
    """To a worker: drain and end."""


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """From a worker: it accepts."""


class Loaded(msgspec.Struct, tag="loaded", frozen=True):
    """From a worker: it serves this generation, or could not load it."""

    generation: int


class Ask(msgspec.Struct, tag="ask", frozen=True):
    """From a worker: reload everywhere, and tell me what came of it."""

    number: int


class Answer(msgspec.Struct, tag="answer", frozen=True):
    """To a worker: what came of it."""

    number: int
    said: dict[str, Any] | None
    failure: str


Message = Heard | Load | Hire | Refused | Renew | Stop | Ready | Loaded | Ask | Answer
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


class Link:
    """One end of the socket. It belongs to the event loop in which it is opened."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, sock: socket.socket) -> Link:
        """Take a connected socket over."""
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def send(self, message: Message) -> None:
        """Send without waiting; to an end that is gone nothing is sent."""
        if not self._writer.is_closing():
            body = msgspec.json.encode(message)
            self._writer.write(_HEAD.pack(len(body)) + body)

    async def receive(self) -> Message | None:
        """Wait for a message; None: the other end is gone."""
        try:
            (length,) = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
            return _decoder.decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def aclose(self) -> None:
        """Close this end."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
