"""``/v1/chat/completions``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from llamafarm.server.formats.openai import schema
from llamafarm.server.formats.openai.mending import (
    Identity,
    mended_event_choice,
    mended_whole_choice,
)
from llamafarm.server.formats.openai.requests import Wanted, read_call
from llamafarm.server.formats.openai.stream import CompletionEvents
from llamafarm.server.formats.openai.values import CALL_TEXT, chat_choice, finish_reason
from llamafarm.server.formats.openai.whole import whole_completion
from llamafarm.server.formats.protocol import speaks
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llamafarm.reply import Reply
    from llamafarm.server.formats.openai.mending import Fields
    from llamafarm.server.formats.protocol import Dialect, EventWriter, Format
    from llamafarm.server.http.messages import Head
    from llamafarm.types import Call, Chunk, ToolCall

__all__ = ["Chat"]

_TEXT = "\0"
"""Stands where a text will be."""
_MOST_CHOICES = 128
"""OpenAI's limit of `n`."""


class Chat:
    """Chat completions, whole and streamed."""

    dialect: Dialect = "openai"

    def read(self, body: dict[str, Any], head: Head) -> Call:
        """Understand a request. Raises `BadCallError`."""
        return read_call(body, head, Operation.CHAT)

    def whole(self, call: Call, reply: Reply, chunks: Sequence[Chunk]) -> bytes:
        """Write a plain answer: as it came where it keeps OpenAI's schema, else filled in, or from its values."""
        seed, functions = _seed(call), Wanted.of(call).functions
        return whole_completion(
            reply,
            chunks,
            _identity(call, reply),
            kind="chat.completion",
            judge=schema.chat_whole,
            mended=mended_whole_choice,
            written=lambda choice: chat_choice(choice, seed, functions=functions),
        )

    def stream(self, call: Call, reply: Reply) -> EventWriter:
        """Begin to write a streamed answer."""
        wanted = Wanted.of(call)
        pieces = ChatPieces(_seed(call), functions=wanted.functions)
        passes = speaks(reply.target, "openai")
        return CompletionEvents(pieces, _identity(call, reply), wanted, passes=passes)


def _identity(call: Call, reply: Reply) -> Identity:
    return Identity(f"chatcmpl-{_seed(call)}", int(time.time()), reply.target.model)


def _seed(call: Call) -> str:
    return call.id.removeprefix("req_")


class ChatPieces:
    """`Pieces` of chat: the role first, then text, reasoning and tool calls, and at the end the reason for it.

    Blocks of thinking come all together, with the finish reason: clients put pieces of a list together by an index,
    which Anthropic's blocks do not have.
    """

    kind = "chat.completion.chunk"
    judge = schema.chat_event

    __slots__ = ("_begun", "_blocks", "_functions", "_ids", "_names", "_seed")

    def __init__(self, seed: str, *, functions: bool) -> None:
        self._seed = seed
        self._functions = functions
        self._begun: set[int] = set()
        """The choices whose role has come."""
        self._ids: set[tuple[int, int]] = set()
        """The tool calls, by choice and index, whose id has come; below, their name."""
        self._names: set[tuple[int, int]] = set()
        self._blocks: list[Mapping[str, Any]] = []

    def mended(self, place: int, choice: Fields) -> Fields:
        """Fill in a choice of an event."""
        return mended_event_choice(place, choice)

    def opening(self, event: schema.Event) -> list[dict[str, Any]]:
        """Give the role of an answer that begins without it: clients that put it together fail without one."""
        return [_role(choice.index) for choice in event.choices if choice.delta.role is None]

    def saw(self, event: schema.Event) -> None:
        """Note whose role has come."""
        self._begun.update([choice.index for choice in event.choices])

    def plain(self, chunk: Chunk) -> bool:
        """Whether a chunk is more text of the first choice and nothing else."""
        return bool(
            chunk.text
            and not chunk.index
            and not chunk.reasoning
            and not chunk.tool_calls
            and not chunk.refusal
            and chunk.finish_reason is None
            and chunk.thinking_block is None
            and 0 in self._begun
        )

    def around_text(self) -> tuple[dict[str, Any], str]:
        """Give the choice of such a chunk, and what stands for its text."""
        return _choice(0, {"content": _TEXT}), _TEXT

    def choices(self, chunk: Chunk) -> list[dict[str, Any]]:
        """Give the choices of a chunk, one an event."""
        if chunk.thinking_block is not None:
            self._blocks.append(chunk.thinking_block)
        if not chunk.has_token and chunk.finish_reason is None:
            return []
        made: list[dict[str, Any]] = []
        if chunk.index not in self._begun:
            made += self._roles(chunk.index)
        delta = self._delta(chunk)
        if delta:
            made.append(_choice(chunk.index, delta))
        if chunk.finish_reason is not None:
            made.append(_choice(chunk.index, self._last(chunk), self._finish(chunk.finish_reason)))
        return made

    def _roles(self, index: int) -> list[dict[str, Any]]:
        """Open a choice, and before it those of a lower index: clients put them together in the order they open in."""
        before = range(index) if index < _MOST_CHOICES else ()
        new = [each for each in (*before, index) if each not in self._begun]
        self._begun.update(new)
        return [_role(each) for each in new]

    def _finish(self, reason: str) -> str:
        return finish_reason(reason, functions=self._functions)

    def _last(self, chunk: Chunk) -> dict[str, Any]:
        if chunk.index or not self._blocks:
            return {}
        blocks, self._blocks = self._blocks, []
        return {"thinking_blocks": blocks}

    def _delta(self, chunk: Chunk) -> dict[str, Any]:
        delta: dict[str, Any] = {}
        if chunk.reasoning:
            delta["reasoning_content"] = chunk.reasoning
        if chunk.text:
            delta["refusal" if chunk.refusal else "content"] = chunk.text
        calls = [self._tool_call(chunk.index, piece) for piece in chunk.tool_calls]
        if calls and not self._functions:
            delta["tool_calls"] = calls
        elif calls:
            first = [call["function"] for call in calls if not call["index"] and "function" in call]
            delta |= {"function_call": first[0]} if first else {}
        return delta

    def _tool_call(self, choice: int, piece: ToolCall) -> dict[str, Any]:
        """Write a piece of a tool call: its id, type and name only once, for clients join what comes twice."""
        key = (choice, piece.index)
        call: dict[str, Any] = {"index": piece.index}
        if key not in self._ids:
            self._ids.add(key)
            call |= {"id": piece.id or f"call_{self._seed}{choice}{piece.index}", "type": piece.kind}
        said: dict[str, Any] = {CALL_TEXT[piece.kind]: piece.arguments}
        if piece.name and key not in self._names:
            self._names.add(key)
            said = {"name": piece.name, **said}
        return {**call, piece.kind: said}


def _choice(index: int, delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}


def _role(index: int) -> dict[str, Any]:
    return _choice(index, {"role": "assistant", "content": ""})


if TYPE_CHECKING:
    _: Format = Chat()
