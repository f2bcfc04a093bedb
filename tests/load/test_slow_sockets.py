"""Slow clients beside healthy ones (QUALITY: attack 12): the slow are cut, and the healthy do not notice."""

import asyncio
import contextlib
import socket
import time

import pytest

from tests.load.client import HEAD, Client, chat, post
from tests.load.program import counts, gateway, quantile, strategies, tell, until, vendor

DRIPPING = counts(100, 500)
DEAF = counts(20, 100)
"""Each costs the system some megabytes of buffers until it is cut."""
HEALTHY = 8
ESTABLISHED = 1
"""As Linux numbers the states of a connection."""
LIMITS = "header_timeout: 3, body_timeout: 3, write_timeout: 3, idle_timeout: 30"


async def _drip_headers(client, over):
    await client.send(HEAD)
    while not over():
        await client.send(b"x-more: 1\r\n")
        await asyncio.sleep(0.2)


async def _drip_body(client, over):
    await client.send(HEAD + b"Content-Length: 5000\r\n\r\n{")
    while not over():
        await client.send(b" ")
        await asyncio.sleep(0.2)


async def _read_nothing(client, over):
    client.writer.transport.pause_reading()
    await client.send(post(chat("flood", stream=True)))
    while not over():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.2)


async def _slow(port, way, begun, ended):
    """Be slow in one of the ways until the gateway has ended it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    begun.append(way)

    def over():
        # Where nothing is read, the end is not read either; the kernel knows of the reset.
        reset = sock.fileno() < 0 or sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED
        return reset or bool(reader._buffer)

    with contextlib.suppress(ConnectionError):
        await way(Client(reader, writer), over)
    said = b""
    if way is not _read_nothing:
        with contextlib.suppress(ConnectionError):
            said = await asyncio.wait_for(reader.read(12), 10)
    ended.append((way.__name__, said))
    writer.transport.abort()


async def _healthy(port, over):
    """Keep asking until it is over; give how long each took."""
    took = []

    async def work(worker):
        async with Client.to(port) as client:
            number = 0
            while not over():
                number += 1
                began = time.perf_counter()
                answer = await client.ask(f"say {worker} {number}", stream=number % 2 == 0)
                took.append(time.perf_counter() - began)
                assert (answer.status, answer.text) == (200, f"say {worker} {number}|m")
                await asyncio.sleep(0.01)

    await asyncio.gather(*(work(worker) for worker in range(HEALTHY)))
    return took


@pytest.mark.parametrize(
    ("ways", "slow"), [((_drip_headers, _drip_body), DRIPPING), ((_read_nothing,), DEAF)], ids=["dripping", "deaf"]
)
async def test_slow_sockets_are_cut_and_healthy_clients_do_not_notice(tmp_path, ways, slow):
    async with vendor() as behind, gateway(tmp_path, strategies(behind.port, server=LIMITS)) as running:
        await _healthy(running.port, _after(0.5))
        tasks = (await running.settled())["tasks"]
        alone = await _healthy(running.port, _after(3))
        begun, ended = [], []
        slows = [asyncio.create_task(_slow(running.port, ways[n % len(ways)], begun, ended)) for n in range(slow)]
        await until(lambda: len(begun) == slow)
        beside = await _healthy(running.port, lambda: len(ended) == slow)
        await asyncio.gather(*slows)
        after = await running.settled()
        for name, took in (("without", alone), (f"with {slow} slow sockets beside", beside)):
            p50, p99 = (f"{quantile(took, share) * 1e3:.1f} ms" for share in (0.5, 0.99))
            tell(f"healthy clients {name}: {len(took)} requests, p50 {p50}, p99 {p99}")
        told = [said.startswith(b"HTTP/1.1 408") for way, said in ended if way != "_read_nothing"]
        assert told.count(True) >= len(told) * 0.9  # a reset may overtake the word
        assert after["tasks"] <= tasks
        await until(lambda: _left(behind))


def _after(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


async def _left(behind):
    """Tell whether the vendor is rid of the streams that nobody read."""
    return (await behind.stats())["holding"] == 0
