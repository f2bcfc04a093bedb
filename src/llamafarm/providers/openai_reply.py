"""Judges an answer in OpenAI's format: by its status, its content type, and a plain one by what is in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import msgspec

from llamafarm.errors import AttemptError, BadReplyError
from llamafarm.providers.complaints import read_complaint
from llamafarm.providers.failures import classify, classify_inner
from llamafarm.providers.openai_wire import (
    MalformedError,
    chunks_of,
    decode_completion,
    decode_embeddings,
    is_error,
    usage_of,
)
from llamafarm.transport.protocol import ERROR_BODY_LIMIT, PLAIN_BODY_LIMIT
from llamafarm.types import Chunk, Operation

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from llamafarm.providers.failures import Peer
    from llamafarm.transport import Endpoint, Response
    from llamafarm.types import Call, Target

__all__ = ["named", "read_whole", "require_answer"]

_ERROR_BODY_SECONDS = 5.0
"""The status has decided already; the body only says why."""
_SUCCESS, _REDIRECT = 200, 300

T = TypeVar("T")


async def named(work: Awaitable[T], target: Target) -> T:
    """Put the provider's name in front of what the transport, which knows only hosts, says."""
    try:
        return await work
    except AttemptError as error:
        if str(error).startswith(f"{target.provider} "):
            raise
        raise type(error)(f"{target.provider}: {error}") from None


async def require_answer(response: Response, peer: Peer, endpoint: Endpoint, *, streamed: bool) -> None:
    """Raise what the status, or the content type, says against an answer."""
    if not _SUCCESS <= response.status < _REDIRECT:
        raise classify(response.status, response.headers, await _error_body(response), peer)
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "text/html" or (not streamed and content_type == "text/event-stream"):
        raise _not_an_answer(content_type, peer, endpoint)
    if streamed and content_type == "application/json":
        _require_no_error(await response.read(PLAIN_BODY_LIMIT), peer)
        raise _not_an_answer(f"{content_type} instead of a stream", peer, endpoint)


async def _error_body(response: Response) -> bytes:
    try:
        async with asyncio.timeout(_ERROR_BODY_SECONDS):
            return await response.read(ERROR_BODY_LIMIT, cut=True)
    except TimeoutError:
        return b""
    finally:
        response.close()


def _require_no_error(body: bytes, peer: Peer) -> None:
    try:
        reply, body = decode_completion(body)
    except MalformedError:
        return
    if is_error(reply):
        raise classify_inner(read_complaint(msgspec.json.decode(body)), peer)


def _not_an_answer(what: str, peer: Peer, endpoint: Endpoint) -> BadReplyError:
    return BadReplyError(f"{peer} answered {what} at {endpoint.shown}; is this an OpenAI-compatible endpoint?")


async def read_whole(response: Response, call: Call, peer: Peer, endpoint: Endpoint) -> Chunk:
    """Read a plain answer into the one chunk it is. Raises `BadReplyError` where it is not one, or not complete."""
    body = await response.read(PLAIN_BODY_LIMIT)
    try:
        return _vectors(body, peer) if call.operation is Operation.EMBEDDING else _completion(body, peer)
    except MalformedError as error:
        raise _not_an_answer(f"what is no answer ({error})", peer, endpoint) from None


def _completion(body: bytes, peer: Peer) -> Chunk:
    reply, raw = decode_completion(body)
    if is_error(reply):
        raise classify_inner(read_complaint(msgspec.json.decode(raw)), peer)
    if not reply.choices:
        raise MalformedError("it has no choices")
    if not all(choice.finish_reason for choice in reply.choices):
        raise BadReplyError(f"{peer} gave an answer without a finish reason: it may be cut short")
    return chunks_of(reply, raw)[0]


def _vectors(body: bytes, peer: Peer) -> Chunk:
    reply, raw = decode_embeddings(body)
    if is_error(reply):
        raise classify_inner(read_complaint(msgspec.json.decode(raw)), peer)
    if not reply.data or any(bytes(vector.embedding) in (b"", b"null", b"[]", b'""') for vector in reply.data):
        raise MalformedError("it has no vectors")
    return Chunk(raw, usage=usage_of(reply.usage) if reply.usage else None)
