"""What the gateway adds to a request, against the same vendor asked directly in the same run; and what it costs."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import upstream

HERE = Path(__file__).parent
PLAIN = b'{"model":"bench","messages":[{"role":"user","content":"What is the capital of France?"}]}'
STREAMED = PLAIN[:-1] + b',"stream":true}'
ALONE = 1_000
"""Requests one after the other, direct and through the gateway by turns."""
AT_ONCE = 64
MANY = 6_000
STREAMS = 40
STARTS = 5
STRATEGIES = """
strategies:
  - name: bench
    description: what a production strategy switches on
    components:
      cloud: {{type: openai_compatible, config: {{provider: custom, base_url: "http://127.0.0.1:{port}/v1",
              default_model: m, price: {{input: 1, output: 2}}}}}}
      other: {{type: openai_compatible, config: {{provider: custom, base_url: "http://127.0.0.1:{port}/v1",
              default_model: n, price: {{input: 1, output: 2}}}}}}
    fallback_chain: [cloud, other]
    routing_rules:
      - {{condition: urgent, target: other}}
      - {{condition: input.length > 20000, target: other}}
      - {{condition: 'input.contains("confidential", "secret")', target: other}}
    constraints: {{max_tokens: 4096, max_output_tokens: 1000, max_cost_per_request: 0.10}}
"""


class Client:
    """One connection that sends requests one after the other, and costs as little as it can."""

    def __init__(self, port, path="/v1/chat/completions"):
        self.port = port
        self.path = path.encode()

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def ask(self, body):
        """Send a request and read its answer; give the seconds to its first bytes of body, and in all."""
        started = time.perf_counter()
        head = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self.writer.write(head % (self.path, len(body)) + body)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        assert lines[0].startswith(b"http/1.1 200"), lines[0]
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), None)
        if length is not None:
            await self.reader.readexactly(length)
            first = time.perf_counter()
        else:
            first = None
            while size := int(await self.reader.readline(), 16):
                first = first or time.perf_counter()
                await self.reader.readexactly(size + 2)
            await self.reader.readexactly(2)
        return first - started, time.perf_counter() - started


class Process:
    """A process whose cost the system counts."""

    def __init__(self, process, port, seconds):
        self.pid = process.pid
        self.port = port
        self.started_in = seconds

    def cpu(self):
        """Give the CPU seconds it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Give its memory in MB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def vendor():
    process = subprocess.Popen([sys.executable, HERE / "upstream.py"], stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@contextmanager
def gateway(folder, port):
    file = Path(folder) / "strategies.yaml"
    file.write_text(STRATEGIES.format(port=port))
    command = [sys.executable, "-m", "llamafarm.cli", "serve", "--port", "0", "--strategy-file", file]
    started = time.perf_counter()
    log = (Path(folder) / "log").open("w+")
    process = subprocess.Popen(command, stderr=log, env={**os.environ, "LLAMAFARM_HOME": folder})
    try:
        while "llamafarm serves" not in (said := Path(log.name).read_text()):
            if process.poll() is not None:
                raise SystemExit(f"the gateway did not start: {said}")
            time.sleep(0.002)
        seconds = time.perf_counter() - started
        yield Process(process, int(said.split("127.0.0.1:")[1].split("/")[0]), seconds)
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def by_turns(direct_port, port, body, count):
    """Ask directly and through the gateway by turns, so that what else the machine does falls on both."""
    direct, through = [], []
    async with Client(direct_port) as vendor_client, Client(port) as client:
        for _ in range(20):
            await client.ask(body)
            await vendor_client.ask(body)
        for _ in range(count):
            direct.append(await vendor_client.ask(body))
            through.append(await client.ask(body))
    return direct, through


async def all_at_once(port, body, count):
    """Keep `AT_ONCE` connections busy; give requests a second."""

    async def work():
        async with Client(port) as client:
            for _ in range(count // AT_ONCE):
                await client.ask(body)

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return count / (time.perf_counter() - started)


def line(name, value, unit, more=""):
    print(f"{name:<58}{value:>10.1f} {unit}{more}", flush=True)


def main(plot=None):
    with vendor() as direct, tempfile.TemporaryDirectory() as folder:
        starts = []
        for _ in range(STARTS):
            with gateway(folder, direct) as process:
                starts.append(process.started_in * 1e3)
        line("start, until it listens (wall)", statistics.median(starts), "ms")
        with gateway(folder, direct) as process:
            _measure(direct, process, plot)


def _measure(direct, process, plot):
    line("memory, idle", process.memory(), "MB", "   goal 60 MB")
    before = process.cpu()
    plain = asyncio.run(by_turns(direct, process.port, PLAIN, ALONE))
    cpu = (process.cpu() - before) / (ALONE + 20) * 1e6
    ways = [[total * 1e6 for _, total in way] for way in plain]
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        apart = [quantile(way, share) for way in ways]
        line(f"added latency, one at a time, {name} (wall)", apart[1] - apart[0], "µs", f"   {apart[0]:.0f} directly")
    line("CPU a request, one at a time", cpu, "µs")
    before = process.cpu()
    rate = asyncio.run(all_at_once(process.port, PLAIN, MANY))
    busy = (process.cpu() - before) / MANY * 1e6
    line(f"CPU a request, {AT_ONCE} at a time", busy, "µs", "   goal 100 µs")
    line("requests a second, one process (wall)", rate, "/s")
    before = process.cpu()
    streams = asyncio.run(by_turns(direct, process.port, STREAMED, STREAMS))
    chunk = (process.cpu() - before) / ((STREAMS + 20) * upstream.CHUNKS) * 1e6
    firsts = [statistics.median(first * 1e6 for first, _ in way) for way in streams]
    line("added time to a stream's first event (wall)", firsts[1] - firsts[0], "µs", f"   {firsts[0]:.0f} directly")
    line(f"CPU a streamed chunk ({upstream.CHUNKS} a stream)", chunk, "µs", "   goal 20 µs")
    line("memory, after it all", process.memory(), "MB")
    if plot is not None:
        Path(plot).write_text(_plot(ways))


def _plot(ways):
    """Draw how long requests took, directly and through the gateway, as two curves of quantiles."""
    width, height, left, most = 640, 320, 60, quantile(ways[1], 0.995)

    def across(share):
        return round(left + share * (width - left - 10), 1)

    def up(microseconds):
        return round(height - 30 - microseconds / most * (height - 50), 1)

    drawn = []
    for way, colour in zip(ways, ("#888888", "#2b7a4b"), strict=True):
        points = " ".join(f"{across(at / 200)},{up(quantile(way, at / 200))}" for at in range(200))
        drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
    shares = (0.0, 0.25, 0.5, 0.75, 0.95)
    drawn += [f'<text x="{across(share)}" y="{height - 10}">p{share * 100:g}</text>' for share in shares]
    parts = (0, 0.5, 1)
    drawn += [f'<text x="4" y="{up(most * part)}">{most * part / 1000:.2f} ms</text>' for part in parts]
    drawn += [
        f'<text x="{left + 10}" y="30" fill="#2b7a4b">through the gateway</text>',
        f'<text x="{left + 10}" y="48" fill="#888888">directly</text>',
    ]
    size = f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12"'
    back = '<rect width="100%" height="100%" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{back}{"".join(drawn)}</svg>\n'


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "gateway.svg")
