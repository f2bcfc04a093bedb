"""Decides whether what an upstream gave is an answer at all, before it counts as one: else the next target is asked."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Self

import msgspec

from llamafarm.errors import BadReplyError
from llamafarm.providers.decoding import MalformedError
from llamafarm.providers.openai.vectors import read_vectors
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from llamafarm.types import Attempt, Chunk, ToolCall

__all__ = ["count_inputs", "verified"]


def verified(events: AsyncIterator[Chunk], attempt: Attempt) -> AsyncIterator[Chunk]:
    """Give an attempt's events as they come; raises `BadReplyError` in their midst where they are no answer."""
    match attempt.call.operation:
        case Operation.EMBEDDING:
            return _Embeddings(events, attempt)
        case Operation.IMAGE:
            return events
        case _:
            return _Choices(events, attempt)


class _Verified:
    """Events of an upstream, of which `_see` sees each and `_require_end` the end."""

    __slots__ = ("_events", "_name")

    def __init__(self, events: AsyncIterator[Chunk], attempt: Attempt) -> None:
        self._events = events
        self._name = f"{attempt.target.name} ({attempt.target.model})"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        try:
            chunk = await anext(self._events)
        except StopAsyncIteration:
            self._require_end()
            raise
        self._see(chunk)
        return chunk

    def _see(self, chunk: Chunk) -> None:
        raise NotImplementedError

    def _require_end(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()


class _Embeddings(_Verified):
    """A vector for each input, all of one length and of finite numbers: they are put on the chunk."""

    __slots__ = ("_expected", "_seen")

    def __init__(self, events: AsyncIterator[Chunk], attempt: Attempt) -> None:
        super().__init__(events, attempt)
        self._expected = count_inputs(attempt.call.body.get("input"))
        self._seen = False

    def _see(self, chunk: Chunk) -> None:
        if self._seen or (chunk.vectors is None and not chunk.raw and chunk.finish_reason is None):
            return
        try:
            vectors = read_vectors(chunk.raw) if chunk.vectors is None else chunk.vectors
        except MalformedError as error:
            raise BadReplyError(f"{self._name} answered with something else than embeddings: {error}") from None
        self._require(vectors)
        chunk.vectors = vectors
        self._seen = True

    def _require(self, vectors: tuple[tuple[float, ...], ...]) -> None:
        if len(vectors) != self._expected:
            raise BadReplyError(f"{self._name} gave {len(vectors)} vectors for {self._expected} texts")
        lengths = {len(vector) for vector in vectors}
        if len(lengths) > 1 or 0 in lengths:
            raise BadReplyError(f"{self._name} gave vectors of different lengths: {sorted(lengths)}")
        if not all(math.isfinite(number) for vector in vectors for number in vector):
            raise BadReplyError(f"{self._name} gave a vector with a number that is none (NaN or infinite)")

    def _require_end(self) -> None:
        if not self._seen:
            raise BadReplyError(f"{self._name} gave no vectors")


def count_inputs(given: Any) -> int:
    """Count what is to be embedded: a text, or a list of token numbers, is one input."""
    if isinstance(given, list | tuple) and not all(isinstance(item, int) for item in given):
        return len(given)
    return 1


class _Choices(_Verified):
    """Answers by choice: there is a first one, and pieces of tool calls with one index are pieces of one call."""

    __slots__ = ("_begun", "_calls")

    def __init__(self, events: AsyncIterator[Chunk], attempt: Attempt) -> None:
        super().__init__(events, attempt)
        self._begun: set[int] = set()
        self._calls: dict[int, _Calls] = {}

    def _see(self, chunk: Chunk) -> None:
        if chunk.has_token or chunk.finish_reason is not None:
            self._begun.add(chunk.index)
        if chunk.tool_calls:
            chunk.tool_calls = self._calls.setdefault(chunk.index, _Calls()).placed(chunk.tool_calls)

    def _require_end(self) -> None:
        if self._begun and 0 not in self._begun:
            raise BadReplyError(f"{self._name} gave no choice 0, only {', '.join(map(str, sorted(self._begun)))}")


class _Call:
    """A tool call as far as it has come, and where it stands among those of its choice."""

    __slots__ = ("_arguments", "_id", "_name", "place")

    def __init__(self, place: int) -> None:
        self.place = place
        self._id = ""
        self._name = ""
        self._arguments: list[str] = []

    def take(self, piece: ToolCall) -> None:
        """Note a piece of it."""
        self._id = piece.id or self._id
        self._name = piece.name or self._name
        if piece.arguments:
            self._arguments.append(piece.arguments)

    def is_another(self, piece: ToolCall) -> bool:
        """Whether a piece is of another call: by its id, or as it has a name and this one has arguments already."""
        if piece.id and self._id not in ("", piece.id):
            return True
        if not (piece.name and self._name and self._arguments):
            return False
        return piece.name != self._name or (bool(piece.arguments.strip()) and self._is_whole())

    def _is_whole(self) -> bool:
        if not self._arguments[-1].rstrip().endswith("}"):
            return False
        self._arguments = ["".join(self._arguments)]
        try:
            msgspec.json.decode(self._arguments[0])
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return False
        return True


class _Calls:
    """The tool calls of one choice by index; some servers give every call the same one, or none, or no ids either."""

    __slots__ = ("_by_id", "_highest", "_last", "_taken")

    def __init__(self) -> None:
        self._last: dict[int, _Call] = {}  # by the server's index: the call that had a piece last
        self._by_id: dict[tuple[int, str], _Call] = {}  # by it and the server's id
        self._taken: set[int] = set()
        self._highest = -1

    def placed(self, pieces: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
        """Give pieces the index of the call they belong to: what is another call at a used index gets a new one."""
        return tuple(map(self._placed, pieces))

    def _placed(self, piece: ToolCall) -> ToolCall:
        call = self._by_id.get((piece.index, piece.id)) if piece.id else None
        call = call or self._last.get(piece.index)
        if call is None or call.is_another(piece):
            call = _Call(piece.index if piece.index not in self._taken else self._highest + 1)
            self._taken.add(call.place)
            self._highest = max(self._highest, call.place)
        call.take(piece)
        self._last[piece.index] = call
        if piece.id:
            self._by_id[piece.index, piece.id] = call
        return piece if piece.index == call.place else dataclasses.replace(piece, index=call.place)
