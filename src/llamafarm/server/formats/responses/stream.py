"""Writes a streamed answer as the events of the Responses API, from what its chunks say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.server.failures import document, failure_of
from llamafarm.server.formats.protocol import continued_by
from llamafarm.server.formats.responses.answer import Frame, encode, incomplete_reason
from llamafarm.server.formats.responses.calls import CallSoFar
from llamafarm.server.formats.responses.likelihoods import likelihoods_in
from llamafarm.server.formats.responses.opened import Events, OpenCall, OpenMessage, OpenReasoning

if TYPE_CHECKING:
    from llamafarm.errors import LlamaFarmError
    from llamafarm.reply import Reply
    from llamafarm.server.formats.responses.opened import OpenItem
    from llamafarm.types import Call, Chunk, ToolCall, Usage

__all__ = ["Writer"]

_CODES = {400: "invalid_prompt", 429: "rate_limit_exceeded"}
"""A failed response has one of few codes, here by status; the event before it has the failure's own."""


class Writer:
    """The events of one answer.

    At most one item of text or reasoning is open; the other kind closes it. Tool calls stay open to the end, as their
    pieces may come in turns. A call is told of once its name is known: the clients take it for what it is then.
    """

    __slots__ = (
        "_calls",
        "_current",
        "_events",
        "_finish_reason",
        "_frame",
        "_items",
        "_open_calls",
        "_reply",
        "_usage",
    )

    def __init__(self, call: Call, reply: Reply) -> None:
        self._frame = Frame(call, reply)
        self._reply = reply
        self._events = Events()
        self._items: list[OpenItem] = []
        self._current: OpenMessage | OpenReasoning | None = None
        self._calls: dict[int, CallSoFar] = {}
        self._open_calls: dict[int, OpenCall] = {}
        self._finish_reason: str | None = None
        self._usage: Usage | None = None

    def write(self, chunk: Chunk) -> bytes:
        """Give the events of the next chunk."""
        if chunk.index:
            return b""  # a response is one answer
        written = [] if self._events.number else [self._begin()]
        if chunk.resumed_by:
            written.append(continued_by(chunk.resumed_by))
        if chunk.reasoning or chunk.thinking_block is not None:
            written.append(self._think(chunk))
        if chunk.text:
            written.append(self._say(chunk))
        if chunk.tool_calls:
            written += map(self._call, chunk.tool_calls)
        if chunk.usage is not None:
            self._usage = chunk.usage
        self._finish_reason = chunk.finish_reason or self._finish_reason
        return b"".join(written)

    def end(self) -> bytes:
        """Give what closes a whole answer."""
        written = [] if self._events.number else [self._begin()]
        reason = incomplete_reason(self._finish_reason)
        written += [self._open_call(call) for index, call in self._calls.items() if index not in self._open_calls]
        if not self._items and reason is None:
            written.append(self._open(OpenMessage(self._events, self._frame.item_id("msg", 0), 0)))
        for item in self._items:
            if not item.ended:
                written.append(item.end("incomplete" if reason and item is self._items[-1] else "completed"))
        status = "incomplete" if reason else "completed"
        output = [item.item(status) for item in self._items]
        response = self._frame.response(status, output, usage=self._usage, reason=reason)
        written.append(self._lifecycle(status, response))
        return b"".join(written)

    def fail(self, error: LlamaFarmError, request_id: str) -> bytes:
        """Give the event that tells the client of an error in the midst of the answer, and what closes it.

        OpenAI's schema has an error's words in the event itself; its service, and the clients that it makes, which
        raise for it, have them under `error`. Both are written: readers of either find what they look for.
        """
        begun = b"" if self._events.number else self._begin()
        failure = failure_of(error)
        nested = document(failure, "openai", request_id)["error"]
        told = {"code": failure.code, "message": failure.message, "param": failure.param, "error": nested}
        event = self._events.event(b"error", encode(told)[1:-1])
        output = [item.item("incomplete") for item in self._items]
        why = {"code": _CODES.get(failure.status, "server_error"), "message": failure.message}
        response = self._frame.response("failed", output, usage=self._usage, error=why)
        return begun + event + self._lifecycle("failed", response)

    def _begin(self) -> bytes:
        response = self._frame.response("in_progress")
        return self._lifecycle("created", response) + self._lifecycle("in_progress", response)

    def _lifecycle(self, name: str, response: bytes) -> bytes:
        return self._events.event(f"response.{name}".encode(), b'"response":' + response)

    def _open(self, item: Any) -> bytes:
        self._items.append(item)
        begun: bytes = item.begin()
        return begun

    def _close_current(self) -> bytes:
        current, self._current = self._current, None
        return current.end("completed") if current is not None else b""

    def _say(self, chunk: Chunk) -> bytes:
        message = self._current
        opening = b""
        if not isinstance(message, OpenMessage):
            closing, place = self._close_current(), len(self._items)
            self._current = message = OpenMessage(self._events, self._frame.item_id("msg", place), place)
            opening = closing + self._open(message)
        likelihoods = likelihoods_in(chunk, self._reply) if self._frame.asked.logprobs else ()
        return opening + message.add(chunk.text, likelihoods)

    def _think(self, chunk: Chunk) -> bytes:
        thought = self._current
        written = b""
        if not isinstance(thought, OpenReasoning):
            closing, place = self._close_current(), len(self._items)
            self._current = thought = OpenReasoning(self._events, self._frame.item_id("rs", place), place)
            written = closing + self._open(thought)
        if chunk.reasoning:
            written += thought.add(chunk.reasoning)
        if chunk.thinking_block is not None:  # it is what a vendor signed of the thought that ends with it
            thought.keep(chunk.thinking_block)
            written += self._close_current()
        return written

    def _call(self, piece: ToolCall) -> bytes:
        call = self._calls.setdefault(piece.index, CallSoFar(piece.index))
        call.add(piece)
        known = self._open_calls.get(piece.index)
        if known is not None:
            return known.add(piece.arguments)
        return self._open_call(call) if call.name else b""

    def _open_call(self, call: CallSoFar) -> bytes:
        closing, place = self._close_current(), len(self._items)
        custom = call.is_custom(self._frame.asked.custom_tools)
        item_id = self._frame.item_id("ctc" if custom else "fc", place)
        call.name_apart(self._frame.call_id(place), map(self._calls.__getitem__, self._open_calls))
        self._open_calls[call.index] = item = OpenCall(self._events, item_id, place, call, custom=custom)
        return closing + self._open(item)
