"""Judges an answer in OpenAI's format: by its status, its content type, and a plain one by what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm.errors import BadReplyError
from llamafarm.providers.complaints import read_inner
from llamafarm.providers.decoding import MalformedError
from llamafarm.providers.failures import classify_inner
from llamafarm.providers.openai.pictures import read_pictures
from llamafarm.providers.openai.vectors import read_vectors
from llamafarm.providers.openai.wire import (
    decode_completion,
    decode_embeddings,
    is_error,
    usage_of,
    whole_chunks,
)
from llamafarm.providers.requesting import require_success
from llamafarm.transport.protocol import PLAIN_BODY_LIMIT
from llamafarm.types import Chunk, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llamafarm.providers.failures import Peer
    from llamafarm.providers.stream import Limits
    from llamafarm.transport import Endpoint, Response
    from llamafarm.types import Call

__all__ = ["read_whole", "require_answer"]


async def require_answer(response: Response, peer: Peer, limits: Limits, endpoint: Endpoint, *, streamed: bool) -> None:
    """Raise what the status, or the content type, says against an answer."""
    await require_success(response, peer, limits=limits)
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "text/html" or (not streamed and content_type == "text/event-stream"):
        raise _not_an_answer(content_type, peer, endpoint)
    if streamed and content_type == "application/json":
        _require_no_error(await response.read(PLAIN_BODY_LIMIT), peer)
        raise _not_an_answer(f"{content_type} instead of a stream", peer, endpoint)


def _require_no_error(body: bytes, peer: Peer) -> None:
    try:
        reply, body = decode_completion(body)
    except MalformedError:
        return
    if is_error(reply):
        raise classify_inner(read_inner(body), peer)


def _not_an_answer(what: str, peer: Peer, endpoint: Endpoint) -> BadReplyError:
    return BadReplyError(f"{peer} answered {what} at {endpoint.shown}; is this an OpenAI-compatible endpoint?")


async def read_whole(response: Response, call: Call, peer: Peer, endpoint: Endpoint) -> list[Chunk]:
    """Read a plain answer into a chunk for each choice, choice 0 first.

    Raises `BadReplyError` where it is not one, or not complete.
    """
    body = await response.read(PLAIN_BODY_LIMIT)
    try:
        return _READERS.get(call.operation, _completion)(body, peer)
    except MalformedError as error:
        raise _not_an_answer(f"what is no answer ({error})", peer, endpoint) from None


def _completion(body: bytes, peer: Peer) -> list[Chunk]:
    reply, raw = decode_completion(body)
    if is_error(reply):
        raise classify_inner(read_inner(raw), peer)
    if not reply.choices:
        raise MalformedError("it has no choices")
    if not all(choice.finish_reason for choice in reply.choices):
        raise BadReplyError(f"{peer} gave an answer without a finish reason: it may be cut short")
    chunks = whole_chunks(reply, raw)
    if chunks[0].index != 0:
        given = ", ".join(str(chunk.index) for chunk in chunks)
        raise BadReplyError(f"{peer} gave an answer without choice 0: its choices are {given}")
    return chunks


def _vectors(body: bytes, peer: Peer) -> list[Chunk]:
    reply, raw = decode_embeddings(body)
    if is_error(reply):
        raise classify_inner(read_inner(raw), peer)
    if not reply.data:
        raise MalformedError("it has no vectors")
    return [Chunk(raw, usage=usage_of(reply.usage) if reply.usage else None, vectors=read_vectors(raw))]


def _pictures(body: bytes, peer: Peer) -> list[Chunk]:
    return [read_pictures(body, peer)]


_READERS: Mapping[Operation, Callable[[bytes, Peer], list[Chunk]]] = {
    Operation.EMBEDDING: _vectors,
    Operation.IMAGE: _pictures,
}
