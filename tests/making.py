"""What tests of planning, stages and farm make: strategies from YAML, routings, calls, upstreams that answer by script."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from llamafarm import planning, spec
from llamafarm.hardware import Hardware
from llamafarm.types import Call, Chunk, Operation, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from llamafarm.spec.strategy import Strategy
    from llamafarm.types import Attempt, Status, Target

NO_GPU = Hardware(cpus=2, memory_bytes=8 * 10**9, gpus=(), reason="no GPU here")
DIALECTS = ("openai", "embedded")


def strategy(text: str, **environment: str) -> Strategy:
    """Load the first strategy of a YAML text (without its `strategies:` line)."""
    body = textwrap.indent(textwrap.dedent(text).strip("\n"), "    ")
    item = "  - " + body.lstrip()
    return spec.load_text(f"strategies:\n{item}\n", env=environment).file.strategies[0]


def routing(text: str, hardware: Hardware = NO_GPU, **environment: str) -> planning.Routing:
    return planning.resolve(strategy(text, **environment), environment, DIALECTS, hardware)


def call(prompt: str = "Hello", *, model: str | None = None, tags: tuple[str, ...] = (), **body: Any) -> Call:
    messages = {"messages": [{"role": "user", "content": prompt}]}
    return Call(body={**messages, **body}, model=model, tags=frozenset(tags))


def snapshot(now: datetime | None = None) -> planning.Snapshot:
    return planning.Snapshot(now=now or datetime(2026, 11, 22, 12, tzinfo=UTC))


def names(order: Iterable[Target]) -> list[str]:
    return [target.name for target in order]


def order(text: str, asked: Call | None = None, hardware: Hardware = NO_GPU, **environment: str) -> list[str]:
    return names(planning.plan(routing(text, hardware, **environment), asked or call(), snapshot()))


class Scripted:
    """An upstream that does what a script says, by target name: chunks and errors in order, one list a send."""

    def __init__(self, scripts: Mapping[str, list[Any]], usage: Usage | None = None) -> None:
        self.scripts = {name: list(script) for name, script in scripts.items()}
        self.usage = usage or Usage(3, 2)
        self.sent: list[Attempt] = []
        self.closed = 0

    async def send(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        self.sent.append(attempt)
        script = self.scripts[attempt.target.name]
        step = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(step, Exception):
            raise step
        return self._events(step)

    async def _events(self, step: Any) -> AsyncIterator[Chunk]:
        parts = [step] if isinstance(step, str) else step
        try:
            for part in parts:
                if isinstance(part, Exception):
                    raise part
                yield Chunk(text=part) if isinstance(part, str) else part
            yield Chunk(finish_reason="stop", usage=self.usage)
        finally:
            self.closed += 1

    async def check(self, target: Target) -> Status:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


__all__ = ["DIALECTS", "NO_GPU", "Operation", "Scripted", "call", "names", "order", "routing", "snapshot", "strategy"]
