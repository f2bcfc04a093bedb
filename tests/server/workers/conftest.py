"""`llamafarm serve --workers N` as a user runs it: a parent and its workers, over real sockets."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.server.conftest import until
from tests.server.test_gateway import CHAT
from tests.server.test_process import Serve

SECONDS = 60
IMPATIENT = """
import sys
from llamafarm.cli import main
from llamafarm.server.workers import supervisor
supervisor._FIRST_PAUSE = supervisor._LONGEST_PAUSE = 0.01
sys.exit(main(sys.argv[1:]))
"""
"""The program, but for the pause before a worker that died young is replaced."""


def is_alive(pid):
    """Tell whether a process runs: a dead one that its parent has not asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Gateway(Serve):
    """The parent; each request comes on a connection of its own, and so to any worker."""

    pids: tuple[int, ...] = ()

    async def ended(self):
        async with asyncio.timeout(SECONDS):
            return await self.process.wait()

    async def status(self):
        async with self.client.get("/admin/status") as response:
            return await response.json()

    async def at_all(self, count, holds):
        """Ask until so many workers have said a status for which `holds`, and give the last of each."""
        said = {}
        async with asyncio.timeout(SECONDS):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    found = await self.status()
                    said[found["pid"]] = found
                    living = [each for each in said.values() if is_alive(each["pid"])]
                    if len(living) == count and all(holds(each) for each in living):
                        return living
                await asyncio.sleep(0.01)

    async def gone(self, pids):
        await until(lambda: not any(is_alive(pid) for pid in pids), SECONDS)

    async def logged(self, words, times=1):
        """Wait until so many lines with these words were logged, and give the last."""

        def found():
            return [line for line in self.said if words in line]

        await until(lambda: len(found()) >= times, SECONDS)
        return found()[-1]

    async def restarted(self, times):
        async with asyncio.timeout(SECONDS):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    found = await self.status()
                    if found["workers"]["restarts"] >= times and len(found["workers"]["pids"]) == self.count:
                        return found
                await asyncio.sleep(0.02)


@pytest.fixture
def workers(tmp_path):
    """Start a gateway of several workers over the text of a strategy file."""

    @contextlib.asynccontextmanager
    async def start(text, count, *options, program=None):
        file = tmp_path / "strategies.yaml"
        file.write_text(text)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(["-m", "llamafarm.cli"] if program is None else ["-c", program]),
            *("serve", "--port", "0", "--workers", str(count), "--strategy-file", str(file), *options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "LLAMAFARM_HOME": str(tmp_path / "home")},
        )
        started = Gateway(process, tmp_path)
        started.count = count
        reading = None
        try:
            line = await started.until("llamafarm serves")
            started.url = line.split(" at ")[1].split("/v1")[0]
            reading = asyncio.create_task(_read_on(started))
            timeout = aiohttp.ClientTimeout(SECONDS)
            connector = aiohttp.TCPConnector(force_close=True, limit=0)
            async with aiohttp.ClientSession(started.url, connector=connector, timeout=timeout) as client:
                started.client = client
                started.pids = tuple((await started.status())["workers"]["pids"])
                yield started
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await (reading or process.communicate())
            await process.wait()

    return start


async def _read_on(started):
    """Take what is said, so that nobody waits to say it."""
    while line := (await started.process.stderr.readline()).decode():
        started.said.append(line)


def asked(n, **more):
    """Give a request with a number in it, by which it is known upstream."""
    return {**CHAT, "messages": [{"role": "user", "content": f"number {n}"}], **more}
