"""One shape for every reply: an async iterator of chunks with two hooks, whether it is streamed or whole."""

from __future__ import annotations

import asyncio
import contextlib
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
        "_asked",
        "_choices",
        "_declined",
        "_ends",
        "_events",
        "_exhausted",
        "_finish_reason",
        "_first_token",
        "_leaving",
        "_loop",
        "_taps",
        "_usage",
        "outcome",
        "record",
        "target",
    )

    def __init__(
        self, events: AsyncIterator[Chunk], target: Target, record: AttemptRecord | None = None, *, choices: int = 1
    ) -> None:
        """Take the chunks, and how many choices were asked for."""
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
        self._asked = choices
        self._choices: dict[int, bool] = {}  # those that have shown themselves, and whether they have finished
        self._declined: set[int] = set()
        self._exhausted = False  # the source has come to its end; what is `_ahead` has not been given
        self._leaving = False
        self._loop = _running_loop()

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
    def usage(self) -> Usage | None:
        """What the answer took; None where that is not known, or known of a part alone, which would pass for all."""
        if self.outcome is not None:
            return self.outcome.usage
        return self._usage if self._is_whole else None

    @property
    def _is_whole(self) -> bool:
        return self._exhausted or (len(self._choices) >= self._asked and all(self._choices.values()))

    @property
    def is_refusal(self) -> bool:
        """Whether it is, as far as it has been read, nothing but a refusal: the content filter's, or the model's."""
        return bool(self._choices) and self._declined >= self._choices.keys()

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
                self._end("complete")  # whoever reads ahead leaves that to the reader
                raise
        for hook in self._taps:
            hook(chunk)
        return chunk

    async def prime(self) -> None:
        """Read ahead up to the first token or finish reason, so that a failure before it can still be made good.

        Raises what the source raises; the reply has then ended as failed.
        """
        await self._read_ahead(until=lambda chunk: chunk.has_token or chunk.finish_reason is not None)

    async def read_ahead(self) -> None:
        """Read all of it ahead, so that nothing is given before it is whole. Raises as `prime` does."""
        await self._read_ahead(until=lambda _: False)

    async def _read_ahead(self, until: Callable[[Chunk], bool]) -> None:
        while self.outcome is None:
            try:
                chunk = await self._pull()
            except StopAsyncIteration:
                return
            except BaseException:
                await self.aclose()  # nobody will get this reply
                raise
            self._ahead.append(chunk)
            if until(chunk):
                return

    async def _pull(self) -> Chunk:
        if self._exhausted:
            raise StopAsyncIteration
        try:
            chunk = await anext(self._events)
        except StopAsyncIteration:
            self._exhausted = True
            raise
        except LlamaFarmError as error:
            self._break(error)
            raise
        except asyncio.CancelledError:
            await self.aclose()  # the target is told at once, however long this object is kept
            raise
        except GeneratorExit:
            self._end("abandoned")
            raise
        except Exception as error:
            failure = defect(self.target, error)
            self._break(failure)
            raise failure from error
        except BaseException:
            self._end("failed")
            raise
        self._note(chunk)
        return chunk

    def _note(self, chunk: Chunk) -> None:
        index, ended = chunk.index, chunk.finish_reason is not None
        if self._first_token is None and chunk.has_token:
            self._first_token = time.monotonic()
        if chunk.has_token or (ended and self._may_lack(index)):
            self._usage = None  # what came before was of a part
        if ended:
            self._choices[index], self._finish_reason = True, chunk.finish_reason
        elif chunk.has_token:
            self._choices.setdefault(index, False)
        if chunk.refusal or chunk.finish_reason == "content_filter":
            self._declined.add(index)
        if chunk.usage is not None and not self._is_credible(chunk.usage):
            chunk.usage = None
        self._usage = chunk.usage or self._usage

    def _may_lack(self, index: int) -> bool:
        """Whether a usage that comes before the end of a choice may be of a part: without it, or before any token."""
        return not self._choices.get(index) and (self._first_token is None or self._choices.keys() != {index})

    def _is_credible(self, usage: Usage) -> bool:
        """Whether a usage counts what there is: an answer has a prompt, and tokens where anything of it has come."""
        return usage.input_tokens > 0 and usage.output_tokens >= (0 if self._first_token is None else 1)

    def _break(self, error: LlamaFarmError) -> None:
        """End with an error; one that comes of being left is none."""
        if self._leaving:
            self._end("abandoned")
        else:
            self._end("failed" if self._first_token is None else "cut", error)

    def _end(self, ended: Ended, error: LlamaFarmError | None = None) -> None:
        if self.outcome is not None:
            return
        usage = self.usage if error is None or self._exhausted else None
        self.outcome = Outcome(ended, usage, self._finish_reason, error, self._first_token)
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
        settle = getattr(self._events, "settle", None)
        if settle is not None and self.outcome is None:
            self._leaving = True
            try:
                await settle()  # an attempt without a reply yet, whose cost is one of the whole
            finally:
                self.leave("abandoned")
        self.leave("abandoned")
        close = getattr(self._events, "aclose", None)
        if close is not None:  # also after a cancelled read: that has ended the reply, but not its source
            await close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self.outcome is not None:
            return
        ended: Ended = "unread" if self._first_token is None else "abandoned"
        loop = self._loop
        if loop is not None and loop.is_running() and _running_loop() is not loop:
            with contextlib.suppress(RuntimeError):  # it was closed just now, so there is nobody to tell
                loop.call_soon_threadsafe(self.leave, ended)  # dropped in another thread: hooks belong to the loop's
                return
        self.leave(ended)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
