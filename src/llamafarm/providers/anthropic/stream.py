"""Turns the events of a streamed answer in Anthropic's format into chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm.providers.anthropic.reply import Events, decode_event
from llamafarm.providers.complaints import read_inner
from llamafarm.providers.decoding import MalformedError
from llamafarm.providers.failures import classify_inner
from llamafarm.providers.stream import ChunkStream
from llamafarm.transport import SSEParser

if TYPE_CHECKING:
    from llamafarm.providers.failures import Peer
    from llamafarm.providers.stream import Limits
    from llamafarm.transport import Event, Response

__all__ = ["AnthropicStream"]


class AnthropicStream(ChunkStream):
    """The chunks of one streamed answer in Anthropic's format: server-sent events up to ``message_stop``.

    ``ping`` and other events without a part of the answer are passed on as their bytes; they are no sign of
    progress, but those of a tool that the vendor itself runs are.
    """

    __slots__ = ("_events",)

    def __init__(self, response: Response, peer: Peer, limits: Limits, answer_tool: str | None = None) -> None:
        super().__init__(response, peer, limits, SSEParser())
        self._events = Events(answer_tool)

    def _take(self, event: Event) -> None:
        data = event.data.strip()
        if not data:
            return
        try:
            read, raw = decode_event(data)
            if read.type == "error":
                self._fail(classify_inner(read_inner(raw), self._peer, begun=self._begun))
                return
            chunk = self._events.take(read, raw)
        except MalformedError as error:
            self._skip(error)
            return
        if self._events.at_vendors_tool:
            self._count_as_progress()
        self._give(chunk)
        if read.type == "message_stop":
            self._end()
