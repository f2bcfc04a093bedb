"""Judges an answer of Ollama's: a stream line by line, a plain one by what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm.errors import BadReplyError
from llamafarm.providers.decoding import MalformedError
from llamafarm.providers.ollama.failures import classify, classify_inner
from llamafarm.providers.ollama.wire import Translation, decode, decode_embeddings, has_error
from llamafarm.providers.requesting import Whole, require_success
from llamafarm.providers.stream import ChunkStream
from llamafarm.transport import NDJSONParser
from llamafarm.transport.protocol import PLAIN_BODY_LIMIT
from llamafarm.types import Chunk, Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llamafarm.providers.failures import Peer
    from llamafarm.providers.ollama.wire import Reply
    from llamafarm.providers.stream import Limits
    from llamafarm.transport import Event, Response

__all__ = ["LineStream", "read_answer"]

_NOT_OLLAMA = ("text/html", "text/event-stream")


async def read_answer(
    response: Response, peer: Peer, limits: Limits, operation: Operation, *, streamed: bool
) -> AsyncIterator[Chunk]:
    """Give the answer's chunks: as they come, or the one of a plain answer. Raises `AttemptError`."""
    await require_success(response, peer, classify, limits=limits)
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type in _NOT_OLLAMA:
        raise _not_an_answer(content_type, peer)
    if streamed:
        return LineStream(response, peer, limits)
    body = await response.read(PLAIN_BODY_LIMIT)
    try:
        return Whole(_vectors(body, peer) if operation is Operation.EMBEDDING else _completion(body, peer))
    except MalformedError as error:
        raise _not_an_answer(f"what is no answer ({error})", peer) from None


class LineStream(ChunkStream):
    """The chunks of one streamed answer: a line of JSON each, up to the one that is ``done``."""

    __slots__ = ("_translation",)

    def __init__(self, response: Response, peer: Peer, limits: Limits) -> None:
        super().__init__(response, peer, limits, NDJSONParser())
        self._translation = Translation()

    def _take(self, event: Event) -> None:
        try:
            reply, raw = decode(event.data)
        except MalformedError as error:
            self._skip(error)
            return
        if has_error(reply):
            self._fail(classify_inner(raw, self._peer, begun=self._begun))
        elif reply.only_loaded:
            midst = self._cut(f"{reply.done_reason}ed the model in the midst of its answer")
            self._fail(midst if self._begun else _only_loaded(reply, self._peer))
        else:
            self._give(self._translation.chunk(reply, raw))
            if reply.done:
                self._end()


def _completion(body: bytes, peer: Peer) -> Chunk:
    reply, raw = decode(body)
    if has_error(reply):
        raise classify_inner(raw, peer)
    if reply.done is None and reply.message is None and reply.response is None:
        raise MalformedError("it has no message")
    if not reply.done:
        raise BadReplyError(f"{peer} gave an answer that is not done: it may be cut short")
    chunk = Translation().chunk(reply, raw)
    if reply.only_loaded and chunk.has_token:
        raise BadReplyError(f"{peer} {reply.done_reason}ed the model in the midst of its answer")
    if reply.only_loaded:
        raise _only_loaded(reply, peer)
    return chunk


def _only_loaded(reply: Reply, peer: Peer) -> BadReplyError:
    return BadReplyError(f"{peer} only {reply.done_reason}ed the model and answered nothing; is the prompt empty?")


def _vectors(body: bytes, peer: Peer) -> Chunk:
    reply, raw = decode_embeddings(body)
    if has_error(reply):
        raise classify_inner(raw, peer)
    if not reply.embeddings or not all(reply.embeddings):
        raise MalformedError("it has no vectors")
    return reply.chunk(raw)


def _not_an_answer(what: str, peer: Peer) -> BadReplyError:
    return BadReplyError(f"{peer} answered {what}; is this Ollama? check base_url")
