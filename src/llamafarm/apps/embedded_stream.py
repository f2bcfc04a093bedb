"""A request's events from the engine as an upstream's chunks: in time, to a proper end, and stopped when left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from llamafarm.apps.embedded_failure import failure_of_event, failure_of_exception
from llamafarm.apps.embedded_reply import chunk_of, summed, vectors_of, whole_of
from llamafarm.errors import AttemptTimeoutError, LlamaFarmError, StreamCutError
from llamafarm.types import Operation

if TYPE_CHECKING:
    from llamafarm.apps.generation import Event, Generation
    from llamafarm.types import Attempt, Chunk

__all__ = ["EngineStream"]


class EngineStream:
    """The chunks of one running request; a plain request's is one, put together at the end.

    Leaving it, by `aclose` or by forgetting it, stops the engine.
    """

    def __init__(self, generation: Generation, attempt: Attempt) -> None:
        self._generation = generation
        self._target = attempt.target
        self._operation = attempt.call.operation
        self._streamed = attempt.call.stream and self._operation is not Operation.EMBEDDING
        self._idle = attempt.idle
        self._ready = time.monotonic()
        """Loading and queueing are over; the first token's own limit counts from here."""
        self._first_by = attempt.deadline
        if self._streamed and attempt.ttft is not None:
            self._first_by = min(attempt.deadline, self._ready + attempt.ttft)
        self._begun = False
        self._finished = False
        self._ended = False
        self._ahead: list[Event] = []
        self._usages: list[Event] = []

    async def accepted(self) -> None:
        """Return once the engine has begun; raises what it says where it does not take the request."""
        event = await self._event()
        if event is not None:
            self._ahead.append(event)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        if self._streamed:
            return await self._next_chunk()
        return await self._whole()

    async def _next_chunk(self) -> Chunk:
        event = await self._next_event()
        if event is None:
            raise StopAsyncIteration
        if event.get("usage"):
            self._usages.append(event["usage"])
            if len(self._usages) > 1:  # of several prompts each has its own, and the last that is told has to be all
                event["usage"] = summed(self._usages)
        chunk = chunk_of(event, self._target.model)
        self._begun = self._begun or chunk.has_token
        self._finished = self._finished or chunk.finish_reason is not None
        return chunk

    async def _whole(self) -> Chunk:
        events: list[Event] = []
        while (event := await self._next_event()) is not None:
            events.append(event)
            if self._operation is Operation.EMBEDDING or _finish_reason(event):
                self._finished = True
        if not events:
            raise StopAsyncIteration
        if self._operation is Operation.EMBEDDING:
            return vectors_of(events[0], self._target.model)
        return whole_of(events, self._operation, self._target.model)

    async def _next_event(self) -> Event | None:
        """Give the next event that carries something; None at a proper end."""
        while not self._ended:
            event = self._ahead.pop() if self._ahead else await self._event()
            if event is None:
                return None
            if "prompt_progress" not in event:
                return event
        return None

    async def _event(self) -> Event | None:
        seconds = self._idle if self._begun else self._first_by - time.monotonic()
        try:
            event = await self._generation.next(max(seconds, 0.0))
        except TimeoutError as error:
            raise self._failed(self._too_slow()) from error
        if event is None:
            self._ended = True
            self._require_end()
        elif "error" in event:
            raise self._failed(failure_of_event(event["error"], self._target))
        return event

    def _too_slow(self) -> LlamaFarmError:
        who = f"{self._target.name} ({self._target.model})"
        if self._begun:
            return StreamCutError(f"{who}: silent for {self._idle:g} s in the middle of its answer")
        passed = time.monotonic() - self._ready
        what = "no first token" if self._streamed else "no whole answer"
        return AttemptTimeoutError(f"{who}: {what} after {passed:.1f} s; a smaller model or a shorter prompt is faster")

    def _failed(self, error: LlamaFarmError) -> LlamaFarmError:
        self._stop()
        if self._begun and not isinstance(error, StreamCutError):
            return StreamCutError(str(error))
        return error

    def _require_end(self) -> None:
        if self._generation.failure is not None:
            cause = self._generation.failure
            raise self._failed(failure_of_exception(cause, self._target)) from cause
        if not self._finished:
            raise StreamCutError(
                f"{self._target.name} ({self._target.model}): the engine stopped before it had finished"
            )

    def _stop(self) -> None:
        self._ended = True
        self._generation.cancel()

    async def aclose(self) -> None:
        """Have the engine stop; returns at once."""
        self._stop()

    def __del__(self) -> None:
        self._generation.cancel()


def _finish_reason(event: Event) -> bool:
    return any(choice.get("finish_reason") for choice in event.get("choices") or ())
