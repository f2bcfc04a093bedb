"""OpenAI's published schema of a completion, whole and streamed: what every answer must have.

The required fields are those of OpenAI's OpenAPI document, the words allowed those of its Python package (3.54). One
thing differs: a piece of a streamed legacy completion has a null `finish_reason`, as OpenAI itself sends it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw

__all__ = [
    "FINISH_REASONS",
    "TEXT_FINISH_REASONS",
    "Event",
    "TextEvent",
    "chat_event",
    "chat_whole",
    "fits",
    "text_event",
    "text_whole",
]

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
TextFinishReason = Literal["stop", "length", "content_filter"]
FINISH_REASONS = frozenset(("stop", "length", "tool_calls", "content_filter", "function_call"))
TEXT_FINISH_REASONS = frozenset(("stop", "length", "content_filter"))


class Details(msgspec.Struct, gc=False):
    """Parts of a count of tokens."""

    accepted_prediction_tokens: int | None = None
    audio_tokens: int | None = None
    cache_write_tokens: int | None = None
    cached_tokens: int | None = None
    image_tokens: int | None = None
    reasoning_tokens: int | None = None
    rejected_prediction_tokens: int | None = None
    text_tokens: int | None = None


class Counts(msgspec.Struct, gc=False):
    """A usage."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None


class TopLogprob(msgspec.Struct, gc=False):
    """How likely one token was at a place."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob, gc=False):
    """How likely the token was that was chosen."""

    top_logprobs: list[TopLogprob]


class Logprobs(msgspec.Struct, gc=False):
    """Of each token of a piece."""

    content: list[TokenLogprob] | None = None
    refusal: list[TokenLogprob] | None = None


class ContentLogprobs(msgspec.Struct, gc=False):
    """Of each token of a content, which there is."""

    content: list[TokenLogprob]


class TextLogprobs(msgspec.Struct, omit_defaults=True, gc=False):
    """Of each token of a legacy completion; an echoed prompt's first has none."""

    text_offset: list[int] | None = None
    token_logprobs: list[float | None] | None = None
    tokens: list[str] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None
    content: None = None
    """What chat has; llama.cpp answers with it here as well."""


class FunctionPiece(msgspec.Struct, gc=False):
    """A piece of a function's call."""

    name: str | None = None
    arguments: str | None = None


class CustomPiece(msgspec.Struct, gc=False):
    """A piece of a custom tool's call; OpenAI's service streams such, though its schema has none."""

    name: str | None = None
    input: str | None = None


class ToolPiece(msgspec.Struct, gc=False):
    """A piece of a tool call."""

    index: int
    id: str | None = None
    type: Literal["function", "custom"] | None = None
    function: FunctionPiece | None = None
    custom: CustomPiece | None = None


class AudioPiece(msgspec.Struct, gc=False):
    """A piece of a spoken answer."""

    id: str | None = None
    data: str | None = None
    expires_at: int | None = None
    transcript: str | None = None


class Delta(msgspec.Struct, gc=False):
    """What an event adds to a choice."""

    role: Literal["developer", "system", "user", "assistant", "tool"] | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolPiece] | None = None
    function_call: FunctionPiece | None = None
    audio: AudioPiece | None = None


class EventChoice(msgspec.Struct, gc=False):
    """A choice's part of an event."""

    index: int
    delta: Delta
    finish_reason: FinishReason | None
    logprobs: Logprobs | None = None


class Frame(msgspec.Struct, gc=False):
    """What every kind of completion has around its choices."""

    id: str
    created: int
    model: str
    usage: Counts | None = None
    system_fingerprint: str | None = None


class ChatFrame(Frame, gc=False):
    """As above, of chat."""

    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    obfuscation: str | None = None


class Event(ChatFrame, kw_only=True, gc=False):
    """An event of a streamed chat completion."""

    object: Literal["chat.completion.chunk"]
    choices: list[EventChoice]


class Function(msgspec.Struct, gc=False):
    """A function's call."""

    name: str
    arguments: str


class FunctionTool(msgspec.Struct, tag_field="type", tag="function", gc=False):
    """A tool call of a function."""

    id: str
    function: Function


class Custom(msgspec.Struct, gc=False):
    """A custom tool's call."""

    name: str
    input: str


class CustomTool(msgspec.Struct, tag_field="type", tag="custom", gc=False):
    """A tool call of a custom tool."""

    id: str
    custom: Custom


class Citation(msgspec.Struct, gc=False):
    """Where a passage comes from."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(msgspec.Struct, gc=False):
    """What is said about a passage."""

    type: Literal["url_citation"]
    url_citation: Citation


class Audio(msgspec.Struct, gc=False):
    """A spoken answer."""

    id: str
    data: str
    expires_at: int
    transcript: str


class Message(msgspec.Struct, kw_only=True, gc=False):
    """A whole message."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    tool_calls: list[FunctionTool | CustomTool] | None = None
    function_call: Function | None = None
    annotations: list[Annotation] | None = None
    audio: Audio | None = None


class Choice(msgspec.Struct, gc=False):
    """One of the answers."""

    index: int
    message: Message
    finish_reason: FinishReason
    logprobs: Logprobs | None


class Whole(ChatFrame, kw_only=True, gc=False):
    """A whole chat completion."""

    object: Literal["chat.completion"]
    choices: list[Choice]


class TextEventChoice(msgspec.Struct, gc=False):
    """A choice's part of an event."""

    index: int
    text: str
    finish_reason: TextFinishReason | None
    logprobs: TextLogprobs | None


class TextEvent(Frame, kw_only=True, gc=False):
    """An event of a streamed legacy completion."""

    object: Literal["text_completion"]
    choices: list[TextEventChoice]


class TextChoice(TextEventChoice, gc=False):
    """One of the answers."""

    finish_reason: TextFinishReason


class TextWhole(Frame, kw_only=True, gc=False):
    """A whole legacy completion."""

    object: Literal["text_completion"]
    choices: list[TextChoice]


chat_event = msgspec.json.Decoder(Event)
chat_whole = msgspec.json.Decoder(Whole)
text_event = msgspec.json.Decoder(TextEvent)
text_whole = msgspec.json.Decoder(TextWhole)


def fits(raw: bytes | Raw, decoder: msgspec.json.Decoder[Any]) -> bool:
    """Tell whether JSON is of a kind."""
    try:
        decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True
