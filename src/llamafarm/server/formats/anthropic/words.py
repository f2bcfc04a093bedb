"""Says what ends an answer, what it took and what its parts are called, in Anthropic's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from llamafarm.providers.anthropic.content import tool_id

if TYPE_CHECKING:
    from llamafarm.reply import Reply
    from llamafarm.types import Call, Usage

__all__ = ["ToolIds", "message_head", "stop_reason", "usage_of"]

_STOP = {"length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use", "function_call": "tool_use"}
"""The rest is ``end_turn``: that a stop sequence was met, other vendors do not tell."""
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


def stop_reason(finish_reason: str | None, *, calls: bool) -> str:
    """Give the stop reason; `calls` tells whether there are tool calls, for some servers end those with ``stop``."""
    reason = _STOP.get(finish_reason or "", "end_turn")
    if calls and reason == "end_turn":
        return "tool_use"
    return "end_turn" if reason == "tool_use" and not calls else reason


def usage_of(usage: Usage | None, call: Call, output_tokens: int) -> dict[str, Any]:
    """Give the usage, in which cached tokens are counted apart; our own estimate where the target told none."""
    if usage is None:
        counts = (call.input_tokens, 0, 0, output_tokens)
    else:
        cached, written = usage.cached_tokens, usage.cache_write_tokens
        counts = (max(0, usage.input_tokens - cached - written), written, cached, usage.output_tokens)
    told: dict[str, Any] = {
        "input_tokens": counts[0],
        "cache_creation_input_tokens": counts[1],
        "cache_read_input_tokens": counts[2],
        "output_tokens": counts[3],
    }
    if usage is not None and usage.reasoning_tokens:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return told


def message_head(call: Call, reply: Reply) -> dict[str, Any]:
    """Give what a message begins with: its own number, and the model that answers."""
    number = _NOT_IN_IDS.sub("", call.id.removeprefix("req_"))
    return {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": reply.target.model}


class ToolIds:
    """The ids of one message's tool calls: of the letters that Anthropic allows, and none twice."""

    __slots__ = ("_call", "_given")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._given: set[str] = set()

    def give(self, call_id: str, index: int) -> str:
        """Give the id of the call at an index; the target's own where it can be."""
        number = _NOT_IN_IDS.sub("", self._call.id.removeprefix("req_"))
        given = tool_id(call_id, "the tool call") if call_id else f"toolu_{number}_{index}"
        while given in self._given:
            given = f"{given}_{index}"
        self._given.add(given)
        return given
