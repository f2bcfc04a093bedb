"""The Responses API as one of the gateway's formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.server.formats.responses import answer, request
from llamafarm.server.formats.responses.stream import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llamafarm.reply import Reply
    from llamafarm.server.formats.protocol import Dialect, EventWriter
    from llamafarm.server.http.messages import Head
    from llamafarm.types import Call, Chunk

__all__ = ["Responses"]


class Responses:
    """Reads and writes ``POST /v1/responses``."""

    dialect: Dialect = "openai"

    def read(self, body: dict[str, Any], head: Head) -> Call:
        """Understand a request. Raises `BadCallError`, which names the field."""
        return request.read(body, head)

    def whole(self, call: Call, reply: Reply, chunks: Sequence[Chunk]) -> bytes:
        """Write a plain answer as JSON, from all its chunks."""
        return answer.whole(call, reply, chunks)

    def stream(self, call: Call, reply: Reply) -> EventWriter:
        """Begin to write a streamed answer."""
        return Writer(call, reply)
