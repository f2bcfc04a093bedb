"""An event loop whose clock jumps to what is due next, and upstreams that keep to an attempt's times by it."""

from __future__ import annotations

import asyncio
import selectors
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

from llamafarm.errors import AttemptTimeoutError, LlamaFarmError, StreamCutError
from llamafarm.types import Chunk, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping

    from llamafarm.types import Attempt

__all__ = ["Act", "Acting", "run"]

FOREVER = 1e6
START = 1000.0


class _Jumping(selectors.SelectSelector):
    """Waits for nothing: the time it was to wait has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits, and nothing is due: that would hang for ever")
        if not ready:
            self.now += timeout or 0.0
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = _Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Carry out what waits only for time, at once; `time.monotonic` is the loop's clock meanwhile."""
    loop = _Loop()
    try:
        with mock.patch.object(time, "monotonic", loop.time):
            return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@dataclass(frozen=True)
class Act:
    """What a target does with one request: wait, then fail, or give its pieces and then its end, a cut or silence."""

    delay: float = 0.0
    pieces: tuple[str, ...] = ("fine",)
    error: LlamaFarmError | None = None
    """Raised in place of an answer."""
    cut: bool = False
    stalls: bool = False


class Acting:
    """An upstream whose targets act by a script; the last act of each stays. It keeps what `types.Upstream` promises."""

    def __init__(self, scripts: Mapping[str, Iterable[Act]]) -> None:
        self.scripts = {name: list(acts) for name, acts in scripts.items()}
        self.asked: list[tuple[float, str]] = []
        self.attempts: list[Attempt] = []

    def act_of(self, attempt: Attempt) -> Act:
        script = self.scripts[attempt.target.name]
        return script.pop(0) if len(script) > 1 else script[0]

    async def send(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        now = time.monotonic()
        self.asked.append((now, attempt.target.name))
        self.attempts.append(attempt)
        act = self.act_of(attempt)
        due = attempt.deadline
        if attempt.call.stream and attempt.ttft is not None:
            due = min(due, now + attempt.ttft)
        if now + act.delay > due:
            await asyncio.sleep(max(0.0, due - now))
            raise AttemptTimeoutError(f"{attempt.target.name} was late")
        await asyncio.sleep(act.delay)
        if act.error is not None:
            raise type(act.error)(*act.error.args, **_more(act.error))
        if attempt.call.stream:
            return self._stream(act, attempt)
        return self._whole(act)

    async def _whole(self, act: Act) -> AsyncIterator[Chunk]:
        yield Chunk(text="".join(act.pieces), finish_reason="stop", usage=Usage(3, 2))

    async def _stream(self, act: Act, attempt: Attempt) -> AsyncIterator[Chunk]:
        for piece in act.pieces:
            yield Chunk(text=piece)
        if act.stalls:
            await asyncio.sleep(attempt.idle)
            raise StreamCutError("silent")
        if act.cut:
            raise StreamCutError("cut")
        yield Chunk(finish_reason="stop", usage=Usage(3, 2))

    async def check(self, target: Any) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


def _more(error: LlamaFarmError) -> dict[str, Any]:
    wait = getattr(error, "retry_after", None)
    return {} if wait is None else {"retry_after": wait}
