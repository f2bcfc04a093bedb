"""Writes an answer as a response object: what the request said, what came back, and how it ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.server.formats.responses.asked import asked_of
from llamafarm.server.formats.responses.calls import calls_in
from llamafarm.server.formats.responses.likelihoods import likelihoods_in
from llamafarm.server.formats.responses.thoughts import sealed
from llamafarm.server.formats.responses.tools import custom_input

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llamafarm.reply import Reply
    from llamafarm.types import Call, Chunk, ToolCall, Usage

__all__ = ["Frame", "call_item", "encode", "incomplete_reason", "message_item", "reasoning_item", "whole"]

encode = msgspec.json.Encoder().encode

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def incomplete_reason(finish_reason: str | None) -> str | None:
    """Say why an answer is not whole, in the API's words; None where it is."""
    return _INCOMPLETE.get(finish_reason or "")


class Frame:
    """What all response objects of one answer have in common: its ids, and the request's own fields, encoded once."""

    __slots__ = ("_echo", "_head", "_mark", "asked")

    def __init__(self, call: Call, reply: Reply) -> None:
        self.asked = asked_of(call)
        self._mark = call.id.removeprefix("req_")
        head = {
            "id": f"resp_{self._mark}",
            "object": "response",
            "created_at": int(time.time()),
            "model": reply.target.model,
        }
        self._head = encode(head)[:-1]
        self._echo = encode(self.asked.echo)[1:]

    def item_id(self, kind: str, place: int) -> str:
        """Make the id of the item at a place of the output; the same for the same answer, whenever it is asked for."""
        return f"{kind}_{self._mark}{place:04x}"

    def call_id(self, place: int) -> str:
        """Make the id of the tool call at a place of the output, for targets that give none."""
        return self.item_id("call", place)

    def response(
        self,
        status: str,
        output: Sequence[Mapping[str, Any]] = (),
        *,
        usage: Usage | None = None,
        reason: str | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Write the response object as it stands; `reason` is why it is incomplete."""
        found = {
            "status": status,
            "completed_at": int(time.time()) if status == "completed" else None,
            "error": error,
            "incomplete_details": {"reason": reason} if reason else None,
            "output": output,
        }
        if usage is not None:  # the schema has no null for it
            found["usage"] = _counts(usage)
        rest = self._echo if len(self._echo) == 1 else b"," + self._echo
        return b"%b,%b%b" % (self._head, encode(found)[1:-1], rest)


def _counts(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def message_item(item_id: str, status: str, text: str, likelihoods: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Give the item of what the model says."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": likelihoods}
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": [part]}


def reasoning_item(item_id: str, status: str, text: str, blocks: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Give the item of what the model thinks; `blocks` as a vendor signed it, for the client to send back."""
    summary = [{"type": "summary_text", "text": text}] if text else []
    item = {"id": item_id, "type": "reasoning", "status": status, "summary": summary}
    return {**item, "encrypted_content": sealed(blocks)} if blocks else item


def call_item(item_id: str, status: str, call: ToolCall, *, custom: bool) -> dict[str, Any]:
    """Give the item of a tool call; in OpenAI's schema one of a `custom` tool has no status."""
    known = {"id": item_id, "call_id": call.id, "name": call.name}
    if custom:
        return {**known, "type": "custom_tool_call", "input": custom_input(call)}
    return {**known, "type": "function_call", "arguments": call.arguments, "status": status}


def whole(call: Call, reply: Reply, chunks: Sequence[Chunk]) -> bytes:
    """Write a plain answer as JSON, from all its chunks."""
    frame = Frame(call, reply)
    chunks = [chunk for chunk in chunks if chunk.index == 0]
    reason = incomplete_reason(_last(chunk.finish_reason for chunk in chunks))
    output = _output(frame, reply, chunks, cut=reason is not None)
    usage = _last(chunk.usage for chunk in chunks)
    return frame.response("incomplete" if reason else "completed", output, usage=usage, reason=reason)


def _last(found: Any) -> Any:
    return next((value for value in reversed(list(found)) if value is not None), None)


def _output(frame: Frame, reply: Reply, chunks: Sequence[Chunk], *, cut: bool) -> list[dict[str, Any]]:
    text = "".join(chunk.text for chunk in chunks)
    reasoning = "".join(chunk.reasoning for chunk in chunks)
    blocks = [chunk.thinking_block for chunk in chunks if chunk.thinking_block is not None]
    calls = calls_in(chunks)
    ends = ["completed"] * (bool(reasoning or blocks) + bool(text) + len(calls))
    if cut and ends:
        ends[-1] = "incomplete"
    output: list[dict[str, Any]] = []
    if reasoning or blocks:
        output.append(reasoning_item(frame.item_id("rs", 0), ends[0], reasoning, blocks))
    if text or (not ends and not cut):
        place = len(output)
        found = [one for chunk in chunks for one in likelihoods_in(chunk, reply)] if frame.asked.logprobs else []
        output.append(message_item(frame.item_id("msg", place), ends[place] if ends else "completed", text, found))
    for tool in calls:
        place = len(output)
        custom = tool.is_custom(frame.asked.custom_tools)
        tool.name_apart(frame.call_id(place), calls[: calls.index(tool)])
        item_id = frame.item_id("ctc" if custom else "fc", place)
        output.append(call_item(item_id, ends[place], tool.call, custom=custom))
    return output
