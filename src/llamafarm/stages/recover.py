"""Puts an answer together whose stream was cut: what came, and what another target goes on with from there."""

from __future__ import annotations

import asyncio
import dataclasses
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from llamafarm.errors import AttemptError, AttemptTimeoutError, StreamCutError
from llamafarm.reply import Reply
from llamafarm.stages.seam import Seam
from llamafarm.tokens import estimate
from llamafarm.types import Chunk, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from llamafarm.types import Call, Ended, Target, Usage

__all__ = ["Beginning", "Recovered", "can_continue", "can_go_on", "read_whole"]


@dataclass(frozen=True, slots=True)
class Beginning:
    """What of an answer its reader has already."""

    text: str

    @property
    def given(self) -> str:
        """What a target goes on from: without white space at its end, which some refuse."""
        return self.text.rstrip()

    @property
    def space(self) -> str:
        """The white space that `given` leaves out."""
        return self.text[len(self.given) :]

    @property
    def tokens(self) -> int:
        """Estimated."""
        return estimate(self.text)

    @property
    def bytes(self) -> int:
        """In UTF-8."""
        return len(self.text.encode("utf-8", "surrogatepass"))


def can_continue(call: Call) -> bool:
    """Tell whether an answer to this request could be gone on with: it is one free text, and nothing else."""
    body = call.body
    if call.operation is Operation.COMPLETION:
        return not body.get("suffix") and not body.get("echo") and _is_plain(call)
    schema = body.get("response_format")
    is_text = schema is None or (isinstance(schema, dict) and schema.get("type") == "text")
    return call.operation is Operation.CHAT and is_text and _is_plain(call)


def _is_plain(call: Call) -> bool:
    body = call.body
    return (body.get("n") or 1) == 1 and (body.get("best_of") or 1) == 1 and not body.get("logprobs")


def can_go_on(call: Call, target: Target, beginning: Beginning) -> bool:
    """Tell whether a target can go on from a beginning: with a plain completion, and behind mere blanks, each can."""
    return call.operation is Operation.COMPLETION or target.prefill is not None or not beginning.given


async def read_whole(reply: Reply, deadline: float) -> None:
    """Read a reply to its end before anything of it is passed on; raises what it raises, as if nothing had come."""
    reading = asyncio.ensure_future(reply.read_ahead())
    try:
        await asyncio.wait({reading}, timeout=max(0.0, deadline - time.monotonic()))
        if not reading.done():
            late = AttemptTimeoutError(
                f"{reply.target.name} did not end its answer in time, and it has to be whole before it is passed on"
                " (stream_recovery is buffer, or it is a refusal and failover_on has content_policy):"
                " raise timeout and timeout_seconds, or use continue"
            )
            reply.break_off(late)
            raise late
        reading.result()
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


class Recovered:
    """The chunks of an answer that may take several attempts.

    Text that came is given once: the next target goes on behind it. An answer with anything else in it (a tool call,
    reasoning, a hole where an event was malformed) cannot be gone on with, and ends as it was cut.
    """

    __slots__ = (
        "_beginning",
        "_closed",
        "_ends",
        "_finished",
        "_go_on",
        "_going_on",
        "_is_text",
        "_reply",
        "_seam",
        "_seen",
        "_switched",
        "_told",
    )

    def __init__(
        self,
        reply: Reply,
        go_on: Callable[[Beginning], Coroutine[Any, Any, Reply | None]],
        ends: Callable[[AttemptError], bool],
    ) -> None:
        """`go_on` gives the rest of an answer, `ends` says of an error whether it is the caller's to see."""
        self._reply = reply
        self._go_on = go_on
        self._ends = ends
        self._going_on: asyncio.Task[Reply | None] | None = None
        self._finished = False
        self._told: Callable[[], Callable[[Reply], None] | None] = lambda: None
        self._seen: list[str] = []
        self._is_text = True
        self._beginning: Beginning | None = None
        self._seam = Seam("")
        self._switched = False
        self._closed = False

    def on_switch(self, told: Callable[[Reply], None]) -> None:
        """Have `told`, a method, called with each reply that goes on. Its object is not kept alive by that."""
        self._told = weakref.WeakMethod(told)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        while True:
            try:
                chunk = await anext(self._reply)
            except AttemptError as error:
                if self._finished or self._ends(error):
                    raise
                cut = error.with_traceback(None)  # its frames hold this object, which has to end as soon as it is left
            else:
                return self._passed_on(chunk)
            await self._switch(cut)

    def _passed_on(self, chunk: Chunk) -> Chunk:
        self._seen.append(chunk.text)
        self._finished = self._finished or chunk.finish_reason is not None
        if not self._finished:
            chunk.usage = None  # of a part: it would pass for the whole's
        self._is_text = self._is_text and _is_text(chunk)
        return chunk if self._beginning is None else self._joined(chunk, self._beginning)

    async def _switch(self, cut: AttemptError) -> None:
        beginning = Beginning("".join(self._seen))
        if self._closed or not self._is_text:
            raise cut
        reply = await self._rest(beginning, cut)
        if reply is None:
            raise StreamCutError(f"{cut}, and no other target could go on with it") from cut
        self._reply, self._beginning, self._seam, self._switched = reply, beginning, Seam(beginning.space), True
        self._seen = [beginning.text]
        told = self._told()
        if told is not None:
            told(reply)

    async def _rest(self, beginning: Beginning, cut: AttemptError) -> Reply | None:
        """Ask who is next, in a task of its own: whoever closes the answer meanwhile cancels it."""
        self._going_on = asyncio.ensure_future(self._go_on(beginning))
        try:
            reply = await self._going_on
        except asyncio.CancelledError:
            if self._closed:
                raise cut from None
            await self._stop()
            raise
        finally:
            self._going_on = None
        if self._closed:  # whoever did it closes this reply, too
            raise cut
        return reply

    async def _stop(self) -> None:
        going_on = self._going_on
        if going_on is not None:
            going_on.cancel()
            for rest in await asyncio.gather(going_on, return_exceptions=True):
                if isinstance(rest, Reply):  # it came while it was being cancelled
                    await rest.aclose()

    def _joined(self, chunk: Chunk, beginning: Beginning) -> Chunk:
        """Fit a chunk of another attempt to what came before: no blank twice, one usage, no event of its own."""
        text = self._seam.join(chunk.text)
        if text != chunk.text:
            self._seen[-1] = text
        joined = dataclasses.replace(chunk, raw=b"", text=text)
        if chunk.usage is not None:
            joined.usage = _together(chunk.usage, beginning)
        if self._switched:
            self._switched = False
            joined.resumed_by = self._reply.target.name
        return joined

    def leave(self, ended: Ended) -> None:
        """Note that nobody reads on."""
        self._closed = True
        if self._going_on is not None:
            self._going_on.cancel()
        self._reply.leave(ended)

    async def settle(self) -> None:
        """Cancel who is being asked to go on, and wait until what that cost is known."""
        self._closed = True
        await self._stop()

    async def aclose(self) -> None:
        """Cancel whichever attempt is running."""
        await self.settle()
        await self._reply.aclose()


def _is_text(chunk: Chunk) -> bool:
    """Whether a chunk holds nothing that another target could not go on from."""
    return not (
        chunk.reasoning
        or chunk.tool_calls
        or chunk.skipped
        or chunk.index
        or chunk.thinking_block is not None  # with its signature: it vouches for this target's text alone
        or chunk.refusal
    )


def _together(usage: Usage, beginning: Beginning) -> Usage:
    """Count what came before the cut as output, not as the prompt it became for the target that went on."""
    given = min(beginning.tokens, usage.input_tokens - 1)  # the prompt was there before
    return dataclasses.replace(
        usage,
        input_tokens=usage.input_tokens - given,
        output_tokens=usage.output_tokens + beginning.tokens,
        cached_tokens=min(usage.cached_tokens, usage.input_tokens - given),
        estimated=True,
    )
