"""Reads the answer to an image request in OpenAI's format: whole only when every picture is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llamafarm.providers.complaints import read_inner
from llamafarm.providers.decoding import MalformedError, count, decode
from llamafarm.providers.failures import classify_inner
from llamafarm.providers.openai.wire import Embeddings, is_error, usage_of
from llamafarm.types import Chunk, Usage

if TYPE_CHECKING:
    from llamafarm.providers.failures import Peer

__all__ = ["read_pictures"]


class Picture(msgspec.Struct, gc=False):
    """One picture: itself, or where it can be fetched."""

    b64_json: str | None = None
    url: str | None = None


class Pictures(msgspec.Struct, gc=False):
    """The answer to an image request."""

    data: list[Picture] | None = None
    usage: msgspec.Raw = msgspec.Raw()


_error = msgspec.json.Decoder(Embeddings)
_pictures = msgspec.json.Decoder(Pictures)


def read_pictures(body: bytes, peer: Peer) -> Chunk:
    """Make the one chunk of an answer; it has no text. Raises `MalformedError`, or the error in the answer's place."""
    reply, raw = decode(_pictures, body)
    if not reply.data:
        complaint, _ = decode(_error, body)
        if is_error(complaint):
            raise classify_inner(read_inner(raw), peer)
        raise MalformedError("it has no pictures")
    if not all(picture.b64_json or picture.url for picture in reply.data):
        raise MalformedError("a picture in it is neither there nor anywhere else")
    return Chunk(raw, usage=_usage(reply.usage) if reply.usage else None)


def _usage(raw: msgspec.Raw) -> Usage | None:
    """Read a usage, by the names that OpenAI has for pictures, or else by those for text."""
    usage = msgspec.json.decode(raw)
    given = [count(usage.get(f"{name}_tokens")) for name in ("input", "output")] if isinstance(usage, dict) else []
    if len(given) == 2 and given[0] is not None and given[1] is not None:  # noqa: PLR2004 - input and output
        return Usage(given[0], given[1])
    return usage_of(raw)
