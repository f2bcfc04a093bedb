"""What is too much, or never ends (QUALITY: attack 11): refused, in bounded memory of the process that refuses it."""

import asyncio
import contextlib
import gzip
import json

from tests.load.client import HEAD, Client, chat, post
from tests.load.program import counts, gateway, strategies, tell, vendor

MIB = 1 << 20
AT_ONCE = 8
MOST = 24
"""MB that the process may grow by while so many clients do it."""
BODIES_OF_ALL = 120
"""MB: their bodies up to the limit of 10 MiB each, which may come, with room to grow in."""
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
FLOODS = {
    "a body of 1 GB": (HEAD + b"Content-Length: 1073741824\r\n\r\n", b"x" * MIB, 1024, {413}),
    "endless chunks": (CHUNKED, b"100000\r\n" + b"x" * MIB + b"\r\n", 1024, {413}),
    "endless small chunks": (CHUNKED, b"1\r\nx\r\n" * 20_000, 200, {400}),
    "a chunk's size without an end": (CHUNKED, b"0" * MIB, 100, {400}),
    "a chunk's extension without an end": (CHUNKED + b"5;", b"x" * MIB, 100, {400}),
    "a header of 10 MB": (GET + b"X: ", b"x" * MIB, 10, {431}),
    "100,000 headers": (GET, b"X: y\r\n" * 10_000, 10, {431}),
    "100,000 short headers": (GET, b"a:\r\n" * 10_000, 10, {431}),
    "a URL without an end": (b"GET /", b"x" * MIB, 100, {414}),
    "a name without an end": (GET, b"x" * MIB, 100, {400, 431}),
    "empty lines": (b"", b"\r\n" * 100_000, 50, {400}),
    "nonsense": (b"", b"\xff" * MIB, 50, {400, 501}),
}


async def _flood(port, first, more, times):
    """Send until it is refused, and read the refusal; give its status, or None where a reset came before it."""
    async with Client.to(port) as client:
        with contextlib.suppress(ConnectionError):
            await client.send(first)
            for _ in range(times):
                await client.send(more)
                if client.reader._buffer:
                    break
        got = await client.rest()
        return int(got.split(b" ")[1]) if got else None


async def test_floods_are_refused_in_bounded_memory(tmp_path):
    """A flood is eight clients at once; the ninth, who asks for something, is answered."""
    async with vendor() as behind, gateway(tmp_path, strategies(behind.port)) as running:
        async with Client.to(running.port) as healthy:
            assert (await healthy.ask("say it")).status == 200
            for name, (first, more, times, statuses) in FLOODS.items():
                before, cpu = running.memory, running.cpu
                running.peak_from_now()
                async with asyncio.timeout(60):
                    flooding = [asyncio.create_task(_flood(running.port, first, more, times)) for _ in range(AT_ONCE)]
                    assert (await healthy.ask(f"say {name}")).text == f"say {name}|m"
                    got = set(await asyncio.gather(*flooding))
                grown = running.peak - before
                tell(f"{name}: {sorted(map(str, got))}, {grown:.1f} MB more at most, {running.cpu - cpu:.2f} s CPU")
                assert got - {None} <= statuses
                assert got & statuses, "somebody gets to read why"
                assert grown < (BODIES_OF_ALL if name == "endless chunks" else MOST)
        assert (await behind.stats())["asked"] == 1 + len(FLOODS)


def _bomb(size):
    return gzip.compress(b"[" * size)


def _body(content, **headers):
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n" + lines
    return head + b"Content-Length: %d\r\n\r\n" % len(content) + content


JSON = {"content_type": "application/json"}
DEEP = 200_000
MOST_BODY = 10 * MIB - 1000
LARGE = counts(2 * MIB, MOST_BODY)
BODIES = {
    "[ x 200,000": (_body(b"[" * DEEP, **JSON), 400),
    "{ x 200,000": (_body(b'{"a":' * DEEP, **JSON), 400),
    "[ x 200,000 in a field": (_body(b'{"messages":' + b"[" * DEEP + b"]" * DEEP + b"}", **JSON), 400),
    "{ x 100,000 in a field of its own": (_body(chat("a")[:-1] + b',"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, **JSON), 400),
    "bad UTF-8": (_body(b'{"messages":[{"role":"user","content":"\xff\xfe"}]}', **JSON), 400),
    "half a surrogate": (_body(b'{"messages":[{"role":"user","content":"\\ud800"}]}', **JSON), 400),
    "NUL bytes": (_body(b"\0" * 1000, **JSON), 400),
    "a number of a million digits": (_body(chat("a")[:-1] + b',"seed":' + b"9" * MIB + b"}", **JSON), 400),
    "1e999999999": (_body(chat("a")[:-1] + b',"temperature":1e999999999}', **JSON), 400),
    "ten million commas": (_body(b"[" + b"," * (MOST_BODY - 10) + b"]", **JSON), 400),
    "multipart": (_body(b"--x\r\n" * 1000, content_type="multipart/form-data; boundary=x"), 415),
    "a form": (_body(b"a=b&" * 100_000, content_type="application/x-www-form-urlencoded"), 415),
    "gzip": (_body(_bomb(100 * MIB), content_encoding="gzip", **JSON), 415),
    "deflate": (_body(_bomb(MIB), content_encoding="deflate", **JSON), 415),
    "br": (_body(b"x", content_encoding="br", **JSON), 415),
    "gzip, gzip": (_body(gzip.compress(_bomb(MIB)), content_encoding="gzip, gzip", **JSON), 415),
    "gzip without a word": (_body(_bomb(100 * MIB), **JSON), 400),
}  # fmt: skip


async def test_bodies_that_explode_do_not(tmp_path):
    """CVE-2024-52581, CVE-2026-54277, CVE-2024-27454, CVE-2025-66418."""
    async with vendor() as behind, gateway(tmp_path, strategies(behind.port)) as running:
        assert running.memory > 0
        for name, (sent, status) in BODIES.items():
            before = running.memory
            running.peak_from_now()
            async with asyncio.timeout(60), Client.to(running.port) as client:
                client.writer.write(sent)
                answer = await client.answer()
            grown = running.peak - before
            tell(f"{name}: {answer.status} {json.loads(answer.body)['error']['message'][:70]!r}, {grown:.1f} MB more")
            assert answer.status == status
            assert grown < MOST + 4 * len(sent) / 1e6  # what came, joined
        assert (await behind.stats())["asked"] == 0


async def test_a_body_of_the_largest_size_is_taken_in_bounded_memory(tmp_path):
    """Many small values cost more than their bytes: a body may cost forty times its size, no more."""
    async with vendor() as behind, gateway(tmp_path, strategies(behind.port)) as running:
        bodies = {
            "one long text": chat("say " + "x" * (LARGE - 200)),
            "many ones": chat("a")[:-1] + b',"x":[' + b"1," * (LARGE // 2 - 200) + b"1]}",
            "many empty lists": chat("a")[:-1] + b',"x":[' + b"[]," * (LARGE // 3 - 200) + b"[]]}",
            "many keys": chat("a")[:-1] + b"".join(b',"%07d":1' % n for n in range(LARGE // 13)) + b"}",
        }
        for name, body in bodies.items():
            before, cpu = running.memory, running.cpu
            running.peak_from_now()
            async with asyncio.timeout(60), Client.to(running.port) as client:
                client.writer.write(post(body))
                answer = await client.answer()
            grown, cpu = running.peak - before, running.cpu - cpu
            tell(f"{name}: {len(body) / 1e6:.1f} MB, {answer.status}, {grown:.0f} MB more, {cpu:.1f} s CPU")
            assert answer.status == 200
            assert grown < 40 * len(body) / 1e6
