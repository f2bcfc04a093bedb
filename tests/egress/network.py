"""Two machines in network namespaces, a wire between them, and a count of what goes over it.

The namespaces have no name: they end with the two processes that hold them, and those end with their standard input, so
nothing is left behind, however a test run ends.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.cli.program import Run

ROOT = Path(__file__).parents[2]
SECONDS = 120


def why_not():
    """Say why namespaces cannot be made here; None where they can."""
    missing = [tool for tool in ("ip", "unshare", "nsenter", "mount") if shutil.which(tool) is None]
    if sys.platform != "linux" or missing:
        return f"needs Linux with iproute2 and util-linux (missing: {', '.join(missing) or 'Linux'})"
    tried = subprocess.run(
        [
            "unshare",
            "-n",
            "-m",
            "sh",
            "-c",
            "ip link add e0 type veth peer name e1 && mount --bind /etc/hosts /etc/hosts",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else f"needs root and network namespaces: {tried.stderr.strip()}"


class Network:
    """The two machines, while they are up."""

    def __init__(self, inside, outside, servers):
        self.processes = (inside, outside)
        """They hold the namespaces."""
        self._inside = inside
        self._outside = outside
        self._marks = itertools.count()
        self.servers = servers
        """Base URLs of the servers on this machine's loopback addresses, and the ``port`` of the good one."""

    def run(self, *command, cwd, stdin=None, **environment):
        """Run a program of the virtual environment on this machine, with nothing of the caller's environment."""
        clean = {"PATH": os.environ["PATH"], "HOME": str(cwd), "LLAMAFARM_HOME": str(cwd / "home"), **environment}
        done = subprocess.run(
            [
                "nsenter",
                "-t",
                str(self._inside.pid),
                "-n",
                "-m",
                "--wd=" + str(cwd),
                sys.executable,
                *map(str, command),
            ],
            env={**clean, "PYTHONPATH": str(ROOT)},
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def frames(self):
        """Give what has gone over the wire since the last time, by the marks that were sent in between.

        The mark that is sent now proves each time that the wire works and is listened to.
        """
        last = f"end-{next(self._marks)}"
        self._say(self._inside, f"mark {last}")
        groups = json.loads(self._say(self._outside, f"frames {last}"))
        groups[""] = groups.pop(last)
        return groups

    def loopback(self, state):
        """Put the loopback interface up, or down and without an address, as it is in a new network namespace."""
        self._say(self._inside, f"lo {state}")

    @staticmethod
    def _say(process, line):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return process.stdout.readline()


@contextmanager
def two_machines(folder):
    """Bring both up; at the end they are gone."""
    with ExitStack() as stack:
        outside = stack.enter_context(_held("unshare", "-n", sys.executable, "-m", "tests.egress.outside"))
        assert outside.stdout.readline() == "ready\n"
        inside = stack.enter_context(
            _held("unshare", "-n", "-m", sys.executable, "-m", "tests.egress.inside", str(outside.pid), str(folder))
        )
        servers = json.loads(inside.stdout.readline())
        assert Network._say(outside, "start") == "started\n"
        network = Network(inside, outside, servers)
        network.frames()
        yield network


@contextmanager
def _held(*command):
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
