"""Reads Anthropic's replies: each event of a stream, or a whole message, into chunks. Does no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from llamafarm.providers.decoding import MalformedError, Short, count, decode
from llamafarm.providers.finishing import is_interruption
from llamafarm.types import Chunk, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Events", "StreamEvent", "chunks_of_message", "decode_event", "decode_message", "finish_reason"]

_FINISH: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    # The vendor stopped a long turn of its own tools: what came is not the whole answer, as at a limit.
    "pause_turn": "length",
}
_ANSWER = ("text", "thinking", "redacted_thinking", "tool_use")


class Block(msgspec.Struct, gc=False):
    """A block of content: a stream's beginning of one, or a whole one."""

    type: str
    id: str | None = None
    name: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class Delta(msgspec.Struct, gc=False):
    """What an event adds to a block or to the message."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class Counts(msgspec.Struct, gc=False):
    """Tokens, as far as one event says them."""

    input_tokens: Any = None
    cache_creation_input_tokens: Any = None
    cache_read_input_tokens: Any = None
    output_tokens: Any = None
    output_tokens_details: Any = None


class Message(msgspec.Struct, gc=False):
    """A whole answer, or what a stream says of it at its start."""

    type: str | None = None
    content: Short[Block] | None = None
    stop_reason: str | None = None
    usage: Counts | None = None
    error: msgspec.Raw = msgspec.Raw()


class StreamEvent(msgspec.Struct, gc=False):
    """An event of a stream."""

    type: str
    index: int | None = None
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: Counts | None = None


T = TypeVar("T")
_events = msgspec.json.Decoder(StreamEvent)
_messages = msgspec.json.Decoder(Message)


def decode_event(data: bytes) -> tuple[StreamEvent, bytes]:
    """Decode an event; give its bytes too, as JSON that every client can read. Raises `MalformedError`."""
    return decode(_events, data)


def decode_message(data: bytes) -> tuple[Message, bytes]:
    """Decode a whole answer, as `decode_event` does. Raises `MalformedError`."""
    return decode(_messages, data)


def finish_reason(stop_reason: str, *, calls: bool) -> str:
    """Give OpenAI's word for why an answer ended; one that is not known is a plain end, or says that it was broken off.

    `calls`: whether there is a tool call for the caller; the answer in the clothes of one is none.
    """
    if is_interruption(stop_reason):  # what is no vendor of Anthropic's own may say more than it
        return stop_reason
    reason = _FINISH.get(stop_reason, "stop")
    return "stop" if reason == "tool_calls" and not calls else reason


@dataclass(slots=True)
class _Open:
    """A block that has begun."""

    type: str
    tool: int | None = None
    """The tool call's place among the tool calls; None: no call, or the answer's own tool."""
    is_answer: bool = False
    given: bool = False
    """Whether any of a tool's arguments have come."""
    input: bytes = b""
    thinking: list[str] = field(default_factory=list)
    signature: list[str] = field(default_factory=list)
    data: str | None = None


class Events:
    """The events of one stream, in order, into what each means.

    Tool calls are counted apart from other blocks. The usage comes with the event that has the finish reason, not
    before: half a usage would pass for the whole of an answer that was cut.
    """

    __slots__ = ("_answer_tool", "_calls", "_counts", "_open", "at_vendors_tool")

    def __init__(self, answer_tool: str | None = None) -> None:
        self._answer_tool = answer_tool
        self._open: dict[int, _Open] = {}
        self._calls = 0
        self._counts = _Usage()
        self.at_vendors_tool = False
        """Whether the event last taken belongs to a tool the vendor itself runs, or to what that found."""

    def take(self, event: StreamEvent, raw: bytes) -> Chunk:
        """Give an event's chunk; one that holds nothing but its bytes where it means nothing here.

        Raises `MalformedError` where a part is missing that the event must have.
        """
        chunk = Chunk(self._own_bytes(raw))
        kind = event.type
        opened = event.content_block or (self._open.get(event.index) if event.index is not None else None)
        self.at_vendors_tool = opened is not None and opened.type not in _ANSWER
        if kind == "content_block_delta":
            self._add(_required(event.delta), _required(event.index), chunk)
        elif kind == "content_block_start":
            self._begin(_required(event.content_block), _required(event.index), chunk)
        elif kind == "content_block_stop":
            block = self._open.pop(_required(event.index), None)
            if block is not None:
                self._finish(block, chunk)
        elif kind == "message_start":
            if event.message is not None and event.message.usage is not None:
                self._counts.take(event.message.usage)
        elif kind == "message_delta":
            self._counts.take(event.usage or Counts())
            reason = _required(event.delta).stop_reason
            if reason:
                chunk.finish_reason = finish_reason(reason, calls=self._calls > 0)
                chunk.usage = self._counts.usage
        return chunk

    def _own_bytes(self, raw: bytes) -> bytes:
        """Give the bytes, unless they tell of a tool call where the caller asked for a text."""
        return raw if self._answer_tool is None else b""

    def _begin(self, block: Block, index: int, chunk: Chunk) -> None:
        opened = self._open[index] = _Open(block.type, data=block.data)
        if block.type == "text":
            chunk.text = block.text or ""
        elif block.type == "thinking":
            self._think(opened, block.thinking, block.signature, chunk)
        elif block.type == "tool_use":
            opened.input = bytes(block.input)
            opened.is_answer = self._answer_tool is not None and block.name == self._answer_tool
            if not opened.is_answer:
                opened.tool = self._calls
                self._calls += 1
                chunk.tool_calls = (ToolCall(opened.tool, block.id or "", block.name or ""),)

    def _add(self, delta: Delta, index: int, chunk: Chunk) -> None:
        block = self._open.get(index)
        if delta.type == "text_delta":
            chunk.text = delta.text or ""
        elif block is None:
            return
        elif delta.type == "input_json_delta":
            if delta.partial_json and block.type == "tool_use":
                block.given = True
                _add_arguments(block, delta.partial_json, chunk)
        elif delta.type in ("thinking_delta", "signature_delta"):
            self._think(block, delta.thinking, delta.signature, chunk)

    def _think(self, block: _Open, thinking: str | None, signature: str | None, chunk: Chunk) -> None:
        if thinking:
            block.thinking.append(thinking)
            chunk.reasoning = thinking
        if signature:
            block.signature.append(signature)

    def _finish(self, block: _Open, chunk: Chunk) -> None:
        if block.type == "thinking":
            chunk.thinking_block = _thinking("".join(block.thinking), "".join(block.signature))
        elif block.type == "redacted_thinking":
            chunk.thinking_block = {"type": "redacted_thinking", "data": block.data or ""}
        elif block.type == "tool_use" and not block.given:
            _add_arguments(block, _arguments(block.input), chunk)


def _add_arguments(block: _Open, arguments: str, chunk: Chunk) -> None:
    if block.is_answer:
        chunk.text = arguments
    elif block.tool is not None:
        chunk.tool_calls = (ToolCall(block.tool, arguments=arguments),)


def _required(value: T | None) -> T:
    if value is None:
        raise MalformedError("an event lacks one of its parts")
    return value


def _arguments(value: bytes) -> str:
    return value.decode("utf-8", "replace") if value and value != b"null" else "{}"


def _thinking(text: str, signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": signature}


class _Usage:
    """Token counts from several events: what goes in is said at the start, and may grow; what comes out at the end."""

    __slots__ = ("_counts", "_output", "_thought")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._output: int | None = None
        self._thought: int | None = None

    def take(self, counts: Counts) -> None:
        """Take what one event says. Every number counts from the beginning of the answer.

        What came out is known from the last event alone: an earlier one's number is of a part of it.
        """
        for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"):
            number = count(getattr(counts, name))
            if number is not None:
                self._counts[name] = max(number, self._counts.get(name, 0))
        details = counts.output_tokens_details
        self._output = count(counts.output_tokens)
        self._thought = count(details.get("thinking_tokens")) if isinstance(details, dict) else None

    @property
    def usage(self) -> Usage | None:
        """The usage; None where a number is missing. Cached tokens, which the vendor counts apart, are input too."""
        counts = self._counts
        output, thought = self._output, self._thought or 0
        if "input_tokens" not in counts or output is None:
            return None
        written, read = counts.get("cache_creation_input_tokens", 0), counts.get("cache_read_input_tokens", 0)
        return Usage(
            input_tokens=counts["input_tokens"] + written + read,
            output_tokens=output,
            cached_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=thought if thought <= output else 0,
        )


def chunks_of_message(message: Message, raw: bytes, answer_tool: str | None = None) -> list[Chunk]:
    """Give a whole answer: one chunk, and a further one for every block of thinking after the first.

    Raises `MalformedError` where it has no content or no stop reason.
    """
    if message.content is None:
        raise MalformedError("it has no content")
    if not message.stop_reason:
        raise MalformedError("it has no stop reason")
    chunk = Chunk(raw if answer_tool is None else b"")
    thinking: list[dict[str, Any]] = []
    calls: list[ToolCall] = []
    for block in message.content:
        if block.type == "text":
            chunk.text += block.text or ""
        elif block.type == "thinking":
            chunk.reasoning += block.thinking or ""
            thinking.append(_thinking(block.thinking or "", block.signature or ""))
        elif block.type == "redacted_thinking":
            thinking.append({"type": "redacted_thinking", "data": block.data or ""})
        elif block.type == "tool_use":
            arguments = _arguments(bytes(block.input))
            if answer_tool is not None and block.name == answer_tool:
                chunk.text += arguments
            else:
                calls.append(ToolCall(len(calls), block.id or "", block.name or "", arguments))
    counts = _Usage()
    if message.usage is not None:
        counts.take(message.usage)
    chunk.tool_calls, chunk.usage = tuple(calls), counts.usage
    chunk.finish_reason = finish_reason(message.stop_reason, calls=bool(calls))
    chunk.thinking_block = thinking[0] if thinking else None
    return [chunk, *(Chunk(thinking_block=block) for block in thinking[1:])]
