"""The output items of a stream while they are open: each writes its own events, and gives the item it has become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from llamafarm.server.formats.responses.answer import call_item, encode, message_item, reasoning_item
from llamafarm.server.formats.responses.likelihoods import without_bytes
from llamafarm.server.formats.responses.tools import custom_input

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llamafarm.server.formats.responses.calls import CallSoFar

__all__ = ["Events", "OpenCall", "OpenItem", "OpenMessage", "OpenReasoning"]


class Events:
    """Frames and numbers the events of one stream."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0

    def event(self, name: bytes, fields: bytes) -> bytes:
        """Write an event; `fields` are its own, encoded, without braces."""
        number = self.number
        self.number = number + 1
        return b'event: %b\ndata: {"type":"%b",%b,"sequence_number":%d}\n\n' % (name, name, fields, number)


class OpenItem(Protocol):
    """An item of the output that more may be added to."""

    ended: bool

    def begin(self) -> bytes:
        """Give the events that open it."""

    def end(self, status: str) -> bytes:
        """Give the events that close it."""

    def item(self, status: str) -> dict[str, Any]:
        """Give it as it stands; once it has ended, with the status it ended with."""


class _Item:
    """What all kinds have in common: an id, a place in the output, the frames of the stream."""

    __slots__ = ("_at", "_events", "_id", "_place", "_status", "ended")

    def __init__(self, events: Events, item_id: str, place: int) -> None:
        self._events = events
        self._id = item_id
        self._place = place
        self._at = b'"item_id":%b,"output_index":%d' % (encode(item_id), place)
        self._status = ""
        self.ended = False

    def _write(self, name: bytes, /, **fields: Any) -> bytes:
        return self._events.event(name, self._at + b"," + encode(fields)[1:-1])

    def _item_event(self, name: bytes, item: Mapping[str, Any]) -> bytes:
        return self._events.event(name, b'"output_index":%d,"item":%b' % (self._place, encode(item)))


class OpenMessage(_Item):
    """What the model says."""

    __slots__ = ("_delta", "_likelihoods", "_pieces")

    def __init__(self, events: Events, item_id: str, place: int) -> None:
        super().__init__(events, item_id, place)
        self._pieces: list[str] = []
        self._likelihoods: list[dict[str, Any]] = []
        name = b"response.output_text.delta"
        self._delta = b'event: %b\ndata: {"type":"%b",%b,"content_index":0,' % (name, name, self._at)

    def begin(self) -> bytes:
        """Give the events that open it."""
        item = {**self.item("in_progress"), "content": []}
        return self._item_event(b"response.output_item.added", item) + self._write(
            b"response.content_part.added", content_index=0, part=self._part()
        )

    def add(self, text: str, likelihoods: Sequence[dict[str, Any]] = ()) -> bytes:
        """Give the event of the next piece. Nearly all events are of this kind: most of it is written already."""
        self._pieces.append(text)
        events = self._events
        number = events.number
        events.number = number + 1
        told = b"[]"
        if likelihoods:
            self._likelihoods += likelihoods
            told = encode(without_bytes(likelihoods))
        return b'%b"logprobs":%b,"delta":%b,"sequence_number":%d}\n\n' % (self._delta, told, encode(text), number)

    def end(self, status: str) -> bytes:
        """Give the events that close it."""
        self.ended, self._status = True, status
        text, likelihoods = "".join(self._pieces), without_bytes(self._likelihoods)
        return b"".join((
            self._write(b"response.output_text.done", content_index=0, text=text, logprobs=likelihoods),
            self._write(b"response.content_part.done", content_index=0, part=self._part()),
            self._item_event(b"response.output_item.done", self.item(status)),
        ))  # fmt: skip

    def _part(self) -> Any:
        return self.item("")["content"][0]

    def item(self, status: str) -> dict[str, Any]:
        """Give it as it stands."""
        return message_item(self._id, self._status or status, "".join(self._pieces), self._likelihoods)


class OpenReasoning(_Item):
    """What the model thinks."""

    __slots__ = ("_blocks", "_pieces")

    def __init__(self, events: Events, item_id: str, place: int) -> None:
        super().__init__(events, item_id, place)
        self._pieces: list[str] = []
        self._blocks: list[Mapping[str, Any]] = []

    def begin(self) -> bytes:
        """Give the event that opens it."""
        return self._item_event(b"response.output_item.added", self.item("in_progress"))

    def add(self, text: str) -> bytes:
        """Give the event of the next piece; the summary's one part is opened by the first."""
        opening = b""
        if not self._pieces:
            part = {"type": "summary_text", "text": ""}
            opening = self._write(b"response.reasoning_summary_part.added", summary_index=0, part=part)
        self._pieces.append(text)
        return opening + self._write(b"response.reasoning_summary_text.delta", summary_index=0, delta=text)

    def keep(self, block: Mapping[str, Any]) -> None:
        """Keep it as a vendor signed it."""
        self._blocks.append(block)

    def end(self, status: str) -> bytes:
        """Give the events that close it."""
        self.ended, self._status = True, status
        closing = b""
        if self._pieces:
            text = "".join(self._pieces)
            part = {"type": "summary_text", "text": text}
            closing = self._write(b"response.reasoning_summary_text.done", summary_index=0, text=text)
            closing += self._write(b"response.reasoning_summary_part.done", summary_index=0, part=part)
        return closing + self._item_event(b"response.output_item.done", self.item(status))

    def item(self, status: str) -> dict[str, Any]:
        """Give it as it stands."""
        return reasoning_item(self._id, self._status or status, "".join(self._pieces), self._blocks)


class OpenCall(_Item):
    """A call of a tool. The input of a custom one is inside its arguments, so it comes in one piece at its end."""

    __slots__ = ("_call", "_custom")

    def __init__(self, events: Events, item_id: str, place: int, call: CallSoFar, *, custom: bool) -> None:
        super().__init__(events, item_id, place)
        self._call = call
        self._custom = custom

    def begin(self) -> bytes:
        """Give the events that open it, and those of the arguments that came before its name did."""
        empty = {"input": ""} if self._custom else {"arguments": ""}
        opening = self._item_event(b"response.output_item.added", {**self.item("in_progress"), **empty})
        return opening + self.add(self._call.arguments)

    def add(self, arguments: str) -> bytes:
        """Give the event of the next piece of its arguments."""
        if not arguments or self._custom:
            return b""
        return self._write(b"response.function_call_arguments.delta", delta=arguments)

    def end(self, status: str) -> bytes:
        """Give the events that close it."""
        self.ended, self._status = True, status
        if self._custom:
            given = custom_input(self._call.call)
            closing = self._write(b"response.custom_tool_call_input.delta", delta=given)
            closing += self._write(b"response.custom_tool_call_input.done", input=given)
        else:
            fields = {"name": self._call.name, "arguments": self._call.arguments}
            closing = self._write(b"response.function_call_arguments.done", **fields)
        return closing + self._item_event(b"response.output_item.done", self.item(status))

    def item(self, status: str) -> dict[str, Any]:
        """Give it as it stands."""
        return call_item(self._id, self._status or status, self._call.call, custom=self._custom)
