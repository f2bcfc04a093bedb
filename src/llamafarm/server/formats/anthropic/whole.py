"""Writes a plain answer as a message: the target's own bytes where it speaks the same, else from its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.server.formats.anthropic.request import DIALECT
from llamafarm.server.formats.anthropic.words import ToolIds, message_head, stop_reason, usage_of
from llamafarm.server.formats.protocol import passes_through
from llamafarm.tokens import estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llamafarm.reply import Reply
    from llamafarm.types import Call, Chunk, ToolCall

__all__ = ["message_of"]

_UNREAD = "invalid_arguments"


def message_of(call: Call, reply: Reply, chunks: Sequence[Chunk]) -> bytes:
    """Write the message.

    Arguments of a tool call that are no JSON object, which they have to be here, stand in an object as the text they
    are, under ``invalid_arguments``: no tool takes that, so the mistake gets back to the model, while an empty object
    could pass for a call without arguments.
    """
    if chunks and passes_through(chunks[0], reply, DIALECT):
        return chunks[0].raw
    mine = [chunk for chunk in chunks if chunk.index == 0]
    content = list(_content(call, mine))
    calls = any(block["type"] == "tool_use" for block in content)
    reasons = [chunk.finish_reason for chunk in mine if chunk.finish_reason is not None]
    usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
    said = "".join(chunk.text + chunk.reasoning for chunk in mine)
    message = {
        **message_head(call, reply),
        "content": content,
        "stop_reason": stop_reason(reasons[-1] if reasons else None, calls=calls),
        "stop_sequence": None,
        "usage": usage_of(usages[-1] if usages else None, call, estimate(said)),
    }
    return msgspec.json.encode(message)


def _content(call: Call, chunks: Sequence[Chunk]) -> Iterator[dict[str, Any]]:
    thoughts = [dict(chunk.thinking_block) for chunk in chunks if chunk.thinking_block is not None]
    reasoning = "".join(chunk.reasoning for chunk in chunks)
    if reasoning and not thoughts:
        thoughts = [{"type": "thinking", "thinking": reasoning, "signature": ""}]
    yield from thoughts
    if text := "".join(chunk.text for chunk in chunks):
        yield {"type": "text", "text": text}
    ids = ToolIds(call)
    for tool_call in (each for chunk in chunks for each in chunk.tool_calls):
        given = ids.give(tool_call.id, tool_call.index)
        yield {"type": "tool_use", "id": given, "name": tool_call.name, "input": _input(tool_call)}


def _input(tool_call: ToolCall) -> dict[str, Any]:
    arguments = tool_call.arguments
    if tool_call.kind == "custom":
        return {"input": arguments}
    if not arguments.strip():
        return {}
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {_UNREAD: arguments}
