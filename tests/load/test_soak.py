"""Many requests, and many at once: every one is answered rightly, and what the gateway holds does not grow."""

import asyncio
import time

from tests.load.client import Client
from tests.load.program import counts, gateway, quantile, strategies, tell, vendor

CONNECTIONS = 64
REQUESTS = counts(3_000, 200_000)
WARM = 1_000
STREAMS = counts(200, 2_000)


class Samples:
    """What the gateway holds, looked at every tenth of the way."""

    def __init__(self, running):
        self.running, self.rows = running, []

    async def take(self):
        status = await self.running.status()
        self.rows.append((self.running.memory, self.running.files, status["tasks"]))

    def tell(self):
        for name, at in (("memory, MB", 0), ("files and sockets", 1), ("tasks", 2)):
            yield f"{name} at each tenth: {'  '.join(f'{row[at]:.0f}' for row in self.rows)}"


async def _soak(port, count, samples, took):
    """Ask `count` times over all connections; each answer is the one to its own question."""
    numbers = iter(range(count))
    answered = 0

    async def work():
        nonlocal answered
        async with Client.to(port) as client:
            for number in numbers:
                prompt, stream = f"say {number} " + "word " * (number % 50), number % 2 == 1
                began = time.perf_counter()
                answer = await client.ask(prompt, stream=stream)
                took.append(time.perf_counter() - began)
                assert (answer.status, answer.text) == (200, f"{prompt}|m")
                answered += 1
                if answered % (count // 10) == 0:
                    await samples.take()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(work())
    return answered


async def test_a_long_run_leaves_nothing_behind(tmp_path):
    async with vendor() as behind, gateway(tmp_path, strategies(behind.port)) as running:
        samples, took = Samples(running), []
        await _soak(running.port, WARM, Samples(running), [])  # until code and pools are warm
        before, cpu, began = await running.settled(), running.cpu, time.perf_counter()
        assert await _soak(running.port, REQUESTS, samples, took) == REQUESTS
        seconds, cpu = time.perf_counter() - began, running.cpu - cpu
        after = await running.settled()
        tell(
            f"soak: {REQUESTS} requests, half of them streams, over {CONNECTIONS} connections in {seconds:.0f} s:"
            f" {REQUESTS / seconds:.0f}/s, {cpu / REQUESTS * 1e6:.0f} µs CPU each,"
            f" p50 {quantile(took, 0.5) * 1e3:.1f} ms, p99 {quantile(took, 0.99) * 1e3:.1f} ms",
            *samples.tell(),
        )
        assert (await behind.stats())["asked"] == WARM + REQUESTS
        assert after["requests_answered"] - before["requests_answered"] >= REQUESTS
        first, last = samples.rows[0], samples.rows[-1]
        assert last[0] < first[0] * 1.05 + 1, "memory"
        assert last[1] <= first[1] + 2, "files and sockets"
        assert last[2] <= first[2] + CONNECTIONS, "tasks"
        assert after["tasks"] <= before["tasks"]


async def test_many_streams_at_once_all_end_well(tmp_path):
    """Each has begun before any goes on: the vendor sees to that."""
    async with vendor() as behind, gateway(tmp_path, strategies(behind.port)) as running:
        await _soak(running.port, 500, Samples(running), [])
        idle, tasks = running.memory, (await running.settled())["tasks"]
        held = 0.0

        async def stream(number):
            prompt = f"together:{STREAMS} {number} " + "word " * 40
            async with Client.to(running.port) as client:
                answer = await client.ask(prompt, stream=True)
                assert (answer.status, answer.text) == (200, f"{prompt}|m")

        async def look():
            nonlocal held
            while True:
                held = max(held, running.memory)
                await asyncio.sleep(0.05)

        looking = asyncio.create_task(look())
        async with asyncio.TaskGroup() as group:
            for number in range(STREAMS):
                group.create_task(stream(number))
        looking.cancel()
        most = (await behind.stats())["most_holding"]
        after = await running.settled()
        tell(
            f"{STREAMS} streams at once: {idle:.0f} MB before, {held:.0f} MB at most,"
            f" {(held - idle) * 1e3 / STREAMS:.1f} kB a stream; {running.memory:.0f} MB and {after['tasks']} tasks after"
        )
        assert most == STREAMS
        assert after["tasks"] <= tasks
