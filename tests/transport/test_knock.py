"""Nothing listens there: known before an HTTP library is loaded."""

import socket

import pytest

from llamafarm.errors import ConnectError
from llamafarm.transport import Endpoint, HttpTransport
from llamafarm.transport.knock import knock


@pytest.fixture
def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "app.localhost"])
async def test_nobody_there(host, free_port):
    transport = HttpTransport()
    with pytest.raises(ConnectError, match="nothing listens there; start the server or check base_url"):
        await transport.get(Endpoint.parse(f"http://{host}:{free_port}/v1"), {})
    assert transport._client is None, "nothing was loaded"
    await transport.aclose()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_localhost_is_either_address(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        await knock(Endpoint.parse(f"http://localhost:{server.getsockname()[1]}"), None)


@pytest.mark.parametrize("url", ["http://x.example/v1", "http://10.255.255.1:1", "unix:/nowhere:/v1"])
async def test_other_machines_and_sockets_are_not_knocked_at(url, monkeypatch):
    monkeypatch.setattr("socket.socket", None)
    await knock(Endpoint.parse(url), None)
