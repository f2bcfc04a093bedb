import errno
import socket

import pytest

from llamafarm.errors import BlockedError, ConnectError
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import reply
from llamafarm.transport import EncryptedElsewhere, Endpoint, HttpTransport, LoopbackOnly
from llamafarm.transport.aio import _new_socket
from llamafarm.transport.guard import loopback_source
from tests.egress.audit import strays, watched


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
        ("017700000001", ()),
        ("0x7f.0.0.1", ()),
        ("127.0.0.01", ()),
        ("127.0.0.1.", ()),
        ("\uff11\uff12\uff17.0.0.1", ()),
        ("::127.0.0.1", ()),
        ("64:ff9b::7f00:1", ()),
        ("::1%eth0", ()),
        ("::1%25eth0", ()),
        ("localho\u017ft", ()),
        ("localhost", ("::1%2",)),
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

    def check(self, host, addresses, *, encrypted=False):
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
    with pytest.raises(PermissionError) as caught:
        _new_socket(LoopbackOnly(), (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80)), encrypted=True)
    assert caught.value.errno == errno.EPERM


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.9.9.9", "127.0.0.1"),
        ("::1", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::ffff:7f00:1", "::ffff:127.0.0.1"),
        ("192.0.2.1", None),
        ("0.0.0.0", None),
        ("::", None),
        ("localhost", None),
    ],
)
def test_what_is_sent_here_also_comes_from_here(address, source):
    assert loopback_source(address) == source


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_connections_are_bound_to_the_loopback_interface(guarded, host):
    """So that the system refuses them where 127.0.0.1 would take the default route: with that interface down."""
    async with FakeServer() as server:
        endpoint = Endpoint.parse(server.base_url.replace("127.0.0.1", host))
        with watched() as seen:
            response = await guarded.get(endpoint.join("models"), {})
        assert response.status == 200
        await response.read(1000)
    assert not strays(seen)
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    address = (host.strip("[]").replace("localhost", "127.0.0.1"), 80)
    with _new_socket(LoopbackOnly(), (family, socket.SOCK_STREAM, 6, "", address), encrypted=False) as made:
        assert made.getsockname()[0] == address[0]


@pytest.mark.parametrize("host", ["api.openai.com", "192.0.2.1", "127.1", "::ffff:192.0.2.1", "0.0.0.0"])
def test_private_means_encrypted_elsewhere(host):
    EncryptedElsewhere().check(host, ("192.0.2.1",), encrypted=True)
    with pytest.raises(BlockedError, match="without TLS to"):
        EncryptedElsewhere().check(host, ())
    EncryptedElsewhere().check("localhost", ("127.0.0.1",))


@pytest.fixture
async def private(nothing_left_behind):
    transport = HttpTransport(EncryptedElsewhere())
    yield transport
    await transport.aclose()


@pytest.mark.parametrize("place", ["192.0.2.1", "models.example", "127.1"])
@pytest.mark.parametrize("proxy", [False, True])
async def test_private_sends_nothing_in_clear_to_another_machine(private, monkeypatch, place, proxy):
    async with FakeServer() as local:
        if proxy:
            monkeypatch.setenv("http_proxy", local.base_url)
        with watched(closed=True) as seen, pytest.raises(BlockedError, match="https"):
            await private.post(Endpoint.parse(f"http://{place}/v1"), {}, b"{}")
        assert (seen, local.connections) == ([], 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
async def test_private_sends_nothing_of_this_machine_through_a_proxy(private, monkeypatch, host, name):
    monkeypatch.setenv(name, "http://192.0.2.1:3128")
    async with FakeServer() as server:
        with watched() as seen:
            response = await private.get(Endpoint.parse(server.base_url.replace("127.0.0.1", host)).join("models"), {})
        assert response.status == 200
        await response.read(1000)
    assert not strays(seen)


async def test_private_goes_through_a_proxy_within_tls(private, monkeypatch):
    async with FakeServer(reply(403, {})) as proxy:
        monkeypatch.setenv("https_proxy", proxy.base_url)
        with pytest.raises(ConnectError, match="the proxy"):
            await private.post(Endpoint.parse("https://models.example/v1"), {}, b"{}")
        assert [(request.method, request.body) for request in proxy.requests] == [("CONNECT", b"")]


async def test_unix_sockets_are_allowed(guarded, tmp_path):
    async with FakeServer(socket=tmp_path / "s") as server:
        response = await guarded.get(Endpoint.parse(server.base_url).join("models"), {})
        assert response.status == 200
        await response.read(1000)
        assert server.requests[0].path == "/v1/models"
