"""One shape for every reply: an async iterator of chunks with two hooks, whether it is streamed or whole."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from llamafarm.errors import BadReplyError, LlamaFarmError
from llamafarm.types import AttemptRecord, Chunk, Ended, Outcome, Target, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["Reply", "defect"]


def defect(target: Target, error: Exception) -> BadReplyError:
    """Make what a module must not raise a failure of this attempt, so that it is settled and the next target asked.

    Says where it happened and not what the exception says: that may hold content.
    """
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" at {place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place is not None else ""
    return BadReplyError(
        f"{target.name}: the module that speaks {target.dialect!r} failed over the answer"
        f" ({type(error).__name__}{where}): report it to whoever wrote the module"
    )


class Reply:
    """The chunks of one attempt, or of the attempts that together make an answer.

    `tap` hooks see every chunk as it passes. `on_end` hooks run exactly once, synchronously (so no cancellation can
    interrupt them), however the reply ends: read to its end, failed, cut, left by its reader, or never read at all.
    """

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_ends",
        "_events",
        "_finish_reason",
        "_first_token",
        "_taps",
        "_usage",
        "outcome",
        "record",
        "target",
    )

    def __init__(self, events: AsyncIterator[Chunk], target: Target, record: AttemptRecord | None = None) -> None:
        self.target = target
        self.record = record
        """The attempt it comes from."""
        self.outcome: Outcome | None = None
        """How it ended; None while it has not."""
        self._events = events
        self._ahead: deque[Chunk] = deque()
        self._taps: list[Callable[[Chunk], None]] = []
        self._ends: list[Callable[[Outcome], None]] = []
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._first_token: float | None = None

    def tap(self, hook: Callable[[Chunk], None]) -> None:
        """Have `hook` see every chunk before the reader does."""
        self._taps.append(hook)

    def on_end(self, hook: Callable[[Outcome], None]) -> None:
        """Have `hook` run once at the end; at once where the reply has ended already."""
        if self.outcome is not None:
            hook(self.outcome)
        else:
            self._ends.append(hook)

    @property
    def is_refusal(self) -> bool:
        """Whether the vendor's content filter ended it before there was anything to read."""
        return self._finish_reason == "content_filter" and self._first_token is None

    def answered_by(self, other: Reply) -> None:
        """Note that another attempt's reply is what is read from here on."""
        self.target, self.record = other.target, other.record

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        if self._ahead:
            chunk = self._ahead.popleft()
        elif self.outcome is not None:
            raise StopAsyncIteration
        else:
            try:
                chunk = await self._pull()
            except StopAsyncIteration:
                self._end("complete")
                raise
        for hook in self._taps:
            hook(chunk)
        return chunk

    async def prime(self) -> None:
        """Read ahead up to the first token or finish reason, so that a failure before it can still be made good.

        Raises what the source raises; the reply has then ended as failed.
        """
        while self.outcome is None:
            try:
                chunk = await self._pull()
            except StopAsyncIteration:
                return  # the reader will meet the end itself
            except BaseException:
                await self.aclose()  # nobody will get this reply
                raise
            self._ahead.append(chunk)
            if chunk.has_token or chunk.finish_reason is not None:
                return

    async def _pull(self) -> Chunk:
        try:
            chunk = await anext(self._events)
        except StopAsyncIteration:
            raise  # whoever reads decides whether that is the end: `prime` leaves it to the reader
        except LlamaFarmError as error:
            self._end("failed" if self._first_token is None else "cut", error)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self._end("abandoned")
            raise
        except Exception as error:
            failure = defect(self.target, error)
            self._end("failed" if self._first_token is None else "cut", failure)
            raise failure from error
        except BaseException:
            self._end("failed")
            raise
        self._note(chunk)
        return chunk

    def _note(self, chunk: Chunk) -> None:
        if self._first_token is None and chunk.has_token:
            self._first_token = time.monotonic()
        if chunk.finish_reason is not None:
            if self._finish_reason is None:
                self._usage = None
            self._finish_reason = chunk.finish_reason
        if chunk.usage is not None:
            self._usage = chunk.usage

    def _end(self, ended: Ended, error: LlamaFarmError | None = None) -> None:
        if self.outcome is not None:
            return
        # A usage that came before the finish reason is that of a part: it would pass for the whole.
        whole = self._finish_reason is not None or ended == "complete"
        self.outcome = Outcome(ended, self._usage if whole else None, self._finish_reason, error, self._first_token)
        hooks, self._ends = self._ends, []
        for hook in hooks:
            hook(self.outcome)

    def leave(self, ended: Ended) -> None:
        """Note that nobody reads on; first in the reply it is made of, where it is: what that cost is settled then."""
        if self.outcome is None:
            leave = getattr(self._events, "leave", None)
            if leave is not None:
                leave(ended)
            self._end(ended)

    def break_off(self, error: LlamaFarmError) -> None:
        """Note that it is not waited for any longer, and why. Its source is cancelled by `aclose`."""
        self._end("failed" if self._first_token is None else "cut", error)

    async def aclose(self) -> None:
        """Leave the reply: its source is cancelled at once. Nothing happens where it has come to its end."""
        self.leave("abandoned")
        close = getattr(self._events, "aclose", None)
        if close is not None:  # also after a cancelled read: that has ended the reply, but not its source
            await close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self.leave("unread" if self._first_token is None else "abandoned")
