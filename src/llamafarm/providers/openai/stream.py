"""Turns the events of a streamed answer in OpenAI's format into chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.providers.complaints import read_inner
from llamafarm.providers.decoding import MalformedError
from llamafarm.providers.failures import classify_inner
from llamafarm.providers.openai.wire import chunks_of, decode_completion, is_error
from llamafarm.providers.stream import ChunkStream
from llamafarm.transport import SSEParser

if TYPE_CHECKING:
    from llamafarm.providers.failures import Peer
    from llamafarm.providers.stream import Limits
    from llamafarm.transport import Event, Response
    from llamafarm.types import Chunk

__all__ = ["OpenAIStream"]


class OpenAIStream(ChunkStream):
    """The chunks of one streamed answer in OpenAI's format: server-sent events up to ``[DONE]``."""

    __slots__ = ()

    def __init__(self, response: Response, peer: Peer, limits: Limits) -> None:
        super().__init__(response, peer, limits, SSEParser())

    def _take(self, event: Event) -> None:
        data = event.data.strip()
        if not data:
            return
        if data == b"[DONE]":
            self._end()
            return
        try:
            reply, raw = decode_completion(data)
        except MalformedError as error:
            self._skip(error)
            return
        if is_error(reply):
            complaint = read_inner(raw)
            self._fail(classify_inner(complaint, self._peer, begun=self._begun))
            return
        for chunk in chunks_of(reply, raw):
            self._give(chunk)

    def _unfinished(self, chunk: Chunk) -> bytes:
        if not chunk.raw:
            return b""
        event: dict[str, Any] = msgspec.json.decode(chunk.raw)
        choices = [
            {**choice, "finish_reason": None} if (choice.get("index") or 0) == chunk.index else choice
            for choice in event["choices"]
        ]
        return msgspec.json.encode({**event, "choices": choices})
