import asyncio
import gzip
import json
import ssl
import tracemalloc
import zlib
from pathlib import Path

import pytest

from llamafarm.errors import BadReplyError, ConnectError, StreamCutError
from llamafarm.testing.fake_server import FakeServer, answer, raw, reply, reset
from llamafarm.transport import Endpoint

HERE = Path(__file__).parent
GZIPPED = {"content-encoding": "gzip"}


def head(*lines: str, status: int = 200) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status} x", *lines, "", "")).encode()


async def post(transport, server, path="chat/completions", headers=None):
    return await transport.post(Endpoint.parse(server.base_url).join(path), headers or {}, b'{"a":1}')


async def test_a_request_arrives_as_it_was_made(transport):
    async with FakeServer(reply(201, {"b": 2}, {"X-Odd": "Yes"})) as server:
        response = await post(transport, server, headers={"authorization": "Bearer k"})
        assert (response.status, response.headers["x-odd"]) == (201, "Yes")
        assert json.loads(await response.read(100)) == {"b": 2}
        (request,) = server.requests
        assert (request.method, request.path, request.json) == ("POST", "/v1/chat/completions", {"a": 1})
        assert request.headers["authorization"] == "Bearer k"


async def test_connections_are_used_again_and_cookies_are_not_kept(transport):
    async with FakeServer(reply(200, {}, {"set-cookie": "id=1; Path=/"})) as server:
        for _ in range(3):
            await (await post(transport, server)).read(100)
        assert server.connections == 2, "one to see whether anybody is there, one for all requests"
        assert all("cookie" not in request.headers for request in server.requests)


async def test_redirects_are_not_followed(transport):
    async with FakeServer() as other, FakeServer(reply(307, b"", {"location": other.base_url})) as server:
        response = await post(transport, server, headers={"authorization": "Bearer k"})
        assert response.status == 307
        await response.read(100)
        assert other.connections == 0


async def test_unix_socket(transport, tmp_path):
    async with FakeServer(reply(200, {}), socket=tmp_path / "llama.sock") as server:
        await (await post(transport, server)).read(100)
        assert server.requests[0].path == "/v1/chat/completions"
        assert server.requests[0].headers["host"] == "localhost"
    with pytest.raises(ConnectError, match=r"llama\.sock: .*start the server"):
        await transport.get(Endpoint.parse(f"unix:{tmp_path}/llama.sock"), {})


async def test_nothing_listens(transport):
    async with FakeServer() as server:
        pass
    with pytest.raises(ConnectError, match=r"cannot connect to 127\.0\.0\.1:\d+: nothing listens there; start"):
        await post(transport, server)


async def test_an_unknown_name(transport):
    with pytest.raises(ConnectError, match=r"the name nobody\.invalid is not known"):
        await transport.get(Endpoint.parse("http://nobody.invalid/v1"), {})


async def test_reset_or_closed_before_the_headers(transport):
    async with FakeServer(reset(), raw(), raw(b"HTTP/1.1 200")) as server:
        for _ in range(2):
            with pytest.raises(ConnectError, match="the connection before it answered"):
                await post(transport, server)
        with pytest.raises((ConnectError, BadReplyError)):
            await post(transport, server)


@pytest.mark.parametrize(
    "what", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n", b"220 smtp\r\n"]
)
async def test_something_that_is_not_http(transport, what):
    async with FakeServer(raw(what)) as server:
        with pytest.raises((BadReplyError, ConnectError)) as caught:
            await post(transport, server)
        assert str(server.base_url.split("/")[2]) in str(caught.value)


async def test_headers_without_end_are_bounded(transport):
    async with FakeServer(raw(b"HTTP/1.1 200 x\r\nx-long: ", *[b"a" * 60_000] * 40)) as server:
        with pytest.raises(BadReplyError):
            await post(transport, server)


@pytest.mark.parametrize(
    "body",
    [
        (head("content-length: 100"), b"half"),
        (head("transfer-encoding: chunked"), b"4\r\nhalf\r\n"),
        (head("transfer-encoding: chunked"), b"4\r\nha"),
    ],
)
@pytest.mark.parametrize("end", [raw, reset])
async def test_broken_in_the_middle_of_the_body(transport, body, end):
    async with FakeServer(end(*body)) as server:
        with pytest.raises((StreamCutError, ConnectError)) as caught:
            await (await post(transport, server)).read(1000)
        assert isinstance(caught.value, StreamCutError) or end is reset
    async with FakeServer(raw(*body)) as server:
        response = await post(transport, server)
        assert b"half".startswith(await response.read(1000, cut=True))


async def test_bodies_are_bounded(transport):
    async with FakeServer(reply(200, b"x" * 5000)) as server:
        with pytest.raises(BadReplyError, match="longer than"):
            await (await post(transport, server)).read(4999)
        assert await (await post(transport, server)).read(4999, cut=True) == b"x" * 4999
        assert await (await post(transport, server)).read(5000) == b"x" * 5000


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "x-gzip"])
async def test_compressed_bodies_are_read(transport, encoding):
    body = zlib.compress(b"hello " * 99) if encoding == "deflate" else gzip.compress(b"hello " * 99)
    async with FakeServer(reply(200, body, {"content-encoding": encoding})) as server:
        assert await (await post(transport, server)).read(1000) == b"hello " * 99
        assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_a_gzip_bomb_is_stopped_at_the_limit(transport):
    bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=1)
    async with FakeServer(reply(200, bomb, GZIPPED)) as server:
        tracemalloc.start()
        try:
            with pytest.raises(BadReplyError, match="longer than 4 MiB"):
                await (await post(transport, server)).read(4 * 1024**2)
            assert tracemalloc.get_traced_memory()[1] < 12_000_000
        finally:
            tracemalloc.stop()
        await server.until_disconnected()


@pytest.mark.parametrize(
    ("body", "encoding", "error"),
    [
        (gzip.compress(b"hello" * 99)[:-9], "gzip", StreamCutError),
        (b"not gzip at all", "gzip", StreamCutError),
        (b"x", "br", BadReplyError),
    ],
)
async def test_damaged_or_unknown_encodings(transport, body, encoding, error):
    async with FakeServer(reply(200, body, {"content-encoding": encoding})) as server:
        with pytest.raises(error, match=r"127\.0\.0\.1"):
            await (await post(transport, server)).read(1000)


async def test_close_cancels_at_once_and_wakes_a_reader(transport):
    async with FakeServer(raw(head("content-length: 100"), b"half", close=False)) as server:
        response = await post(transport, server)
        assert await response.read_some() == b"half"
        reader = asyncio.ensure_future(response.read_some())
        await asyncio.sleep(0)
        response.close()
        response.close()
        with pytest.raises(StreamCutError):
            await reader
        await server.until_disconnected()


async def test_a_cancelled_request_closes_its_connection(transport):
    arrived = asyncio.Event()

    async def never(request, _):
        arrived.set()
        await request.gone.wait()

    async with FakeServer(never) as server:
        request = asyncio.ensure_future(post(transport, server))
        await arrived.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await server.until_disconnected()


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(HERE / "server-certificate.pem", HERE / "server-key.pem")
    return context


async def test_an_untrusted_certificate_is_refused(transport):
    async with FakeServer(tls=server_tls()) as server:
        with pytest.raises(ConnectError, match=r"certificate is not trusted .*SSL_CERT_FILE"):
            await post(transport, server)
        assert not server.requests


async def test_the_roots_of_the_environment_are_trusted(transport, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(HERE / "server-certificate.pem"))
    async with FakeServer(reply(200, {}), tls=server_tls()) as server:
        assert (await (await post(transport, server)).read(100)) == b"{}"
        endpoint = server.base_url.replace("127.0.0.1", "other.localhost")
        with pytest.raises(ConnectError, match="Hostname mismatch"):
            await transport.get(Endpoint.parse(endpoint), {})


async def test_tls_to_a_plain_port(transport):
    async def refuse(reader, writer):
        await reader.read(1)
        writer.write(head(status=400))
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectError, match="TLS failed"):
            await transport.get(Endpoint.parse(f"https://127.0.0.1:{port}/v1"), {})


@pytest.fixture
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("no_proxies")
async def test_a_proxy_of_the_environment_is_used(transport, monkeypatch):
    async with FakeServer(answer()) as proxy:
        place = proxy.base_url.removeprefix("http://").removesuffix("/v1")
        monkeypatch.setenv("HTTP_PROXY", f"http://us%40er:pw@{place}")
        endpoint = Endpoint.parse("http://llm.example/v1")
        await (await transport.get(endpoint.join("models"), {"authorization": "Bearer k"})).read(1000)
        assert proxy.requests[0].path == "http://llm.example/v1/models"
        assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNAZXI6cHc="
        assert proxy.requests[0].headers["authorization"] == "Bearer k"


@pytest.mark.usefixtures("no_proxies")
async def test_a_proxy_that_refuses_the_tunnel(transport, monkeypatch):
    async with FakeServer(reply(407, b"")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.base_url.removesuffix("/v1").replace("//", "//user:pw@"))
        with pytest.raises(ConnectError, match=r"cannot connect to llm\.example: the proxy http://127\S+ answered 407"):
            await transport.get(Endpoint.parse("https://llm.example/v1"), {"authorization": "Bearer k"})
        assert "authorization" not in proxy.requests[0].headers
        assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwdw=="


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "nonsense://x"])
async def test_a_proxy_that_is_not_http_is_refused(transport, monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConnectError, match="only http and https proxies"):
        await transport.get(Endpoint.parse("https://llm.example/v1"), {})


@pytest.mark.usefixtures("no_proxies")
async def test_this_machine_is_reached_without_a_proxy(transport, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with FakeServer(reply(200, {})) as server:
        await (await post(transport, server)).read(100)
