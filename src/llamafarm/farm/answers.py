"""Gathers the chunks of a reply into an answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from llamafarm.errors import BadCallError, LlamaFarmError, StreamCutError
from llamafarm.reply import Reply
from llamafarm.types import Answer, Choice, ToolCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from llamafarm.types import AttemptRecord, Call, Chunk, Usage

__all__ = ["AnswerStream", "Embeddings", "embeddings_of", "gather"]


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


class _ChoiceSoFar:
    """One choice of an answer, piece by piece."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.calls: dict[int, ToolCall] = {}
        self.finish_reason: str | None = None

    def add(self, chunk: Chunk) -> None:
        self.text.append(chunk.text)
        self.reasoning.append(chunk.reasoning)
        for piece in chunk.tool_calls:
            so_far = self.calls.get(piece.index, ToolCall(piece.index))
            self.calls[piece.index] = so_far.with_piece(piece)
        self.finish_reason = chunk.finish_reason or self.finish_reason

    def choice(self, index: int) -> Choice:
        return Choice(
            index=index,
            text="".join(self.text),
            reasoning="".join(self.reasoning),
            tool_calls=tuple(self.calls[place] for place in sorted(self.calls)),
            finish_reason=self.finish_reason,
        )


class _Gatherer:
    """Puts chunks together, choice by choice."""

    def __init__(self) -> None:
        self._choices: dict[int, _ChoiceSoFar] = {}
        self._thinking_blocks: list[Mapping[str, Any]] = []
        self._raw = b""
        self._vectors: tuple[tuple[float, ...], ...] | None = None
        self._first: float | None = None
        self._skipped = 0
        self._resumed_by: list[str] = []

    def __call__(self, chunk: Chunk) -> None:
        self._skipped += chunk.skipped
        if chunk.resumed_by:
            self._resumed_by.append(chunk.resumed_by)
        self._raw = self._raw or chunk.raw
        self._vectors = self._vectors or chunk.vectors
        if self._first is None and chunk.has_token:
            self._first = time.monotonic()
        if chunk.has_token or chunk.finish_reason is not None:
            self._choices.setdefault(chunk.index, _ChoiceSoFar()).add(chunk)
        if chunk.thinking_block is not None:
            self._thinking_blocks.append(chunk.thinking_block)

    def answer(self, call: Call, reply: Reply) -> Answer:
        """Make the answer as far as it has come."""
        first_token = reply.outcome.first_token if reply.outcome else self._first
        choices = tuple(self._choices[index].choice(index) for index in sorted(self._choices))
        first = next((choice for choice in choices if choice.index == 0), Choice())
        return Answer(
            text=first.text,
            reasoning=first.reasoning,
            tool_calls=first.tool_calls,
            finish_reason=first.finish_reason,
            usage=reply.usage,
            id=call.id,
            strategy=call.strategy,
            target=reply.target.name,
            model=reply.target.model,
            cost_usd=cost_usd(call),
            attempts=tuple(call.attempts),
            thinking_blocks=tuple(self._thinking_blocks),
            first_token_ms=None if first_token is None or not call.stream else (first_token - call.started) * 1e3,
            ms=(time.monotonic() - call.started) * 1e3,
            raw=b"" if call.stream else self._raw,
            vectors=self._vectors,
            choices=choices,
            skipped=self._skipped,
            resumed_by=tuple(self._resumed_by),
        )


def cost_usd(call: Call) -> float | None:
    """Give what a call cost in dollars, all attempts together; None where what one may have cost cannot be told."""
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
        self._failure: LlamaFarmError | None = None
        """Why there is no reply."""
        self._left = False
        self._sending: asyncio.Future[Reply] | None = None
        self._gatherer = _Gatherer()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        if self._left:
            raise StopAsyncIteration
        reply = self._reply or await self._begin()
        try:
            chunk = await anext(reply)
        except StopAsyncIteration:
            if reply.outcome is not None and reply.outcome.ended == "abandoned" and not self._left:
                raise _given_up() from None
            raise
        self._gatherer(chunk)
        return chunk

    async def _begin(self) -> Reply:
        if self._failure is not None:
            raise self._failure
        self._sending = asyncio.ensure_future(self._send(self._call))
        try:
            self._reply = await self._sending
        except LlamaFarmError as error:
            self._failure = error
            raise
        except asyncio.CancelledError:
            if self._left:  # whoever left the stream cancelled it
                raise StopAsyncIteration from None
            await self._stop()
            self._failure = _given_up()  # to read on must not send it, and pay for it, a second time
            raise
        return self._reply

    async def _stop(self) -> None:
        """Cancel a request whose first token is still waited for."""
        if self._sending is not None:
            self._sending.cancel()
            for reply in await asyncio.gather(self._sending, return_exceptions=True):
                if isinstance(reply, Reply):  # it came just now
                    await reply.aclose()

    @property
    def has_begun(self) -> bool:
        """Whether the first chunk is there, and with it an `answer`."""
        return self._reply is not None

    @property
    def answer(self) -> Answer:
        """What has come so far. Raises BadCallError before the first chunk, and what failed where none came."""
        if self._failure is not None:
            raise self._failure
        if self._reply is None:
            raise BadCallError("this stream has not been read, so there is no answer yet: go through its chunks first")
        return self._gatherer.answer(self._call, self._reply)

    async def aclose(self) -> None:
        """Leave the stream; the target is told at once."""
        self._left = True
        if self._reply is not None:
            await self._reply.aclose()
        else:
            await self._stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _given_up() -> StreamCutError:
    return StreamCutError("this stream was given up before its end: the farm was closed, or its reader cancelled")


def embeddings_of(answer: Answer) -> Embeddings:
    """Make the answer to an embedding request what its caller is given."""
    return Embeddings(
        vectors=answer.vectors or (),
        usage=answer.usage,
        strategy=answer.strategy,
        target=answer.target,
        model=answer.model,
        cost_usd=answer.cost_usd,
        attempts=answer.attempts,
    )
