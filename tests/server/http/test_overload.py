"""Clients that send too much, too slowly or not at all: what each costs is bounded, and others are served meanwhile."""

import asyncio
import contextlib
import tracemalloc

import pytest

from tests.server.http.echo import Client, Echo, request, until

MIB = 1 << 20


async def _refused(client):
    status, headers, body = await client.answer()
    assert (headers["connection"], headers["x-refused"]) == ("close", "yes")
    return status, body.decode()


@pytest.mark.parametrize("drip", [b"", b"GET / HTTP/1.1\r\nHost: test\r\n"], ids=["silent", "dripping"])
async def test_slow_sockets_are_cut_while_others_are_served(serve, drip):
    listener = await serve(header_timeout=0.5, idle_timeout=30)
    ended = []

    async def slow():
        async with Client.to(listener) as client:
            with contextlib.suppress(ConnectionError):
                if drip:
                    await client.send(drip)
                while not client.reader.at_eof() and not client.reader._buffer:
                    if drip:
                        await client.send(b"X: y\r\n")
                    await asyncio.sleep(0.02)
            ended.append(await client.rest())

    slows = [asyncio.create_task(slow()) for _ in range(50)]
    served = 0
    async with Client.to(listener) as client:
        while len(ended) < 50:
            await client.send(request())
            assert (await client.answer())[0] == 200
            served += 1
            await asyncio.sleep(0.005)
        await asyncio.gather(*slows)
        assert served > 5
        assert all(got.startswith(b"HTTP/1.1 408 ") is bool(drip) for got in ended if got or not drip)
        assert sum(bool(got) for got in ended) >= 40 * bool(drip)
        assert listener.connections == 1


async def test_a_request_s_time_begins_with_its_first_byte(serve):
    async with Client.to(await serve(header_timeout=0.3, idle_timeout=60)) as client:
        await client.send(request())
        assert (await client.answer())[0] == 200
        await asyncio.sleep(0.6)
        await client.send(request())
        assert (await client.answer())[0] == 200
        await client.send(request()[:-1])
        assert (await _refused(client))[0] == 408


async def test_a_body_that_drips_is_cut(serve):
    echo = Echo()
    async with Client.to(await serve(echo, body_timeout=0.5)) as client:
        await client.send(request(method="POST", body=b"x" * 1000)[:-1000])
        with contextlib.suppress(ConnectionError):
            while not client.reader._buffer:
                await client.send(b"x")
                await asyncio.sleep(0.01)
        assert (await _refused(client))[0] == 408
    assert not echo.seen


async def test_an_idle_connection_is_closed_without_a_word(serve):
    async with Client.to(await serve(idle_timeout=0.2)) as client:
        await client.send(request())
        assert (await client.answer())[0] == 200
        assert await client.rest() == b""


@pytest.mark.parametrize(
    ("first", "endless", "status"),
    [
        (b"GET /", b"a" * 65536, 414),
        (b"GET / HTTP/1.1\r\nHost: test\r\nX: ", b"a" * 65536, 431),
        (b"GET / HTTP/1.1\r\nHost: test\r\n", b"a: b\r\n" * 10_000, 431),
        (b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1073741824\r\n\r\n", b"a" * 65536, 413),
        (
            b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"8000\r\n" + b"a" * 0x8000 + b"\r\n",
            413,
        ),
        (b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 10_000, 400),
        (b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 65536, 400),
    ],
    ids=["URL", "header", "headers", "body", "chunks", "small chunks", "extension"],
)
async def test_what_does_not_end_is_refused_in_bounded_memory(serve, first, endless, status):
    echo = Echo()
    listener = await serve(echo, body_bytes=MIB)
    async with Client.to(listener) as client:
        tracemalloc.start()
        try:
            await client.send(first)
            with contextlib.suppress(ConnectionError):
                for _ in range((16 * MIB) // len(endless)):
                    await client.send(endless)
                    if client.reader._buffer:
                        break
            assert (await _refused(client))[0] == status
            assert tracemalloc.get_traced_memory()[1] < 8 * MIB
        finally:
            tracemalloc.stop()
    assert not echo.seen
    assert listener._connections.buffered == 0


async def test_a_client_that_goes_on_sending_is_cut(serve):
    listener = await serve(linger_bytes=MIB)
    async with Client.to(listener) as client:
        await client.send(b"nonsense\r\n\r\n")

        async def go_on():
            while True:
                await client.send(b"x" * 65536)

        with pytest.raises(ConnectionError):
            await go_on()


async def test_a_client_that_stays_after_its_refusal_is_cut(serve):
    listener = await serve(linger_timeout=0.2)
    async with Client.to(listener) as client:
        await client.send(b"GET nonsense\r\n\r\n")
        assert (await _refused(client))[0] == 400
        await until(lambda: not listener.connections)


async def test_all_bodies_together_are_bounded(serve):
    echo = Echo()
    listener = await serve(echo, buffered_bytes=MIB)
    body = b"x" * (MIB * 3 // 4)
    async with Client.to(listener) as first, Client.to(listener) as second:
        sent = request(method="POST", body=body)
        await first.send(sent[:-1])
        await until(lambda: listener._connections.buffered == len(body) - 1)
        await second.send(sent[:-1])
        assert (await _refused(second))[0] == 503
        await first.send(sent[-1:])
        assert (await first.answer())[0] == 200
        assert listener._connections.buffered == 0
    async with Client.to(listener) as third:
        await third.send(sent)
        assert (await third.answer())[0] == 200


async def test_one_connection_too_many_is_told_so(serve):
    echo = Echo()
    listener = await serve(echo, max_connections=2)
    async with Client.to(listener) as first, Client.to(listener) as second:
        for client in (first, second):
            echo.entered.clear()
            await client.send(request("/wait"))
            await echo.entered.wait()
        async with Client.to(listener) as third:
            assert await _refused(third) == (503, "the server has as many connections as it takes; try again later")
            third.end()
            assert await third.rest() == b""
        assert listener.connections == 2
        echo.going_on.set()
        assert (await first.answer())[0] == 200
        assert (await second.answer())[0] == 200


async def test_one_that_has_long_said_nothing_makes_room(serve, monkeypatch):
    monkeypatch.setattr("llamafarm.server.http.connections._EVICTABLE_AFTER", 0.0)
    listener = await serve(max_connections=2)
    async with Client.to(listener) as oldest, Client.to(listener) as older:
        await older.send(request())
        assert (await older.answer())[0] == 200
        async with Client.to(listener) as third:
            await third.send(request())
            assert (await third.answer())[0] == 200
            assert await oldest.rest() == b""
            await older.send(request())
            assert (await older.answer())[0] == 200
            assert listener.connections == 2
