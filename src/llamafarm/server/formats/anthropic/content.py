"""Writes the content of a streamed message: blocks one after the other, whatever order its pieces come in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.server.formats.anthropic.words import ToolIds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.types import Call, ToolCall

__all__ = ["Content", "event"]

_encode = msgspec.json.Encoder().encode


def event(kind: str, **parts: Any) -> bytes:
    """Write an event of a stream."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, **parts}))


def _quoted(text: str) -> str:
    """Write a piece of a text as it stands inside the quotes of JSON."""
    return _encode(text).decode()[1:-1]


@dataclass(slots=True)
class _ToolCall:
    """A tool call as far as it has come."""

    index: int
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    is_custom: bool = False

    def add(self, piece: ToolCall) -> None:
        self.is_custom = piece.kind == "custom"
        self.id, self.name = self.id or piece.id, self.name or piece.name
        if piece.arguments:
            self.arguments.append(piece.arguments)

    @property
    def is_whole(self) -> bool:
        """Whether nothing more can come of it: its arguments are a whole object. Of a custom tool's text none knows."""
        if self.is_custom or not self.arguments or not self.arguments[-1].rstrip().endswith("}"):
            return False
        try:
            return isinstance(msgspec.json.decode("".join(self.arguments)), dict)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return False


class Content:
    """The blocks of one message, of which one may be open. Each method gives the events of what it is told.

    Pieces of several tool calls may come in turns: the call that came first is written as it comes, the others wait
    until its arguments are whole, and so does text that comes in between. Where arguments never become whole, what
    waits is written at the end. They are written as they come, and may be no JSON in the end, as at the vendor. The
    text of a custom tool's call becomes an object's ``input``.
    """

    __slots__ = ("_current", "_done", "_held", "_ids", "_waiting", "index", "kind")

    def __init__(self, call: Call) -> None:
        self.index = -1
        """Of the block that was last begun."""
        self.kind = ""
        """Of the block that is open; empty: none is."""
        self._ids = ToolIds(call)
        self._current: _ToolCall | None = None
        self._waiting: dict[int, _ToolCall] = {}
        self._done: set[int] = set()
        self._held: list[tuple[str, str]] = []

    @property
    def has_calls(self) -> bool:
        """Whether there are tool calls."""
        return self._current is not None or bool(self._waiting or self._done)

    def say(self, text: str) -> bytes:
        """Write a piece of text."""
        return self._piece("text", text)

    def think(self, text: str) -> bytes:
        """Write a piece of reasoning."""
        return self._piece("thinking", text)

    def sign(self, block: Mapping[str, Any]) -> bytes:
        """End a block of thinking with its signature; or write one that has not been begun, text and all."""
        events = self._next_calls(final=True)
        if block["type"] != "thinking":
            return events + self._enter(str(block["type"]), dict(block)) + self.close()
        if self.kind != "thinking":
            events += self._piece("thinking", block["thinking"])
        if block["signature"]:
            events += self._delta({"type": "signature_delta", "signature": block["signature"]})
        return events + self.close()

    def call(self, piece: ToolCall) -> bytes:
        """Write a piece of a tool call, or keep it until its turn."""
        if piece.index in self._done:
            return b""
        current = self._current
        if current is not None and current.index == piece.index:
            current.add(piece)
            return self._arguments(_quoted(piece.arguments) if current.is_custom else piece.arguments)
        self._waiting.setdefault(piece.index, _ToolCall(piece.index)).add(piece)
        return self._next_calls()

    def finish(self) -> bytes:
        """Write all that waits, and close the last block."""
        events = self._next_calls(final=True) + self.close()
        held, self._held = self._held, []
        return b"".join([events, *(self._piece(kind, text) for kind, text in held), self.close()])

    def close(self) -> bytes:
        """Close the block that is open."""
        if not self.kind:
            return b""
        self.kind = ""
        events = b""
        if self._current is not None:
            if self._current.is_custom:
                events = self._arguments('"}')
            self._done.add(self._current.index)
            self._current = None
        return events + event("content_block_stop", index=self.index)

    def _piece(self, kind: str, text: str) -> bytes:
        if self._current is not None and not self._current.is_whole:
            self._held.append((kind, text))
            return b""
        events = b""
        if self.kind != kind:
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            events = self._enter(kind, empty if kind == "thinking" else {"type": "text", "text": ""})
        return events + self._delta({"type": f"{kind}_delta", kind: text}) if text else events

    def _next_calls(self, *, final: bool = False) -> bytes:
        """Begin the call that has waited longest, where the one before is whole; and so on."""
        events = b""
        while self._waiting and (final or self._current is None or self._current.is_whole):
            ready = next((call for call in self._waiting.values() if call.name or final), None)
            if ready is None:
                break
            del self._waiting[ready.index]
            call_id = self._ids.give(ready.id, ready.index)
            events += self._enter("tool_use", {"type": "tool_use", "id": call_id, "name": ready.name, "input": {}})
            self._current = ready
            given = "".join(ready.arguments)
            events += self._arguments('{"input":"' + _quoted(given) if ready.is_custom else given)
        return events

    def _arguments(self, text: str) -> bytes:
        return self._delta({"type": "input_json_delta", "partial_json": text}) if text else b""

    def _enter(self, kind: str, block: dict[str, Any]) -> bytes:
        events = self.close()
        self.index += 1
        self.kind = kind
        return events + event("content_block_start", index=self.index, content_block=block)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return event("content_block_delta", index=self.index, delta=delta)
