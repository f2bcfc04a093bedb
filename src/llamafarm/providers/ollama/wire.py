"""Reads Ollama's replies: a line of a stream, or the one object that a plain answer is."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from llamafarm.providers import decoding
from llamafarm.types import Chunk, ToolCall, Usage

__all__ = ["Embeddings", "Reply", "Translation", "decode", "decode_embeddings", "has_error"]

_MOST_TOKENS = 1_000_000_000
"""A count above it is nonsense."""
_NOTHING = (b"", b"null", b'""')
_ANSWERED_NOTHING = frozenset({"load", "unload"})


class Function(msgspec.Struct, gc=False):
    """What a tool call calls."""

    name: str | None = None
    arguments: Any = None
    """An object; a text where something in between made one of it."""


class Call(msgspec.Struct, gc=False):
    """A tool call: always a whole one."""

    id: str | None = None
    function: Function | None = None


class Message(msgspec.Struct, gc=False):
    """What the model made, or the next piece of it."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: decoding.Short[Call] | None = None


class Reply(msgspec.Struct, gc=False):
    """A line of a stream, or a whole answer, of ``/api/chat`` or ``/api/generate``."""

    message: Message | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    error: msgspec.Raw = msgspec.Raw()
    prompt_eval_count: Any = None
    eval_count: Any = None

    @property
    def only_loaded(self) -> bool:
        """Whether it says no more than that a model was loaded, or unloaded."""
        return self.done is True and self.done_reason in _ANSWERED_NOTHING


class Embeddings(msgspec.Struct, gc=False):
    """The answer of ``/api/embed``."""

    embeddings: tuple[tuple[float, ...], ...] = ()
    error: msgspec.Raw = msgspec.Raw()
    prompt_eval_count: Any = None

    def chunk(self, raw: bytes) -> Chunk:
        """Give the vectors and what reading the texts took."""
        return Chunk(raw, usage=_usage(self.prompt_eval_count, 0), vectors=self.embeddings)


_reply = msgspec.json.Decoder(Reply)
_embeddings = msgspec.json.Decoder(Embeddings)


def decode(data: bytes) -> tuple[Reply, bytes]:
    """Decode a line or a whole answer; give its bytes too, as JSON that every client can read.

    Raises `MalformedError`.
    """
    return decoding.decode(_reply, data)


def decode_embeddings(data: bytes) -> tuple[Embeddings, bytes]:
    """Decode the answer to an embedding request, as `decode` does. Raises `MalformedError`."""
    return decoding.decode(_embeddings, data)


def has_error(reply: Reply | Embeddings) -> bool:
    """Whether it is an error in the place of an answer."""
    return bytes(reply.error) not in _NOTHING


class Translation:
    """Turns the replies of one answer into chunks: its tool calls are counted across them, and given ids."""

    __slots__ = ("_begun", "_calls", "_seed")

    def __init__(self) -> None:
        self._begun = False
        self._calls = 0
        self._seed = ""

    def chunk(self, reply: Reply, raw: bytes) -> Chunk:
        """Give the chunk that a reply is."""
        message = reply.message or Message()
        chunk = Chunk(
            raw,
            text=message.content or reply.response or "",
            reasoning=message.thinking or reply.thinking or "",
            tool_calls=tuple(map(self._call, message.tool_calls or ())),
        )
        self._begun = self._begun or chunk.has_token
        if reply.done:
            output = 0 if reply.eval_count is None and not self._begun else reply.eval_count  # 0 is left out
            chunk.finish_reason = self._finish(reply.done_reason or "stop")
            chunk.usage = _usage(reply.prompt_eval_count, output)
        return chunk

    def _call(self, call: Call) -> ToolCall:
        index = self._calls
        self._calls += 1
        function = call.function or Function()
        arguments = function.arguments
        if not isinstance(arguments, str):
            arguments = msgspec.json.encode({} if arguments is None else arguments).decode()
        return ToolCall(index, call.id or self._id(index), function.name or "", arguments)

    def _id(self, index: int) -> str:
        self._seed = self._seed or os.urandom(10).hex()
        return f"call_{self._seed}{index:04x}"

    def _finish(self, reason: str) -> str:
        return "tool_calls" if reason == "stop" and self._calls else reason


def _usage(prompt: Any, output: Any) -> Usage | None:
    """Give the usage; None where a count is missing (the prompt's: it was in the cache) or makes no sense."""
    if _is_count(prompt) and _is_count(output):
        return Usage(input_tokens=prompt, output_tokens=output)
    return None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
