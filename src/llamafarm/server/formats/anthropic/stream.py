"""Writes a streamed answer as Anthropic's events: the target's own bytes where it speaks the same, else from values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llamafarm.server.failures import document, failure_of
from llamafarm.server.formats.anthropic.content import Content, event
from llamafarm.server.formats.anthropic.request import DIALECT
from llamafarm.server.formats.anthropic.words import message_head, stop_reason, usage_of
from llamafarm.server.formats.protocol import on_one_line, passes_through

if TYPE_CHECKING:
    from llamafarm.errors import LlamaFarmError
    from llamafarm.reply import Reply
    from llamafarm.server.formats.protocol import EventWriter
    from llamafarm.types import Call, Chunk, Usage

__all__ = ["MessageEvents"]

_CHARACTERS_PER_TOKEN = 4
_KINDS = (
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
)
_FRAMES = {kind: b"event: %b\ndata: " % kind.encode() for kind in _KINDS}
_DELTA = (b'{"type":"content_block_delta"', b'{"type": "content_block_delta"')
_DELTA_FRAME = _FRAMES["content_block_delta"]


class _Block(msgspec.Struct, gc=False):
    type: str


class _Event(msgspec.Struct, gc=False):
    """What of an event says where in the message it stands."""

    type: str
    index: int | None = None
    content_block: _Block | None = None


_event = msgspec.json.Decoder(_Event)


class MessageEvents:
    """The events of one answer. While bytes pass, it follows which block is open: another target may go on in it."""

    __slots__ = ("_call", "_content", "_ended", "_finish", "_reply", "_said", "_started", "_told", "_usage")

    def __init__(self, call: Call, reply: Reply) -> None:
        self._call = call
        self._reply = reply
        self._content = Content(call)
        self._started = False
        self._told = False
        """Whether the stop reason has been written."""
        self._ended = False
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._said = 0

    def write(self, chunk: Chunk) -> bytes:
        """Give the events of the next chunk."""
        self._said += len(chunk.text)
        if chunk.raw and passes_through(chunk, self._reply, DIALECT):
            return self._passed(chunk.raw)
        if chunk.usage is not None:
            self._usage = chunk.usage
        return b"" if chunk.index else self._written(chunk)

    def end(self) -> bytes:
        """Give what closes a whole answer, as far as it has not passed."""
        if self._ended:
            return b""
        self._ended = True
        events = [b"" if self._started else self._begin()]
        if not self._told:
            events.append(self._content.finish())
            reason = stop_reason(self._finish, calls=self._content.has_calls)
            tokens = -(-self._said // _CHARACTERS_PER_TOKEN)
            usage = usage_of(self._usage, self._call, tokens)
            events.append(event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage))
        return b"".join([*events, event("message_stop")])

    def fail(self, error: LlamaFarmError, request_id: str) -> bytes:
        """Give the event that tells the client of an error; no other follows."""
        self._ended = True
        told = document(failure_of(error), DIALECT, request_id)
        return b"event: error\ndata: %b\n\n" % msgspec.json.encode(told)

    def _passed(self, raw: bytes) -> bytes:
        raw = on_one_line(raw)
        if raw.startswith(_DELTA):
            return _DELTA_FRAME + raw + b"\n\n"
        try:
            read = _event.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return b""
        self._follow(read)
        return _FRAMES.get(read.type, b"data: ") + raw + b"\n\n"

    def _follow(self, read: _Event) -> None:
        match read.type:
            case "content_block_start" if read.index is not None and read.content_block is not None:
                self._content.index, self._content.kind = read.index, read.content_block.type
            case "content_block_stop":
                self._content.kind = ""
            case "message_start":
                self._started = True
            case "message_delta":
                self._told = True
            case "message_stop":
                self._ended = True
            case _:
                pass

    def _begin(self) -> bytes:
        self._started = True
        head = message_head(self._call, self._reply)
        usage = usage_of(None, self._call, 0)
        message = {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
        return event("message_start", message=message)

    def _written(self, chunk: Chunk) -> bytes:
        content, events = self._content, b""
        if chunk.reasoning:
            self._said += len(chunk.reasoning)
            events += content.think(chunk.reasoning)
        if chunk.thinking_block is not None:
            events += content.sign(chunk.thinking_block)
        if chunk.text:
            events += content.say(chunk.text)
        for piece in chunk.tool_calls:
            self._said += len(piece.arguments)
            events += content.call(piece)
        if chunk.finish_reason is not None:
            self._finish = chunk.finish_reason
            events += content.finish()
        # A chunk may say nothing: bytes that pass still begin the message themselves.
        return self._begin() + events if events and not self._started else events


if TYPE_CHECKING:

    def _is_writer(events: MessageEvents) -> EventWriter:
        return events
