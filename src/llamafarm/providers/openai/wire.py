"""Reads OpenAI's reply formats: decodes the few fields that matter here and leaves the bytes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from llamafarm.providers.decoding import Short, count, decode, says_nothing
from llamafarm.providers.finishing import finish_of
from llamafarm.types import Chunk, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Completion",
    "Embeddings",
    "chunks_of",
    "decode_completion",
    "decode_embeddings",
    "is_error",
    "usage_of",
    "whole_chunks",
]


class Function(msgspec.Struct, gc=False):
    """The function of a tool call, or a piece of it."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class Custom(msgspec.Struct, gc=False):
    """The custom tool of a tool call, or a piece of it: what it is given is text."""

    name: str | None = None
    input: str | None = None


class ToolPiece(msgspec.Struct, gc=False):
    """A tool call, or in a stream a piece of one. Gemini leaves the index out."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    custom: Custom | None = None


class Part(msgspec.Struct, gc=False):
    """A part of a content that is a list, as Mistral's reasoning models answer."""

    text: str | None = None
    thinking: str | Short[Part] | None = None


class Message(msgspec.Struct, gc=False):
    """What a model made: a stream's delta or a whole message."""

    content: str | Short[Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: Short[ToolPiece] | None = None
    function_call: Function | None = None


class Choice(msgspec.Struct, gc=False):
    """One of n answers, or a piece of it."""

    index: int | None = None
    delta: Message | None = None
    message: Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class GroqPart(msgspec.Struct, gc=False):
    """Where Groq puts a stream's usage and errors."""

    usage: msgspec.Raw = msgspec.Raw()
    error: str | None = None


class Completion(msgspec.Struct, gc=False):
    """A stream's event, or a whole answer, of chat or legacy completions."""

    choices: Short[Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    x_groq: GroqPart | None = None
    object: str | None = None


class Vector(msgspec.Struct, gc=False):
    """One embedding: numbers, or base64 text."""

    embedding: msgspec.Raw


class Embeddings(msgspec.Struct, gc=False):
    """The answer to an embedding request."""

    data: list[Vector] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    object: str | None = None


def is_error(reply: Completion | Embeddings) -> bool:
    """Whether it is an error in the place of an answer."""
    if isinstance(reply, Completion) and reply.x_groq is not None and reply.x_groq.error:
        return True
    return reply.object == "error" or not says_nothing(reply.error)


_completion = msgspec.json.Decoder(Completion)
_embeddings = msgspec.json.Decoder(Embeddings)


def decode_completion(data: bytes) -> tuple[Completion, bytes]:
    """Decode an event or a whole answer; give its bytes too, as JSON that every client can read.

    Raises `MalformedError`.
    """
    return decode(_completion, data)


def decode_embeddings(data: bytes) -> tuple[Embeddings, bytes]:
    """Decode the answer to an embedding request, as `decode_completion` does. Raises `MalformedError`."""
    return decode(_embeddings, data)


def chunks_of(reply: Completion, raw: bytes) -> list[Chunk]:
    """Give a chunk a choice; the first carries the bytes, the last the usage of them all. There is always one."""
    usage = _usage_in(reply)
    if not reply.choices:
        return [Chunk(raw, usage=usage)]
    chunks = [_chunk(choice) for choice in reply.choices]
    chunks[0].raw = raw
    chunks[-1].usage = usage
    return chunks


def whole_chunks(reply: Completion, raw: bytes) -> list[Chunk]:
    """Give a plain answer's chunks as `chunks_of` does, lowest index first; without indices by place."""
    choices = reply.choices or []
    indices = {choice.index for choice in choices}
    if None in indices or len(indices) < len(choices):
        for place, choice in enumerate(choices):
            choice.index = place
    for choice in choices:
        if choice.message is not None:
            choice.delta = None  # Perplexity sends both, and leaves this one empty
        for call in (choice.message and choice.message.tool_calls) or ():
            call.index = None  # in a whole answer the place says which call it is, whatever the server numbers
    choices.sort(key=lambda choice: choice.index or 0)
    return chunks_of(reply, raw)


def _chunk(choice: Choice) -> Chunk:
    ended = choice.finish_reason
    chunk = Chunk(finish_reason=finish_of(ended) if ended else None, index=choice.index or 0)
    message = choice.delta or choice.message
    if message is None:
        chunk.text = choice.text or ""
        return chunk
    content = message.content
    if isinstance(content, str):
        chunk.text = content
    elif content:
        chunk.text = "".join(part.text or "" for part in content)
        chunk.reasoning = "".join(_thinking(part) for part in content)
    if not chunk.text and message.refusal:
        chunk.text, chunk.refusal = message.refusal, True
    # Some servers send both names with the same text.
    chunk.reasoning = message.reasoning_content or message.reasoning or chunk.reasoning
    if message.tool_calls:
        calls = [_tool_call(place, piece) for place, piece in enumerate(message.tool_calls)]
        chunk.tool_calls = tuple(call for call in calls if call.id or call.name or call.arguments)
    elif message.function_call is not None:
        chunk.tool_calls = (_tool_call(0, ToolPiece(function=message.function_call)),)
    return chunk


def _thinking(part: Part) -> str:
    if isinstance(part.thinking, list):
        return "".join(inner.text or "" for inner in part.thinking)
    return part.thinking or ""


def _tool_call(place: int, piece: ToolPiece) -> ToolCall:
    index = place if piece.index is None else piece.index
    custom = piece.custom
    if custom is not None:
        return ToolCall(index, piece.id or "", custom.name or "", custom.input or "", "custom")
    function = piece.function or Function()
    arguments = function.arguments
    if isinstance(arguments, dict):
        arguments = msgspec.json.encode(arguments).decode()
    return ToolCall(index, piece.id or "", function.name or "", arguments or "")


def _usage_in(reply: Completion) -> Usage | None:
    if reply.usage:
        usage = usage_of(reply.usage)
        if usage is not None:
            return usage
    if reply.x_groq is not None and reply.x_groq.usage:
        return usage_of(reply.x_groq.usage)
    return None


def usage_of(raw: msgspec.Raw) -> Usage | None:
    """Read a usage; None where it is absent or makes no sense (negative, huge, not a number, half of it missing)."""
    try:
        usage = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(usage, dict):
        return None
    prompt, output, total = (count(usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total"))
    if prompt is None or (output is None and ("completion_tokens" in usage or total is None or total < prompt)):
        return None
    if total is not None and total > prompt + (output or 0):
        # xAI and Gemini leave reasoning out of completion_tokens, though not out of the total, and charge for it.
        output = total - prompt
    return Usage(
        input_tokens=prompt,
        output_tokens=output or 0,
        cached_tokens=_part(prompt, usage, "prompt_tokens_details", "cached_tokens", "prompt_cache_hit_tokens"),
        cache_write_tokens=_part(prompt, usage, "prompt_tokens_details", "cache_write_tokens"),
        reasoning_tokens=_part(output or 0, usage, "completion_tokens_details", "reasoning_tokens"),
    )


def _part(whole: int, usage: Mapping[str, Any], details: str, *names: str) -> int:
    """Read a part of a count from its details or from beside it; 0 where it is absent or larger than the whole."""
    inner = usage.get(details)
    for name in names:
        for place in (inner, usage):
            part = count(place.get(name)) if isinstance(place, dict) else None
            if part is not None:
                return part if part <= whole else 0
    return 0
