"""CPU of a library call and of a streamed chunk over an upstream that answers at once: what the program costs."""

from __future__ import annotations

import asyncio

from measure import cpu_of, row

from llamafarm import spec
from llamafarm.farm import Farm
from llamafarm.hardware import Hardware
from llamafarm.telemetry import LogSink
from llamafarm.types import Chunk, Usage

TEXT = """
strategies:
  - name: bench
    description: what a production strategy switches on
    components:
      cloud: {type: openai_compatible, config: {provider: openai, api_key: "${KEY}", default_model: gpt-4o-mini}}
      other: {type: openai_compatible, config: {provider: groq, api_key: "${KEY}", default_model: llama-3.1-8b-instant}}
    fallback_chain: [cloud, other]
    routing_rules:
      - {condition: urgent, target: other}
      - {condition: input.length > 20000, target: other}
      - {condition: 'input.contains("confidential", "secret")', target: other}
    constraints: {max_tokens: 4096, max_output_tokens: 1000, max_cost_per_request: 0.10}
"""
CALLS = 2_000
CHUNKS = 500


class Instant:
    """An upstream that answers at once."""

    def __init__(self, chunks):
        self.chunks = [Chunk(text="word ") for _ in range(chunks)]
        self.chunks.append(Chunk(finish_reason="stop", usage=Usage(10, chunks)))

    async def send(self, _attempt):
        return self._events()

    async def _events(self):
        for chunk in self.chunks:
            yield chunk

    async def check(self, _target):
        raise NotImplementedError

    async def aclose(self):
        pass


def farm(chunks):
    strategy = spec.load_text(TEXT, env={"KEY": "k"}).file.strategies[0]
    hardware = Hardware(cpus=1, memory_bytes=0, gpus=(), reason="")
    return Farm(
        strategy,
        environment={},
        upstreams={"openai": Instant(chunks)},
        hardware=hardware,
        sinks=[LogSink(strategy.monitoring)],
    )


async def _generate(count):
    async with farm(1) as opened:
        for _ in range(count):
            await opened.generate("What is the capital of France?")


async def _stream(count, chunks):
    async with farm(chunks) as opened:
        for _ in range(count):
            async for _ in opened.stream("What is the capital of France?"):
                pass


def main():
    row(
        "library call, plain, everything switched on", cpu_of(lambda: asyncio.run(_generate(CALLS))), per=CALLS, goal=80
    )
    calls = CALLS // 100
    row(
        f"streamed chunk ({CHUNKS} a stream)",
        cpu_of(lambda: asyncio.run(_stream(calls, CHUNKS))),
        per=calls * CHUNKS,
        goal=20,
    )


if __name__ == "__main__":
    main()
