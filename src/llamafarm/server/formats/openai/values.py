"""Writes completions in OpenAI's format from values, where an answer came in another or breaks its schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.server.formats.openai.schema import FINISH_REASONS, TEXT_FINISH_REASONS
from llamafarm.types import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llamafarm.types import Chunk, Usage

__all__ = [
    "CALL_TEXT",
    "Choice",
    "chat_choice",
    "choices_of",
    "counts",
    "encode",
    "finish_reason",
    "text_choice",
    "text_finish",
]

CALL_TEXT = {"function": "arguments", "custom": "input"}
"""What a tool call's text is called, by its kind."""


def encode(value: Any) -> bytes:
    """Write JSON; half of a surrogate pair, which UTF-8 does not have, is written as an escape."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def counts(usage: Usage) -> dict[str, Any]:
    """Write a usage."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            **({"cache_write_tokens": usage.cache_write_tokens} if usage.cache_write_tokens else {}),
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def finish_reason(reason: str, *, functions: bool = False) -> str:
    """Give one of OpenAI's words; `functions` says that the client knows no tool calls."""
    if functions and reason == "tool_calls":
        return "function_call"
    return reason if reason in FINISH_REASONS else "stop"


def text_finish(reason: str) -> str:
    """Give one of OpenAI's words for legacy completions."""
    return reason if reason in TEXT_FINISH_REASONS else "stop"


class Choice:
    """One choice of an answer, put together from its chunks."""

    __slots__ = ("calls", "finish_reason", "index", "reasoning", "refusal", "text", "thinking_blocks")

    def __init__(self, index: int) -> None:
        self.index = index
        self.text = ""
        self.reasoning = ""
        self.refusal = ""
        self.calls: dict[int, ToolCall] = {}
        self.finish_reason = "stop"
        self.thinking_blocks: list[Mapping[str, Any]] = []

    def add(self, chunk: Chunk) -> None:
        """Take the next piece."""
        if chunk.refusal:
            self.refusal += chunk.text
        else:
            self.text += chunk.text
        self.reasoning += chunk.reasoning
        for piece in chunk.tool_calls:
            known = self.calls.get(piece.index, ToolCall(piece.index))
            self.calls[piece.index] = known.with_piece(piece)
        self.finish_reason = chunk.finish_reason or self.finish_reason
        if chunk.thinking_block is not None:
            self.thinking_blocks.append(chunk.thinking_block)


def choices_of(chunks: Iterable[Chunk]) -> list[Choice]:
    """Put an answer's chunks together, choice by choice; there is always one."""
    choices: dict[int, Choice] = {}
    for chunk in chunks:
        choices.setdefault(chunk.index, Choice(chunk.index)).add(chunk)
    return [choices[index] for index in sorted(choices)] or [Choice(0)]


def chat_choice(choice: Choice, seed: str, *, functions: bool) -> dict[str, Any]:
    """Write a whole choice of chat; `seed` makes the ids of tool calls that came without one.

    Reasoning is `reasoning_content`: the word of DeepSeek, llama.cpp and with them of most clients.
    """
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": choice.refusal or None}
    if choice.refusal:
        message["content"] = choice.text or None
    calls = [choice.calls[index] for index in sorted(choice.calls)]
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.thinking_blocks:
        message["thinking_blocks"] = choice.thinking_blocks
    if calls:
        message["content"] = choice.text or None
        message |= _function_call(calls) if functions else _tool_calls(calls, f"{seed}{choice.index}")
    return {
        "index": choice.index,
        "message": message,
        "logprobs": None,
        "finish_reason": finish_reason(choice.finish_reason, functions=functions),
    }


def _tool_calls(calls: Sequence[ToolCall], seed: str) -> dict[str, Any]:
    return {
        "tool_calls": [
            {
                "id": call.id or f"call_{seed}{call.index}",
                "type": call.kind,
                call.kind: {"name": call.name, CALL_TEXT[call.kind]: call.arguments},
            }
            for call in calls
        ]
    }


def _function_call(calls: Sequence[ToolCall]) -> dict[str, Any]:
    """Write the first call; the deprecated format has room for one."""
    return {"function_call": {"name": calls[0].name, "arguments": calls[0].arguments}}


def text_choice(choice: Choice) -> dict[str, Any]:
    """Write a whole choice of a legacy completion, which has room for its text alone."""
    return {
        "index": choice.index,
        "text": choice.text or choice.refusal,
        "logprobs": None,
        "finish_reason": text_finish(choice.finish_reason),
    }
