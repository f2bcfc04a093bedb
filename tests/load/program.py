"""The program under load as a process of its own, and what the system knows of it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from tests.load.client import Client

FULL = os.environ.get("LLAMAFARM_LOAD") == "full"
"""Whether the counts are those that are claimed; else they are small enough for every run."""
SECONDS = 60
"""After which a test that waits for one thing fails."""
STRATEGIES = """
server: {{keys: keys.json{server}}}
strategies:
  - name: s
    description: d
    components:
      a: {{type: openai_compatible, config: {{provider: custom, base_url: 'http://127.0.0.1:{port}/v1', default_model: m}}}}
    optimization: {{{optimization}}}
"""
MANY = "parallel_requests: 4096"


def counts(few, full):
    """Give how many there are to be in this run."""
    return full if FULL else few


async def until(holds, seconds=SECONDS):
    """Wait until something holds; it may be asked for."""
    async with asyncio.timeout(seconds):
        while True:
            held = holds()
            if await held if asyncio.iscoroutine(held) else held:
                return
            await asyncio.sleep(0.02)


class Running:
    """A process, its port, and its figures."""

    def __init__(self, process, port, log=None):
        self.process, self.port, self.log = process, port, log
        self.proc = Path(f"/proc/{process.pid}")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _kib(self, name):
        text = (self.proc / "status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith(name)).split()[1])

    @property
    def memory(self):
        """Give its resident memory in MB."""
        return self._kib("VmRSS:") / 1000

    def peak_from_now(self):
        """Forget the most memory it has had."""
        (self.proc / "clear_refs").write_text("5")

    @property
    def peak(self):
        """Give the most resident memory in MB since `peak_from_now`."""
        return self._kib("VmHWM:") / 1000

    @property
    def files(self):
        """Give how many files and sockets it has open."""
        return len(list((self.proc / "fd").iterdir()))

    @property
    def cpu(self):
        """Give the CPU seconds it has used."""
        fields = (self.proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def said(self):
        """Give what it has written to stderr."""
        return self.log.read_text()

    async def get(self, path):
        """Ask it for JSON."""
        async with Client.to(self.port) as client:
            answer = await client.get(path)
            return json.loads(answer.body)

    async def status(self):
        return await self.get("/admin/status")

    async def stats(self):
        return await self.get("/stats")

    async def settled(self):
        """Wait until no request is in flight, and give the status then."""
        found = {}

        async def quiet():
            found.update(await self.status())
            return found["requests_in_flight"] == 1  # the one that asks

        await until(quiet)
        return found


@contextlib.asynccontextmanager
async def vendor(*options):
    """Start a vendor."""
    command = [sys.executable, str(Path(__file__).with_name("vendor.py")), *options]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        yield Running(process, int(await process.stdout.readline()))
    finally:
        process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def gateway(folder, text, **environment):
    """Start `llamafarm serve` over the text of a strategy file; it has to end in peace."""
    file, log = folder / "strategies.yaml", folder / "log"
    file.write_text(text)
    command = [sys.executable, "-m", "llamafarm.cli", "serve", "--port", "0", "--strategy-file", str(file)]
    known = {"PATH": os.environ["PATH"], "LLAMAFARM_HOME": str(folder / "home"), **environment}
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(*command, stderr=stderr, cwd=folder, env=known)
    try:
        await until(lambda: "llamafarm serves" in log.read_text() or process.returncode is not None)
        assert process.returncode is None, log.read_text()
        said = log.read_text().partition("llamafarm serves")[2]
        yield Running(process, int(said.split("127.0.0.1:")[1].split("/")[0]), log)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SECONDS):
            assert await process.wait() == 0, log.read_text()[-2000:]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def strategies(port, *, server="", optimization=MANY):
    """Give a file with one strategy and one target."""
    return STRATEGIES.format(port=port, server=f", {server}" if server else "", optimization=optimization)


def quantile(values, share):
    """Give a value that this share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def tell(*figures):
    """Print the figures of a run: ``pytest -s`` shows them."""
    print("\n  " + "\n  ".join(figures), flush=True)
