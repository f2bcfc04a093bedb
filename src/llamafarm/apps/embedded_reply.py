"""What the embedded engine's events say: as chunks of a stream, or put together to one whole answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.types import Chunk, Operation, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llamafarm.apps.generation import Event

__all__ = ["chunk_of", "summed", "vectors_of", "whole_of"]


def chunk_of(event: Event, model: str) -> Chunk:
    """Make a stream's chunk of an event; `model` is the name the caller knows the model by."""
    event["model"] = model
    chunk = Chunk(raw=msgspec.json.encode(event), usage=_usage(event))
    choices = event.get("choices") or ()
    if choices:
        choice = choices[0]
        delta = choice.get("delta") or {}
        chunk.index = choice.get("index", 0)
        chunk.finish_reason = choice.get("finish_reason")
        chunk.text = delta.get("content") or choice.get("text") or ""
        chunk.reasoning = delta.get("reasoning_content") or ""
        chunk.tool_calls = tuple(_tool_call(call) for call in delta.get("tool_calls") or ())
    return chunk


def _usage(event: Event) -> Usage | None:
    usage = event.get("usage")
    if not usage:
        return None
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return Usage(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0), cached_tokens=cached)


def _tool_call(call: dict[str, Any]) -> ToolCall:
    function = call.get("function") or {}
    return ToolCall(
        call.get("index", 0), call.get("id") or "", function.get("name") or "", function.get("arguments") or ""
    )


def vectors_of(event: Event, model: str) -> Chunk:
    """Make the only chunk of an answer with vectors."""
    event["model"] = model
    usage = event.get("usage") or {}
    return Chunk(raw=msgspec.json.encode(event), usage=Usage(usage.get("prompt_tokens", 0), 0))


def whole_of(events: Sequence[Event], operation: Operation, model: str) -> Chunk:
    """Put a stream's events together to one answer in the format of a plain request.

    The engine only streams, because only then can it be stopped. Its text is the first choice's.
    """
    choices: dict[int, dict[str, Any]] = {}
    usages: list[dict[str, Any]] = []
    answer: Event = {}
    for event in events:
        answer = {**event, "id": answer.get("id", event.get("id"))}
        if event.get("usage"):
            usages.append(event["usage"])
        for piece in event.get("choices") or ():
            _add(choices.setdefault(piece.get("index", 0), {"index": piece.get("index", 0)}), piece)
    chat = operation is Operation.CHAT
    answer["object"] = "chat.completion" if chat else "text_completion"
    answer["model"] = model
    answer["choices"] = [_closed(choices[index], chat=chat) for index in sorted(choices)]
    answer["usage"] = summed(usages)
    chunk = Chunk(raw=msgspec.json.encode(answer), usage=_usage(answer))
    first: dict[str, Any] = next(iter(answer["choices"]), {})
    message = first.get("message", {})
    chunk.text = message.get("content") or first.get("text") or ""
    chunk.reasoning = message.get("reasoning_content", "")
    chunk.tool_calls = tuple(_tool_call(call) for call in message.get("tool_calls", ()))
    chunk.finish_reason = first.get("finish_reason")
    return chunk


def _add(choice: dict[str, Any], piece: dict[str, Any]) -> None:
    """Add a stream's piece to the choice it belongs to."""
    delta = piece.get("delta") or {}
    for field in ("content", "reasoning_content"):
        if delta.get(field):
            choice[field] = choice.get(field, "") + delta[field]
    if piece.get("text"):
        choice["text"] = choice.get("text", "") + piece["text"]
    for call in delta.get("tool_calls") or ():
        _add_call(choice.setdefault("tool_calls", {}), call)
    if piece.get("logprobs"):
        kept = choice.setdefault("logprobs", {"content": []})
        kept["content"] += piece["logprobs"].get("content") or []
    choice["finish_reason"] = piece.get("finish_reason") or choice.get("finish_reason")


def _add_call(calls: dict[int, dict[str, Any]], piece: dict[str, Any]) -> None:
    index = piece.get("index", 0)
    call = calls.setdefault(
        index, {"index": index, "id": "", "type": "function", "function": {"name": "", "arguments": ""}}
    )
    call["id"] = piece.get("id") or call["id"]
    function = piece.get("function") or {}
    for field in ("name", "arguments"):
        call["function"][field] += function.get(field) or ""


def _closed(choice: dict[str, Any], *, chat: bool) -> dict[str, Any]:
    closed = {
        "index": choice["index"],
        "finish_reason": choice.get("finish_reason"),
        "logprobs": choice.get("logprobs"),
    }
    if not chat:
        return {**closed, "text": choice.get("text", "")}
    calls = [call for _, call in sorted(choice.get("tool_calls", {}).items())]
    message: dict[str, Any] = {"role": "assistant", "content": choice.get("content", None if calls else "")}
    if "reasoning_content" in choice:
        message["reasoning_content"] = choice["reasoning_content"]
    if calls:
        message["tool_calls"] = calls
    return {**closed, "message": message}


def summed(usages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Add up the usage of several prompts: the engine gives it for each."""
    total: dict[str, Any] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    cached = 0
    for usage in usages:
        for field in total:
            total[field] += usage.get(field, 0)
        cached += (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return {**total, "prompt_tokens_details": {"cached_tokens": cached}}
