"""``/v1/embeddings``."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from llamafarm.errors import BadCallError
from llamafarm.server.formats.openai.requests import read_call
from llamafarm.server.formats.openai.values import encode
from llamafarm.server.formats.protocol import passes_through
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llamafarm.reply import Reply
    from llamafarm.server.formats.protocol import Dialect, EventWriter, Format
    from llamafarm.server.http.messages import Head
    from llamafarm.types import Call, Chunk, Usage

__all__ = ["Embeddings"]


class Row(msgspec.Struct, gc=False):
    """A vector, as the schema requires it."""

    object: Literal["embedding"]
    index: int
    embedding: msgspec.Raw


class Counts(msgspec.Struct, gc=False):
    """A usage, as the schema requires it."""

    prompt_tokens: int
    total_tokens: int


class Answer(msgspec.Struct, gc=False):
    """An answer, as the schema requires it."""

    object: Literal["list"]
    model: str
    data: list[Row]
    usage: Counts


_answer = msgspec.json.Decoder(Answer)


class Embeddings:
    """Vectors for texts: as numbers, or as base64 of little-endian 32-bit floats, whichever was asked for."""

    dialect: Dialect = "openai"

    def read(self, body: dict[str, Any], head: Head) -> Call:
        """Understand a request. Raises `BadCallError`."""
        call = read_call(body, head, Operation.EMBEDDING)
        if call.stream:
            raise BadCallError("stream is true: embeddings come whole; leave the field out")
        return call

    def whole(self, call: Call, reply: Reply, chunks: Sequence[Chunk]) -> bytes:
        """Write the answer: as it came where it has the schema and the encoding that was asked for, else anew."""
        first = chunks[0]
        packed = call.body.get("encoding_format") == "base64"
        if passes_through(first, reply, "openai") and _is_as_asked(first.raw, packed=packed):
            return first.raw
        rows = [
            {"object": "embedding", "index": index, "embedding": _base64(vector) if packed else vector}
            for index, vector in enumerate(first.vectors or ())
        ]
        usage = _counts(first.usage, call)
        return encode({"object": "list", "data": rows, "model": reply.target.model, "usage": usage})

    def stream(self, call: Call, reply: Reply) -> EventWriter:
        """Refuse: `read` lets no such call through."""
        raise NotImplementedError


def _is_as_asked(raw: bytes, *, packed: bool) -> bool:
    try:
        rows = _answer.decode(raw).data
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return all(bytes(memoryview(row.embedding)[:1]) == (b'"' if packed else b"[") for row in rows)


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


def _counts(usage: Usage | None, call: Call) -> dict[str, int]:
    """Write what reading the texts took; the schema requires it, so where it is not known it is what was estimated."""
    tokens = call.input_tokens if usage is None else usage.input_tokens
    return {"prompt_tokens": tokens, "total_tokens": tokens}


if TYPE_CHECKING:
    _: Format = Embeddings()
