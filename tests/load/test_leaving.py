"""Clients that leave in every phase, over and over: no connection, task or place stays behind."""

import asyncio

import pytest

from tests.load.client import HEAD, Client, chat, post
from tests.load.program import counts, gateway, strategies, tell, until, vendor

TIMES = counts(12, 300)
PLACES = 8
AT_ONCE = 12
"""More than there are places, so that some leave while they wait in the line."""
HOLD = post(chat("hold"))


async def _connected(client):
    pass


async def _in_the_head(client):
    await client.send(HEAD[:40])


async def _behind_the_head(client):
    await client.send(HEAD + b"Content-Length: 100\r\n\r\n")


async def _in_the_body(client):
    await client.send(HOLD[:-10])


async def _at_once(client):
    await client.send(HOLD)


async def _before_the_answer(client):
    await client.send(HOLD)
    await asyncio.sleep(0.03)


async def _behind_its_first_bytes(client):
    await client.send(post(chat("first", stream=True)))
    await asyncio.wait({asyncio.ensure_future(client.reader.read(1))}, timeout=0.2)


async def _in_the_flood(client):
    await client.send(post(chat("flood", stream=True)))
    await asyncio.wait({asyncio.ensure_future(client.reader.read(20_000))}, timeout=0.2)


async def _behind_the_answer(client):
    await client.send(post(chat("say this")))
    await asyncio.wait({asyncio.ensure_future(client.reader.read(1))}, timeout=0.2)


async def _with_more_requests_sent(client):
    await client.send(HOLD + HOLD + post(chat("say that")))
    await asyncio.sleep(0.01)


PHASES = (
    _connected,
    _in_the_head,
    _behind_the_head,
    _in_the_body,
    _at_once,
    _before_the_answer,
    _behind_its_first_bytes,
    _in_the_flood,
    _behind_the_answer,
    _with_more_requests_sent,
)


async def _leave(port, phase, *, reset):
    async with Client.to(port) as client:
        await phase(client)
        client.vanish(reset=reset)


async def _places_are_exact(running, behind):
    """All places are there, and not one more: so many requests are taken, and the next is told that it is full."""
    done = asyncio.Event()

    async def keep():
        async with Client.to(running.port) as client:
            await client.send(HOLD)
            await done.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(PLACES):
            group.create_task(keep())

        async def all_there():
            return (await behind.stats())["holding"] == PLACES

        await until(all_there)
        async with Client.to(running.port) as client:
            answer = await client.ask("say no")
            assert (answer.status, b"queue_full" in answer.body) == (503, True), answer
        done.set()


@pytest.mark.parametrize("line", [0, 100], ids=["no line", "a line"])
async def test_nothing_stays_of_clients_that_leave(tmp_path, line):
    text = strategies("{port}", optimization=f"parallel_requests: {PLACES}, queue_size: {line}")
    async with vendor() as behind, gateway(tmp_path, text.replace("{port}", str(behind.port))) as running:
        tasks, files = (await running.settled())["tasks"], running.files
        for _ in range(TIMES):
            for phase in PHASES:
                await asyncio.gather(*(_leave(running.port, phase, reset=bool(n % 2)) for n in range(AT_ONCE)))

        async def left():
            stats, status = await behind.stats(), await running.settled()
            return stats["holding"] == 0 and status["tasks"] <= tasks

        await until(left)
        after = await running.settled()
        open_at_vendor = (await behind.stats())["open"] - 1
        tell(
            f"{TIMES * len(PHASES) * AT_ONCE} clients left in {len(PHASES)} phases: {after['tasks']} tasks,"
            f" {running.files} files ({files} before), {open_at_vendor} connections at the vendor, {running.memory:.0f} MB"
        )
        assert after["strategies"][0]["targets"][0]["in_flight"] == 0
        assert open_at_vendor <= PLACES
        assert running.files <= files + PLACES + 2
        if not line:
            await _places_are_exact(running, behind)
