"""Runs one request through a farm over real sockets, and sees that nothing is left behind by it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamafarm.errors import LlamaFarmError
from llamafarm.farm import AnswerStream, Farm, make_call
from llamafarm.planning import money
from tests.faults.far_ends import PRICE, TEXT
from tests.making import NO_GPU, strategy

if TYPE_CHECKING:
    from llamafarm.types import Answer, Call, Chunk, Event

FULL = os.environ.get("LLAMAFARM_FAULTS") == "full"
"""Whether to run every cell, and to cut at every byte; else enough of them to notice a mistake."""
RECOVERIES = ("error", "continue", "buffer")
CAP = 500
"""The output limit of every request."""
SLOWER = 5
"""How many times slower than meant a machine may be."""
SPARE = 1.0
"""Seconds that go into the work itself."""


@dataclass(frozen=True)
class Times:
    """Seconds; as they stand, none is ever reached."""

    whole: float = 15.0
    """`timeout` of the target with the fault."""
    ttft: float = 10.0
    idle: float = 10.0
    wait: float = 0.0
    """How long all the waiting of a request takes."""


PATIENT = Times()
SILENT = Times(whole=0.4, ttft=0.3, wait=0.4)
STALLED = Times(idle=0.3, wait=0.3)


@dataclass
class Seen:
    """What a request came to."""

    call: Call
    answer: Answer | None = None
    error: LlamaFarmError | None = None
    chunks: list[Chunk] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks)

    @property
    def attempts(self) -> list[tuple[str, str]]:
        return [(record.target, record.outcome) for record in self.call.attempts]


class Notes:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)


def text_of(a: str, b: str | None, recovery: str = "continue", times: Times = PATIENT, more: str = "") -> str:
    """Write a strategy whose target `a` has the fault, and `b`, if any, has none."""
    own = f"price: {{input: 1, output: 10}}, supports: [prefill, tools], max_tokens: {CAP}"
    assert PRICE in own
    second = (
        f"  b: {{type: openai_compatible, config: {{provider: custom, base_url: '{b}', default_model: mb, {own}}}}}\n"
        if b
        else ""
    )
    return (
        "name: faults\ndescription: d\ncomponents:\n"
        f"  a: {{type: openai_compatible, config: {{provider: custom, base_url: '{a}', default_model: ma,"
        f" timeout: {times.whole}, {own}}}}}\n{second}"
        f"fallback_chain: [a{', b' if b else ''}]\n"
        f"optimization: {{timeout_seconds: 20, ttft_timeout: {times.ttft}, stream_idle_timeout: {times.idle},"
        f" stream_recovery: {recovery}, retry_policy: {{max_attempts: 2, initial_backoff: 0.01}}{more}}}\n"
    )


def farm_of(text: str, **options: Any) -> Farm:
    return Farm(strategy(text), environment={}, hardware=NO_GPU, **options)


async def ask(farm: Farm, *, stream: bool, seconds: float = 10.0, **options: Any) -> Seen:
    """Ask, and see how it ends; TimeoutError for a hang."""
    messages = {"messages": [{"role": "user", "content": "Which way?"}]}
    seen = Seen(make_call(messages, options, stream=stream))
    async with asyncio.timeout(seconds):
        try:
            if stream:
                await _read(farm, seen)
            else:
                seen.answer = await farm.ask(seen.call)
        except LlamaFarmError as error:
            seen.error = error
    return seen


async def _read(farm: Farm, seen: Seen) -> None:
    async with AnswerStream(seen.call, farm.send) as stream:
        async for chunk in stream:
            seen.chunks.append(chunk)
        seen.answer = stream.answer


def check_money(farm: Farm, call: Call) -> None:
    """Nothing is held any more, and no attempt was charged more than was set aside for it."""
    assert call.held == 0
    assert call.spent == sum(record.cost for record in call.attempts)
    targets = {target.name: target for target in farm.routing.targets}
    for record in call.attempts:
        worst = money.worst_case(targets[record.target], call, CAP)
        assert 0 <= record.cost <= worst, record


def check_whole(seen: Seen, text: str = TEXT) -> None:
    """The answer is there once, whole, and says why it ended."""
    assert seen.error is None, seen.error
    assert seen.answer.text == text
    assert seen.answer.finish_reason == "stop"
    if seen.call.stream:
        assert seen.text == text
        assert [chunk.finish_reason for chunk in seen.chunks if chunk.finish_reason] == ["stop"]


@contextlib.asynccontextmanager
async def nothing_left(seconds: float = 5.0):
    """See that no task and no file or socket is left behind."""
    before, files = asyncio.all_tasks(), _files()
    yield
    gc.collect()
    until = time.monotonic() + seconds
    tasks = before | {asyncio.current_task()}  # a fixture goes on in another one
    while (asyncio.all_tasks() - tasks or _files() != files) and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # no event tells of a closed file
    assert not asyncio.all_tasks() - tasks
    assert _files() == files


def _files() -> dict[str, str]:
    """Every open file of this process; sockets have their inode in the name."""
    found = {}
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself
            found[file.name] = str(file.readlink())
    return found
