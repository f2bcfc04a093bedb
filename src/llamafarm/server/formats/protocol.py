"""What an API is to the gateway. Its modules do no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llamafarm.errors import LlamaFarmError
    from llamafarm.reply import Reply
    from llamafarm.server.http.messages import Head
    from llamafarm.types import Call, Chunk, Target

__all__ = ["Dialect", "EventWriter", "Format", "continued_by", "on_one_line", "passes_through", "speaks"]

Dialect = Literal["openai", "anthropic"]

_BYTES: Mapping[str, Dialect] = {"openai": "openai", "embedded": "openai", "anthropic": "anthropic"}
"""In whose format the bytes of a target's chunks are, by the target's dialect."""


def speaks(target: Target, dialect: Dialect) -> bool:
    """Tell whether the bytes of a target's chunks are in the format of this dialect's clients."""
    return _BYTES.get(target.dialect) == dialect


def continued_by(name: str) -> bytes:
    """Write that another target goes on from here, in a comment, which clients leave out."""
    shown = "".join(one if one.isprintable() else " " for one in name)[:200]
    return f": llamafarm continued by {shown}\n\n".encode("utf-8", "replace")


def on_one_line(raw: bytes) -> bytes:
    """Give JSON without line breaks, which would cut an event; it has them only between values."""
    if b"\n" in raw or b"\r" in raw:
        return raw.replace(b"\r", b" ").replace(b"\n", b" ")
    return raw


def passes_through(chunk: Chunk, reply: Reply, dialect: Dialect) -> bool:
    """Tell whether a chunk's bytes are already what a client of this dialect expects."""
    return bool(chunk.raw) and speaks(reply.target, dialect)


class EventWriter(Protocol):
    """Writes one streamed answer as server-sent events, each piece ready to be sent; empty where there is none."""

    def write(self, chunk: Chunk) -> bytes:
        """Give the events of the next chunk."""

    def end(self) -> bytes:
        """Give what closes a whole answer."""

    def fail(self, error: LlamaFarmError, request_id: str) -> bytes:
        """Give the event that tells the client of an error in the midst of the answer, and what closes it."""


class Format(Protocol):
    """One API. Its objects hold nothing of a request."""

    dialect: Dialect
    """Whose errors its clients expect."""

    def read(self, body: dict[str, Any], head: Head) -> Call:
        """Understand a request. Raises `BadCallError`, which names the field."""

    def whole(self, call: Call, reply: Reply, chunks: Sequence[Chunk]) -> bytes:
        """Write a plain answer as JSON, from all its chunks."""

    def stream(self, call: Call, reply: Reply) -> EventWriter:
        """Begin to write a streamed answer."""
