import asyncio
import time

import pytest

from llamafarm.providers.openai.provider import OpenAI
from llamafarm.transport import HttpTransport
from llamafarm.types import Attempt, Call, Operation, Secret, Target

KEY = "sk-canary-7c1e55d0aa"


class Rig:
    """An upstream over real sockets, and attempts at a server's target."""

    def __init__(self, transport):
        self.upstream = OpenAI(transport)

    def target(self, server, **changes):
        url = server if isinstance(server, str) else server.base_url
        return Target(
            **{
                "name": "there",
                "provider": "acme",
                "dialect": "openai",
                "model": "fake-model",
                "base_url": url,
                "api_key": Secret(KEY, "ACME_KEY"),
                **changes,
            }
        )

    def attempt(self, target, *, stream=True, body=None, operation=Operation.CHAT, seconds=5.0, ttft=None, idle=5.0):
        body = {"model": target.model, "messages": [{"role": "user", "content": "Hi"}]} if body is None else body
        call = Call(body, operation, stream=stream)
        return Attempt(call, target, dict(body), time.monotonic() + seconds, ttft, idle)

    async def send(self, server, *, stream=True, **options):
        """Collect all chunks; bounded in time, so that a hang is a failure."""
        changes = options.pop("changes", {})
        async with asyncio.timeout(8):
            attempt = self.attempt(self.target(server, **changes), stream=stream, **options)
            return [chunk async for chunk in await self.upstream.send(attempt)]

    async def fails(self, server, error, *, stream=True, **options):
        """Expect an error of exactly this class; give it and the text that came before it."""
        seen = []
        changes = options.pop("changes", {})
        attempt = self.attempt(self.target(server, **changes), stream=stream, **options)
        with pytest.raises(error) as caught:
            await self._read(attempt, seen)
        assert type(caught.value) is error
        assert KEY not in str(caught.value)
        assert "\n" not in str(caught.value)
        caught.value.seen = "".join(seen)
        return caught.value

    async def _read(self, attempt, seen):
        async with asyncio.timeout(8):
            async for chunk in await self.upstream.send(attempt):
                seen += [chunk.text]


@pytest.fixture
async def rig():
    transport = HttpTransport()
    yield Rig(transport)
    await transport.aclose()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not {task for task in left if "FakeServer" not in repr(task)}
