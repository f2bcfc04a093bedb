import asyncio

import pytest

from llamafarm.transport import HttpTransport


@pytest.fixture(autouse=True)
async def nothing_left_behind():
    yield
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left


@pytest.fixture
async def transport(nothing_left_behind):
    transport = HttpTransport()
    yield transport
    await transport.aclose()
    await transport.aclose()
