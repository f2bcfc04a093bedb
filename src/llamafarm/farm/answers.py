"""Gathers the chunks of a reply into an answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import msgspec

from llamafarm.errors import BadReplyError
from llamafarm.types import Answer, ToolCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from llamafarm.reply import Reply
    from llamafarm.types import AttemptRecord, Call, Chunk, Usage

__all__ = ["AnswerStream", "Embeddings", "gather", "vectors_of"]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A vector for each text, in order."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None
    strategy: str
    target: str
    model: str
    cost_usd: float | None
    attempts: tuple[AttemptRecord, ...]


class _Gatherer:
    """Puts chunks together; only the first choice of an answer counts."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[int, ToolCall] = {}
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.raw = b""
        self.first: float | None = None

    def __call__(self, chunk: Chunk) -> None:
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.index != 0:
            return
        self.raw = chunk.raw
        if self.first is None and chunk.has_token:
            self.first = time.monotonic()
        self.text.append(chunk.text)
        self.reasoning.append(chunk.reasoning)
        for piece in chunk.tool_calls:
            self._add(piece)
        self.finish_reason = chunk.finish_reason or self.finish_reason

    def _add(self, piece: ToolCall) -> None:
        so_far = self.calls.get(piece.index, ToolCall(piece.index))
        self.calls[piece.index] = ToolCall(
            piece.index,
            piece.id or so_far.id,
            piece.name or so_far.name,
            so_far.arguments + piece.arguments,
        )

    def answer(self, call: Call, reply: Reply) -> Answer:
        """Make the answer as far as it has come."""
        first = reply.outcome.first_token if reply.outcome else self.first
        return Answer(
            text="".join(self.text),
            reasoning="".join(self.reasoning),
            tool_calls=tuple(self.calls[index] for index in sorted(self.calls)),
            finish_reason=self.finish_reason,
            usage=self.usage,
            id=call.id,
            strategy=call.strategy,
            target=reply.target.name,
            model=reply.target.model,
            cost_usd=cost_usd(call),
            attempts=tuple(call.attempts),
            first_token_ms=None if first is None or not call.stream else (first - call.started) * 1e3,
            ms=(time.monotonic() - call.started) * 1e3,
            raw=b"" if call.stream else self.raw,
        )


def cost_usd(call: Call) -> float | None:
    """Give what a call cost in dollars, all attempts together; None where one went to a target without a price."""
    return None if call.unpriced else call.spent / 1e9


async def gather(call: Call, reply: Reply) -> Answer:
    """Read a reply to its end. Raises what the reply raises."""
    gatherer = _Gatherer()
    async with reply:
        async for chunk in reply:
            gatherer(chunk)
    return gatherer.answer(call, reply)


class AnswerStream:
    """The chunks of an answer as they come; `answer` has all that came so far, and the whole at the end.

    The request is sent when the first chunk is asked for. Leaving early (`aclose`, or the end of an ``async with``)
    cancels it at the target.
    """

    def __init__(self, call: Call, send: Callable[[Call], Awaitable[Reply]]) -> None:
        self._call = call
        self._send = send
        self._reply: Reply | None = None
        self._gatherer = _Gatherer()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        if self._reply is None:
            self._reply = await self._send(self._call)
        chunk = await anext(self._reply)
        self._gatherer(chunk)
        return chunk

    @property
    def has_begun(self) -> bool:
        """Whether the first chunk is there, and with it an `answer`."""
        return self._reply is not None

    @property
    def answer(self) -> Answer:
        """What has come so far. Raises ValueError before the first chunk."""
        if self._reply is None:
            raise ValueError("nothing has been sent yet: read the stream first")
        return self._gatherer.answer(self._call, self._reply)

    async def aclose(self) -> None:
        """Leave the stream; the target is told at once."""
        if self._reply is not None:
            await self._reply.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Row(msgspec.Struct):
    embedding: tuple[float, ...]
    index: int = 0


class _Rows(msgspec.Struct):
    data: list[_Row]


def vectors_of(answer: Answer, count: int) -> tuple[tuple[float, ...], ...]:
    """Read the vectors out of an embedding reply; raises BadReplyError where they are not `count` lists of numbers."""
    try:
        rows: Any = msgspec.json.decode(answer.raw, type=_Rows).data
    except msgspec.DecodeError as error:
        raise BadReplyError(f"{answer.target} answered with something else than embeddings: {error}") from error
    if len(rows) != count:
        raise BadReplyError(f"{answer.target} gave {len(rows)} vectors for {count} texts")
    return tuple(row.embedding for row in sorted(rows, key=lambda row: row.index))
