"""The proxy itself: what it passes on, where it cuts, and that it lets go of everything."""

import asyncio

import pytest

from llamafarm.testing import ChaosProxy, FakeServer, Fault
from llamafarm.testing.chaos import close_after, drip, hang_after, reset_after
from llamafarm.testing.fake_server import reply, reset
from tests.faults.rig import nothing_left

REQUEST = b"GET /v1/models HTTP/1.1\r\n\r\n"
BODY = b"0123456789"
ANSWER = reply(200, BODY)


async def fetch(proxy, *, wait=True):
    """Send a request over a connection of its own; give what comes back, and how that ends."""
    host, port = proxy.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    got = b""
    try:
        writer.write(REQUEST)
        async with asyncio.timeout(5 if wait else 0.2):
            while block := await reader.read(100):
                got += block
                if wait and got.endswith(BODY):
                    return got, "whole"
            return got, "closed"
    except ConnectionResetError:
        return got, "reset"
    except TimeoutError:
        return got, "silent"
    finally:
        writer.close()


@pytest.fixture
async def server():
    async with nothing_left(), FakeServer(ANSWER) as server:
        yield server


async def test_without_a_fault_everything_passes(server):
    async with ChaosProxy(server.base_url) as proxy:
        got, how = await fetch(proxy)
        assert how == "whole"
        assert proxy.passed == len(got)
        await proxy.until_idle()
        await server.until_disconnected()
    assert len(server.requests) == proxy.connections == 1


@pytest.mark.parametrize("count", [0, 1, 20, 60])
async def test_it_cuts_at_the_byte(server, count):
    async with ChaosProxy(server.base_url, reset_after(count), close_after(count), hang_after(count)) as proxy:
        assert [len((await fetch(proxy, wait=False))[0]) for _ in range(3)] == [count] * 3
        proxy.script = [reset_after(count), close_after(count), hang_after(count)]
        assert [(await fetch(proxy, wait=False))[1] for _ in range(3)] == ["reset", "closed", "silent"]
        await proxy.until_idle()


@pytest.mark.parametrize("count", [0, 3, 9])
async def test_it_counts_the_body_alone(server, count):
    async with ChaosProxy(server.base_url, close_after(count, of="body")) as proxy:
        got, _ = await fetch(proxy)
    assert got.partition(b"\r\n\r\n")[2] == BODY[:count]


async def test_a_drip_passes_everything(server):
    async with ChaosProxy(server.base_url, drip()) as proxy:
        assert (await fetch(proxy))[0].endswith(BODY)


async def test_each_connection_takes_its_own_fault_and_the_last_stays(server):
    async with ChaosProxy(server.base_url, reset_after(0), Fault()) as proxy:
        assert [(await fetch(proxy))[1] for _ in range(3)] == ["reset", "whole", "whole"]


async def test_a_dead_port_that_comes_back(server):
    async with ChaosProxy(server.base_url) as proxy:
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await fetch(proxy)
        await proxy.listen()
        assert (await fetch(proxy))[1] == "whole"


async def test_open_connections_are_reset_when_the_port_dies(server):
    async with ChaosProxy(server.base_url, hang_after(0)) as proxy:
        asked = asyncio.ensure_future(fetch(proxy))
        async with asyncio.timeout(5):
            while not server.requests:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert proxy.open_connections == 1
        await proxy.refuse()
        assert (await asked)[1] == "reset"
        assert proxy.open_connections == 0


async def test_a_far_end_that_is_gone_or_resets_is_passed_on():
    async with nothing_left(), FakeServer(reset()) as server, ChaosProxy(server.base_url) as proxy:
        assert (await fetch(proxy))[1] in ("reset", "closed")
        await server.__aexit__()
        assert (await fetch(proxy))[1] == "reset"
