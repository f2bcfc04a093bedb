import errno
import socket

import pytest

from llamafarm.errors import BlockedError
from llamafarm.testing import FakeServer
from llamafarm.transport import Endpoint, HttpTransport, LoopbackOnly
from llamafarm.transport.aio import AioClient


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("localhost", ()),
        ("LOCALHOST.", ()),
        ("models.localhost", ("127.0.0.1",)),
        ("127.0.0.1", ()),
        ("127.8.9.1", ("127.8.9.1",)),
        ("::1", ("::1",)),
        ("::ffff:127.0.0.1", ()),
    ],
)
def test_this_machine_is_allowed(host, addresses):
    LoopbackOnly().check(host, addresses)


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("api.openai.com", ()),
        ("api.openai.com", ("127.0.0.1",)),
        ("localhost", ("127.0.0.1", "10.0.0.1")),
        ("localhost.example.com", ()),
        ("192.168.1.5", ()),
        ("0.0.0.0", ()),
        ("::", ()),
        ("::ffff:10.0.0.1", ()),
        ("169.254.169.254", ()),
        ("127.1", ()),
        ("2130706433", ()),
        ("", ()),
    ],
)
def test_everything_else_is_blocked(host, addresses):
    with pytest.raises(BlockedError, match="local_only"):
        LoopbackOnly().check(host, addresses)


@pytest.fixture
async def guarded(nothing_left_behind):
    transport = HttpTransport(LoopbackOnly())
    yield transport
    await transport.aclose()


@pytest.fixture
def no_lookups(monkeypatch):
    def refuse(host, *args, **kwargs):
        if host not in ("127.0.0.1", "::1"):
            raise AssertionError(f"{host} was looked up")
        return original(host, *args, **kwargs)

    original = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


async def test_localhost_is_reached_without_a_lookup(guarded, no_lookups):
    async with FakeServer() as server:
        endpoint = Endpoint.parse(server.base_url.replace("127.0.0.1", "localhost"))
        response = await guarded.get(endpoint.join("models"), {})
        assert response.status == 200
        assert await response.read(1000)


@pytest.mark.parametrize("place", ["api.openai.com", "192.0.2.1", "127.1", "[::ffff:192.0.2.1]"])
async def test_others_are_blocked_without_a_lookup_or_a_socket(guarded, no_lookups, monkeypatch, place):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a socket was connected"))
    with pytest.raises(BlockedError):
        await guarded.post(Endpoint.parse(f"http://{place}/v1").join("models"), {}, b"{}")


async def test_proxies_are_not_used(guarded, monkeypatch):
    async with FakeServer() as server, FakeServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url)
        await (await guarded.get(Endpoint.parse(server.base_url), {})).read(1000)
        assert (len(server.requests), len(proxy.requests)) == (1, 0)


class ChangesItsMind(LoopbackOnly):
    """Allows a name, and forbids the address it turns out to have: what DNS rebinding would meet."""

    def check(self, host, addresses):
        if addresses:
            super().check("localhost", ["192.0.2.1"])


async def test_the_address_is_checked_again_at_connect_time(nothing_left_behind):
    transport = HttpTransport(ChangesItsMind())
    async with FakeServer() as server:
        for host in ("localhost", "127.0.0.1"):
            with pytest.raises(BlockedError, match=r"192\.0\.2\.1"):
                await transport.get(Endpoint.parse(server.base_url.replace("127.0.0.1", host)), {})
        assert server.connections == 0
    await transport.aclose()


def test_no_socket_is_opened_for_a_forbidden_address():
    client = AioClient(LoopbackOnly(), proxies=False)
    with pytest.raises(PermissionError) as caught:
        client._new_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80)))
    assert caught.value.errno == errno.EPERM


async def test_unix_sockets_are_allowed(guarded, tmp_path):
    async with FakeServer(socket=tmp_path / "s") as server:
        response = await guarded.get(Endpoint.parse(server.base_url).join("models"), {})
        assert response.status == 200
        await response.read(1000)
        assert server.requests[0].path == "/v1/models"
