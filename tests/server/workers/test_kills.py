"""Workers are killed under load: nobody is answered twice or left hanging, and what is shared stays exact.

``LLAMAFARM_SOAK=full`` kills a thousand.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
from collections import Counter

import aiohttp

from llamafarm.testing.fake_server import answer
from tests.server.conftest import until
from tests.server.workers.conftest import IMPATIENT, SECONDS, asked, is_alive
from tests.server.workers.test_workers import Held, with_places

KILLS = 1000 if os.environ.get("LLAMAFARM_SOAK") == "full" else 6
CLIENTS = 12
COUNT = 3


class Load:
    """Clients that ask one request after the other, and note what came of each."""

    def __init__(self, started):
        self.started = started
        self.next = 0
        self.outcomes = Counter()
        self.answered = Counter()
        self.stopping = False

    async def ask_on(self):
        while not self.stopping:
            self.next += 1
            number = self.next
            try:
                async with asyncio.timeout(SECONDS):
                    status = await self._ask(number)
            except aiohttp.ClientError:
                status = "broken"
            self.outcomes[status] += 1

    async def _ask(self, number):
        stream = number % 3 == 0
        client = self.started.client
        async with client.post("/v1/chat/completions", json=asked(number, stream=stream)) as response:
            body = (await response.read()).decode()
            if response.status == 200:
                assert not stream or body.rstrip().endswith("data: [DONE]"), body
                content = _content(body, stream)
                assert content == f"number {number}"
                self.answered[content] += 1
            return response.status


def _content(body, stream):
    if not stream:
        return json.loads(body)["choices"][0]["message"]["content"]
    events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    return "".join(c["delta"].get("content") or "" for each in events for c in each["choices"])


async def test_killed_workers_harm_only_what_they_had_in_flight(workers, upstream):
    came = Counter()
    draw = random.Random(4)

    async def behave(request, writer):
        said = request.json["messages"][-1]["content"]
        came[said] += 1
        await asyncio.sleep(draw.random() / 20)
        await answer(said)(request, writer)

    upstream.script = [behave]
    async with workers(with_places(upstream, 8, 500), COUNT, program=IMPATIENT) as started:
        load = Load(started)
        clients = [asyncio.create_task(load.ask_on()) for _ in range(CLIENTS)]
        pids = list(started.pids)
        for kill in range(1, KILLS + 1):
            enough = load.outcomes[200] + 10
            await until(lambda: load.outcomes[200] >= enough, SECONDS)  # noqa: B023 - waited for here
            os.kill(draw.choice(pids), signal.SIGKILL)
            workers_now = await _workers_when(started, lambda each: each["restarts"] >= kill)  # noqa: B023
            pids = [pid for pid in workers_now["pids"] if is_alive(pid)]
        load.stopping = True
        await asyncio.gather(*clients)
        assert set(load.outcomes) <= {200, "broken"}, load.outcomes
        assert load.outcomes["broken"] <= KILLS * CLIENTS
        assert max(came.values()) == 1
        assert set(load.answered.values()) == {1}
        assert len(load.answered) == load.outcomes[200]
        await _places_are_exact(started, upstream, 8)
        started.process.send_signal(signal.SIGTERM)
        assert await started.ended() == 0
        assert not [pid for pid in pids if is_alive(pid)]


async def test_the_places_of_a_killed_worker_are_free_at_once(workers, upstream):
    held = Held()
    upstream.script = [held]
    async with workers(with_places(upstream, 3, 100), COUNT, program=IMPATIENT) as started:
        asking = [asyncio.create_task(_post(started, n)) for n in range(12)]
        await held.until(running=3)
        for pid in started.pids:  # all there were, one after the other
            os.kill(pid, signal.SIGKILL)
        outcomes = await asyncio.gather(*asking)
        assert set(outcomes) == {"broken"}
        await held.until(running=0)
        await started.restarted(COUNT)
        await _places_are_exact(started, upstream, 3)


async def test_one_killed_worker_lets_others_have_its_places(workers, upstream):
    held = Held()
    upstream.script = [held]
    async with workers(with_places(upstream, 3, 100), 2, program=IMPATIENT) as started:
        asking = [asyncio.create_task(_post(started, n)) for n in range(20)]
        await held.until(running=3)
        os.kill(started.pids[0], signal.SIGKILL)
        await held.until(running=3)
        held.go_on.set()
        outcomes = Counter(await asyncio.gather(*asking))
        assert set(outcomes) <= {200, "broken"}
        assert outcomes[200] + outcomes["broken"] == 20
        await started.restarted(1)
        await _places_are_exact(started, upstream, 3)


async def _post(started, n):
    try:
        async with started.client.post("/v1/chat/completions", json=asked(n)) as response:
            await response.read()
            return response.status
    except aiohttp.ClientError:
        return "broken"


async def _workers_when(started, holds):
    """Ask until it holds for what all workers are at together, and give that."""
    async with asyncio.timeout(SECONDS):
        while True:
            with contextlib.suppress(aiohttp.ClientError):  # it was asked of the one that was killed
                found = (await started.status())["workers"]
                if holds(found):
                    return found
            await asyncio.sleep(0.01)


async def _places_are_exact(started, upstream, places):
    """Fill all places, and see that they are as many as ever, and that nobody is thought to be at work after that."""
    held = Held()
    upstream.script = [held]
    asking = [asyncio.create_task(_post(started, f"after {n}")) for n in range(places * 3)]
    await held.until(running=places)
    await _workers_when(started, lambda each: each["requests_in_flight"] == places * 3 + 1)
    held.go_on.set()
    assert set(await asyncio.gather(*asking)) == {200}
    assert held.most == places
    await _workers_when(started, lambda each: each["requests_in_flight"] == 1)  # who asks
