"""A gateway in the test's own event loop, over real sockets on both sides."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest

from llamafarm.server.run import Order, opened
from llamafarm.testing import FakeServer

ONE = """
server: {{keys: keys.json{server}}}
strategies:
  - name: s
    description: d
    components:
      a: {{type: openai_compatible, config: {{provider: custom, base_url: '{a}/v1', default_model: m{target}}}}}
{more}
"""


@pytest.fixture
async def upstream():
    """A fake vendor; its behaviour can be set in the test."""
    async with FakeServer() as server:
        yield server


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    """Open a gateway over the text of a strategy file."""
    monkeypatch.setenv("LLAMAFARM_HOME", str(tmp_path / "home"))

    @asynccontextmanager
    async def open_gateway(text, strategy=None):
        file = tmp_path / "strategies.yaml"
        file.write_text(text)
        order = Order(str(file), strategy, None, 0)
        async with opened(order, order.load({})) as process, aiohttp.ClientSession(process.urls[0]) as client:
            process.client, process.file = client, file
            yield process

    return open_gateway


@pytest.fixture
async def served(gateway, upstream):
    """A gateway with one target, the fake vendor."""
    async with gateway(one(upstream)) as process:
        yield process


async def until(holds, seconds=20):
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


def one(upstream, *, target="", server="", more=""):
    """Give a file with one strategy and one target."""
    base = upstream.base_url.removesuffix("/v1")
    return ONE.format(a=base, target=f", {target}" if target else "", server=f", {server}" if server else "", more=more)
