"""What the `server` section of a strategy file limits, each key seen to act."""

import asyncio
import ssl
import subprocess

import aiohttp
import pytest

from llamafarm.server.run import Order, opened
from llamafarm.testing.fake_server import answer, events, silence
from tests.server.conftest import one, until
from tests.server.test_gateway import CHAT, event

SECONDS = 20


async def connect(process):
    return await asyncio.open_connection("127.0.0.1", process.listener.port)


async def said(reader):
    """Give all that comes until the connection ends."""
    async with asyncio.timeout(SECONDS):
        return await reader.read()


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.key("server.body_limit")
async def test_a_body_above_its_limit_is_refused(gateway, upstream):
    async with gateway(one(upstream, server="body_limit: 2 KiB")) as process:
        body = {**CHAT, "padding": "x" * 3000}
        async with process.client.post("/v1/chat/completions", json=body) as response:
            assert response.status == 413
            assert (await response.json())["error"]["type"] == "invalid_request_error"
        async with process.client.post("/v1/chat/completions", json=CHAT) as response:
            assert response.status == 200


@pytest.mark.key("server.bodies_limit")
async def test_all_bodies_together_have_a_limit(gateway, upstream):
    upstream.script = [silence()]
    large = {**CHAT, "padding": "x" * 3000}
    async with gateway(one(upstream, server="bodies_limit: 5000")) as process:
        waiting = asyncio.create_task(process.client.post("/v1/chat/completions", json=large))
        await until(lambda: process.gateway.in_flight)
        async with process.client.post("/v1/chat/completions", json=large) as response:
            assert response.status == 503
            assert response.headers["retry-after"] == "1"
            assert "server.bodies_limit" in (await response.json())["error"]["message"]
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await until(lambda: not process.gateway.in_flight)
        upstream.script = [answer()]
        async with process.client.post("/v1/chat/completions", json=large) as response:
            assert response.status == 200


@pytest.mark.key("server.header_limit")
async def test_headers_above_their_limit_are_refused(gateway, upstream):
    async with gateway(one(upstream, server="header_limit: 2 KiB")) as process:
        async with process.client.get("/livez", headers={"x-padding": "x" * 3000}) as response:
            assert response.status == 431
        async with process.client.get("/livez", headers={"x-padding": "x" * 1000}) as response:
            assert response.status == 200


@pytest.mark.key("server.header_timeout")
async def test_headers_that_do_not_come_are_not_waited_for(gateway, upstream):
    async with gateway(one(upstream, server="header_timeout: 0.3")) as process:
        reader, writer = await connect(process)
        writer.write(HEAD)
        answer = await said(reader)
        writer.close()
    assert answer == b"" or b" 408 " in answer.split(b"\r\n")[0]


@pytest.mark.key("server.body_timeout")
async def test_a_body_that_does_not_come_is_not_waited_for(gateway, upstream):
    async with gateway(one(upstream, server="body_timeout: 0.3")) as process:
        reader, writer = await connect(process)
        writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
        answer = await said(reader)
        writer.close()
    assert b" 408 " in answer.split(b"\r\n")[0]


@pytest.mark.key("server.idle_timeout")
async def test_an_idle_connection_is_closed(gateway, upstream):
    async with gateway(one(upstream, server="idle_timeout: 0.3")) as process:
        reader, writer = await connect(process)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await said(reader)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" not in answer.lower()


@pytest.mark.key("server.write_timeout")
async def test_a_client_that_takes_nothing_is_cut_off(gateway, upstream):
    upstream.script = [events(*(event("x" * 100_000) for _ in range(400)), event(finish="stop"))]
    async with gateway(one(upstream, server="write_timeout: 0.5")) as process:
        _, writer = await connect(process)
        body = b'{"messages":[{"role":"user","content":"Hi"}],"stream":true}'
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        await until(lambda: upstream.requests and not process.gateway.in_flight)
        writer.close()
        await upstream.until_disconnected()


@pytest.mark.key("server.max_connections")
async def test_more_connections_than_allowed_are_turned_away(gateway, upstream):
    async with gateway(one(upstream, server="max_connections: 2")) as process:
        kept = [await connect(process) for _ in range(2)]
        for reader, writer in kept:
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(SECONDS):
                assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        reader, writer = await connect(process)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await said(reader)
        assert answer == b"" or b" 503 " in answer.split(b"\r\n")[0]
        for _, each in (*kept, (reader, writer)):
            each.close()


@pytest.mark.key("server.host")
@pytest.mark.key("server.port")
async def test_it_listens_where_the_file_says(tmp_path, monkeypatch, upstream, unused_port):
    monkeypatch.setenv("LLAMAFARM_HOME", str(tmp_path))
    file = tmp_path / "strategies.yaml"
    file.write_text(one(upstream, server=f"host: localhost, port: {unused_port}"))
    order = Order(str(file))
    async with opened(order, order.load({})) as process:
        assert all(url.endswith(f":{unused_port}") for url in process.urls)
        async with aiohttp.ClientSession() as client, client.get(f"http://localhost:{unused_port}/livez") as response:
            assert response.status == 200


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def certificate(folder, name):
    """Make a certificate of its own with the system's openssl."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.mark.key("server.tls_certificate")
@pytest.mark.key("server.tls_key")
async def test_tls_with_a_certificate_that_can_be_exchanged(gateway, upstream, tmp_path, caplog):
    first, key = certificate(tmp_path, "first")
    async with gateway(one(upstream, server=f"tls_certificate: {first}, tls_key: {key}")) as process:
        assert process.urls[0].startswith("https://")

        async def name(trusted):
            context = ssl.create_default_context(cafile=trusted)
            reader, writer = await asyncio.open_connection("127.0.0.1", process.listener.port, ssl=context)
            subject = writer.get_extra_info("peercert")["subject"]
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert (await said(reader)).startswith(b"HTTP/1.1 200 ")
            writer.close()
            return subject[0][0][1]

        assert await name(first) == "first"
        first_copy = tmp_path / "copy.pem"
        first_copy.write_bytes(first.read_bytes())
        second, second_key = certificate(tmp_path, "second")
        first.write_bytes(second.read_bytes())
        async with process.client.post("/admin/reload", json={}, ssl=False) as response:
            assert response.status == 422  # the key is not its own: the old pair stays
            assert "is not the key of" in (await response.json())["error"]["message"]
        assert "is not the key of" in caplog.text
        assert "is not the key of" in process.gateway.reloader.failure
        assert await name(first_copy) == "first"
        key.write_bytes(second_key.read_bytes())
        await until(lambda: process.gateway.reloader.failure is None)  # a change is looked for
        assert await name(second) == "second"
