"""Decides when a streamed answer is late, silent, cut or complete, whatever format its events have."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

from llamafarm.errors import AttemptError, AttemptTimeoutError, BadReplyError, StreamCutError
from llamafarm.providers.alarm import Alarm
from llamafarm.providers.finishing import is_interruption
from llamafarm.transport import OversizedEventError
from llamafarm.types import Chunk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.providers.failures import Peer
    from llamafarm.transport import Event, Response
    from llamafarm.types import Attempt, Usage

__all__ = ["ChunkStream", "Framing", "Limits", "choices_of"]

_log = logging.getLogger(__name__)

LONGEST_ANSWER = 64_000_000
"""Characters: no model gives a hundredth of it. Whoever reads an answer keeps it, so it must end somewhere."""
_TAIL_SECONDS = 5.0
"""After the last finish reason only usage can follow: all that comes later than this is left."""
_LAST_BYTES_SECONDS = 0.1
"""After the event that ends an answer only the end of the body can follow; with it the connection can be used again."""
_UNFINISHED = "ended its answer without a finish reason"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a stream may take, and how many choices make it whole."""

    started: float
    """Monotonic seconds at which the request was sent."""
    first_token: float
    """Monotonic seconds by which the first token must be in."""
    idle: float
    """Seconds after it between two events that bring a piece of the answer."""
    bound_by: str = "timeout"
    """The key of the strategy file that set `first_token`."""
    choices: int = 1
    """How many were asked for: `n`, for each prompt."""

    @classmethod
    def of(cls, attempt: Attempt, *, streamed: bool) -> Self:
        """Start the clock for an attempt. For a plain answer `first_token` bounds all of it."""
        now = time.monotonic()
        due, bound_by = attempt.deadline, attempt.bound_by
        if streamed and attempt.ttft is not None and now + attempt.ttft < due:
            due, bound_by = now + attempt.ttft, "ttft_timeout"
        return cls(now, due, attempt.idle, bound_by, choices_of(attempt.body))

    @property
    def first_token_seconds(self) -> float:
        """Seconds from sending to `first_token`."""
        return round(max(0.0, self.first_token - self.started), 1)

    def late(self, peer: Peer) -> AttemptTimeoutError:
        """Give the error for a first token that did not come in time."""
        return AttemptTimeoutError(f"{peer} sent no first token within {self.first_token_seconds:g} s; {self.advice}")

    @property
    def advice(self) -> str:
        """What to do about an answer that did not come in time."""
        if not self.bound_by:
            return "it has not answered lately, and was quicker when it did"
        return f"the server may be overloaded, or raise {self.bound_by}"


def choices_of(body: Mapping[str, Any]) -> int:
    """Count the answers that a request in OpenAI's format asks for."""
    each = body["n"] if isinstance(body.get("n"), int) else 1
    prompts = body.get("prompt")
    if not isinstance(prompts, list | tuple) or all(isinstance(token, int) for token in prompts):
        return each
    return each * len(prompts)


class Framing(Protocol):
    """Cuts a body's bytes into events: `transport.SSEParser`, or one that takes a line for an event."""

    def feed(self, block: bytes) -> list[Event]:
        """Take the next bytes and give the events they complete. Raises `OversizedEventError`."""

    def end(self) -> list[Event]:
        """Give the event the body ended in, if it ended in one. May be called twice."""


class ChunkStream:
    """The chunks of one streamed answer; a dialect says in `_take` what its events mean.

    Until the first token only tokens count: comments, roles and empty deltas do not. After it, `Limits.idle` bounds
    the time between two events that bring something: a token, a finish reason or another usage. What follows the last
    finish reason is waited for `_TAIL_SECONDS` in all, or where text goes on behind it for `Limits.idle` at a time. The
    time in which the reader does not read counts for neither. Chunks that came before a failure are given before it is
    raised. An answer whose choices have all finished is complete, whatever goes wrong after that. One with fewer
    choices than asked for is complete only where its source says that it has ended: many servers ignore `n`. So is one
    with a finish reason in every event, which says nothing then. A finish reason that means an interruption is a cut.
    """

    __slots__ = (
        "_alarm",
        "_begun",
        "_body_ended",
        "_choices",
        "_failure",
        "_finished",
        "_finishes_each",
        "_last_piece",
        "_left",
        "_limits",
        "_parser",
        "_peer",
        "_ready",
        "_response",
        "_size",
        "_skipped",
        "_skipped_in_all",
        "_tail_due",
        "_usage",
    )

    def __init__(self, response: Response, peer: Peer, limits: Limits, framing: Framing) -> None:
        self._response = response
        self._peer = peer
        self._limits = limits
        self._parser = framing
        self._alarm = Alarm(response.close)
        self._ready: deque[Chunk] = deque()
        self._failure: AttemptError | None = None
        self._begun = False  # a token has come
        self._finished = False  # a finish reason has come for every choice that was asked for, and it can be believed
        self._finishes_each = False  # one comes with every event
        self._body_ended = False
        self._choices: dict[int, bool] = {}  # those that have shown themselves, and whether they have finished
        self._last_piece = self._left = limits.started  # when a piece came, and when the reader went off with the last
        self._tail_due = math.inf
        self._usage: Usage | None = None  # the last: some say it with every event
        self._size = 0  # characters given
        self._skipped = 0
        self._skipped_in_all = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        if not self._ready:
            self._leave_out_absence()
        while not self._ready:
            if self._failure is not None:
                self._close()
                raise self._failure
            if self._body_ended:
                await self._read_last_bytes()
                raise StopAsyncIteration
            await self._fill()
            self._left = time.monotonic()
            if not self._ready:
                await asyncio.sleep(0)  # what gives nothing for ever must not keep the alarm from ringing
        self._alarm.set(math.inf)  # the reader may take its time
        return self._ready.popleft()

    def _leave_out_absence(self) -> None:
        """Move the clocks on by the time in which the reader did not read: it is not the source's silence."""
        now = time.monotonic()
        self._last_piece += now - self._left
        self._tail_due += now - self._left
        self._left = now

    async def aclose(self) -> None:
        """Cancel the request at the upstream at once, where it has not ended."""
        if not self._body_ended and self._failure is None:
            self._failure = self._cut("was left before its end")
        self._ready.clear()
        self._close()

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        self._alarm.cancel()
        self._response.close()

    async def _fill(self) -> None:
        """Wait for the next bytes and take the events in them."""
        self._alarm.set(self._due())
        try:
            block = await self._response.read_some()
        except AttemptError as error:
            self._broken(error)
            return
        try:
            events = self._parser.feed(block) if block else self._parser.end()
        except OversizedEventError as error:
            kind = StreamCutError if self._begun else BadReplyError
            self._fail(kind(f"{self._peer}: {error}"))
            return
        for event in events:
            if self._body_ended or self._failure is not None:
                break
            self._take(event)
        if not block:
            self._finished = self._is_whole
            self._stop(_UNFINISHED)

    def _due(self) -> float:
        if not self._begun and not self._finished:
            return self._limits.first_token
        return min(self._last_piece + self._limits.idle, self._tail_due)

    def _take(self, event: Event) -> None:
        """Take one event: `_give` its chunks, `_skip` it where it is malformed, `_fail`, or `_end` the answer."""
        raise NotImplementedError

    def _skip(self, error: Exception) -> None:
        """Leave a malformed event out, and count it."""
        self._skipped += 1
        self._skipped_in_all += 1
        if self._skipped_in_all == 1:
            _log.warning("%s sent a malformed event, which is left out: %s", self._peer, str(error)[:200])

    def _fail(self, error: AttemptError) -> None:
        """End with an error, once the chunks before it have been given; an answer that was complete just ends."""
        if self._finished:
            self._end()
        else:
            self._failure = error

    def _count_as_progress(self) -> None:
        """Take an event that gives no chunk with anything in it for a sign that the source is at work."""
        self._last_piece = time.monotonic()

    def _give(self, chunk: Chunk) -> None:
        """Give a chunk to the reader, and see by it how far the answer is."""
        if is_interruption(chunk.finish_reason):
            self._interrupted(chunk)
            return
        chunk.skipped, self._skipped = self._skipped, 0
        if _brings_something(chunk) or chunk.usage not in (None, self._usage):
            self._last_piece = time.monotonic()
            self._usage = chunk.usage or self._usage
        goes_on = chunk.has_token and self._choices.get(chunk.index, False)
        self._note_finish(chunk, goes_on=goes_on)
        if chunk.has_token:
            self._begun = True
        if not self._finished:
            self._tail_due = math.inf
        elif goes_on:
            self._tail_due = self._last_piece + self._limits.idle
        elif self._tail_due == math.inf:
            self._tail_due = self._last_piece + _TAIL_SECONDS
        self._size += len(chunk.text) + len(chunk.reasoning) + sum(len(call.arguments) for call in chunk.tool_calls)
        if self._size > LONGEST_ANSWER:
            self._fail(self._cut(f"sent more than {LONGEST_ANSWER // 1_000_000} million characters"))
            self._response.close()
            return
        self._ready.append(chunk)

    def _note_finish(self, chunk: Chunk, *, goes_on: bool) -> None:
        """See by a chunk which choices are whole; `goes_on`: it has text behind its choice's finish reason."""
        if chunk.finish_reason is not None:
            self._choices[chunk.index] = True
            self._finishes_each = self._finishes_each or goes_on
        elif chunk.has_token:
            self._choices.setdefault(chunk.index, False)
        else:
            return
        self._finished = self._is_whole and not self._finishes_each

    @property
    def _is_whole(self) -> bool:
        """Whether every choice that was asked for has a finish reason, as far as it has been read."""
        return len(self._choices) >= self._limits.choices and all(self._choices.values())

    def _interrupted(self, chunk: Chunk) -> None:
        """Take a finish reason that says that the answer is not whole: what came with it is given, then it is a cut."""
        failure = self._cut(f"ended its answer with an error (finish reason {str(chunk.finish_reason)[:60]!r})")
        if not self._finished and chunk.has_token:
            chunk.raw, chunk.finish_reason = self._unfinished(chunk), None
            self._give(chunk)
        self._fail(failure)

    def _unfinished(self, _chunk: Chunk) -> bytes:
        """Give a chunk's bytes without its finish reason, where they are in the format that clients are passed."""
        return b""

    def _broken(self, error: AttemptError) -> None:
        if self._failure is not None:  # closed by the reader
            return
        if self._finished:
            self._end()
        elif not self._alarm.rang:
            # A last event whose blank line is missing may still be whole, and hold the finish reason.
            for event in self._parser.end():
                self._take(event)
            self._stop(f"broke off ({error})")
        elif self._begun:
            self._failure = self._cut(
                f"was silent for {self._limits.idle:g} s in the middle of its answer (empty events do not count)"
            )
        else:
            self._failure = self._limits.late(self._peer)

    def _stop(self, how: str) -> None:
        """Take the end of the body: the answer is complete only with every finish reason."""
        if self._finished:
            self._end()
        elif not self._body_ended and self._failure is None:
            self._failure = self._cut(how)

    def _end(self) -> None:
        """Take the end that the source itself declares: the answer is what has come, if that has finish reasons."""
        if self._body_ended or self._failure is not None:
            return
        if not self._choices or not all(self._choices.values()):
            self._failure = self._cut(_UNFINISHED)
            return
        self._body_ended = True
        if self._skipped:
            self._ready.append(Chunk(skipped=self._skipped))
            self._skipped = 0

    def _cut(self, how: str) -> StreamCutError:
        skipped = f" ({self._skipped_in_all} malformed events were left out)" if self._skipped_in_all else ""
        return StreamCutError(f"{self._peer} {how}{skipped}; the answer so far is not the whole")

    async def _read_last_bytes(self) -> None:
        self._alarm.set(time.monotonic() + _LAST_BYTES_SECONDS)
        try:
            while await self._response.read_some():
                pass
        except AttemptError:
            pass  # the answer is complete; only the connection cannot be used again
        finally:
            self._close()


def _brings_something(chunk: Chunk) -> bool:
    """Whether an event is a sign of progress: a source can send empty ones for ever."""
    return bool(
        chunk.text
        or chunk.reasoning
        or chunk.finish_reason
        or chunk.thinking_block is not None
        or any(call.id or call.name or call.arguments for call in chunk.tool_calls)
    )
