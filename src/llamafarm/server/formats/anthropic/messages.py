"""`/v1/messages` and `/v1/messages/count_tokens`, each as what the gateway takes for an API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.server.formats.anthropic.request import read_count, read_messages
from llamafarm.server.formats.anthropic.stream import MessageEvents
from llamafarm.server.formats.anthropic.whole import message_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llamafarm.reply import Reply
    from llamafarm.server.formats.protocol import Dialect, EventWriter, Format
    from llamafarm.server.http.messages import Head
    from llamafarm.types import Call, Chunk

__all__ = ["CountTokens", "Messages"]


class Messages:
    """Reads requests and writes answers."""

    dialect: Dialect = "anthropic"

    def read(self, body: dict[str, Any], head: Head) -> Call:
        """Understand a request. Raises `BadCallError`, which names the field."""
        return read_messages(body, head)

    def whole(self, call: Call, reply: Reply, chunks: Sequence[Chunk]) -> bytes:
        """Write a plain answer as JSON, from all its chunks."""
        return message_of(call, reply, chunks)

    def stream(self, call: Call, reply: Reply) -> EventWriter:
        """Begin to write a streamed answer."""
        return MessageEvents(call, reply)


class CountTokens:
    """Reads requests for the number of a prompt's tokens; who has counted, or estimated, them is not its affair."""

    dialect: Dialect = "anthropic"

    def read(self, body: dict[str, Any], head: Head) -> Call:
        """Understand a request, which has no output limit. Raises `BadCallError`, which names the field."""
        return read_count(body, head)

    def write(self, tokens: int) -> bytes:
        """Write the number."""
        return msgspec.json.encode({"input_tokens": tokens})


if TYPE_CHECKING:
    _: Format = Messages()
