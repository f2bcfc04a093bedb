"""Every test here runs on asyncio's own event loop and on uvloop."""

import asyncio
import contextlib
import logging
import shutil
import ssl
import subprocess

import pytest

from llamafarm.server.http.limits import Limits
from llamafarm.server.http.listener import Listener
from llamafarm.server.http.tls import Certificate
from tests.server.http.echo import Echo

try:
    import uvloop
except ImportError:  # where it does not exist, as on Windows, asyncio's own loop is what serves
    uvloop = None


class Files:
    """A certificate and its key, where a listener reads them."""

    def __init__(self, folder, pairs):
        self.pem, self.key = folder / "server.pem", folder / "server.key"
        self._pairs = pairs
        self.write(0, 0)

    def write(self, pem, key):
        self.pem.write_bytes(self._pairs[pem][0].read_bytes())
        self.key.write_bytes(self._pairs[key][1].read_bytes())

    def read(self):
        return Certificate(self.pem, self.key)

    def trust(self, pair=0):
        return ssl.create_default_context(cafile=str(self._pairs[pair][0]))


def pytest_asyncio_loop_factories(config, item):
    return {"asyncio": asyncio.new_event_loop} | ({"uvloop": uvloop.new_event_loop} if uvloop else {})


@pytest.fixture
async def serve():
    """Start listeners: ``await serve(application, **limits)``; they are closed behind the test, and nothing is left."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(application=None, *, certificate=None, sockets=(), **limits):
            listener = Listener(application or Echo(), Limits(**limits), certificate=certificate, sockets=sockets)
            stack.push_async_callback(listener.close)
            await listener.open()
            return listener

        yield start
    left = [
        task for task in asyncio.all_tasks() if task is not asyncio.current_task() and "_run" in repr(task.get_coro())
    ]
    assert not left


@pytest.fixture
def quiet(caplog):
    """Of tests in which the application fails on purpose."""
    caplog.set_level(logging.CRITICAL, logger="llamafarm.server.http")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Two pairs for localhost, made once."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    pairs = []
    for name in ("first", "second"):
        pair = folder / f"{name}.pem", folder / f"{name}.key"
        making = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj"
        names = ["-addext", "subjectAltName=DNS:localhost"]
        files = ["-out", str(pair[0]), "-keyout", str(pair[1])]
        subprocess.run([*making.split(), f"/CN={name}", *names, *files], check=True, capture_output=True)
        pairs.append(pair)
    return pairs


@pytest.fixture
def certificate(certificates, tmp_path):
    """The first of them, in files that may be changed."""
    return Files(tmp_path, certificates)
