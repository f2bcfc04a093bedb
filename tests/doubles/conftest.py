"""Starts servers nobody here wrote, each a process of its own on a loopback port. `.ci/doubles.sh` fetches them."""

import asyncio
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

FOLDER = Path(os.environ.get("LLAMAFARM_DOUBLES") or Path(__file__).parents[2] / ".venv-doubles")
SECONDS = 60


class Double:
    """A server that runs."""

    def __init__(self, port):
        self.root = f"http://127.0.0.1:{port}"

    def call(self, method, path, body=None):
        """Ask its control API."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.root + path, data, {"content-type": "application/json"}, method=method)
        with urlopen(request, timeout=SECONDS) as response:
            return json.loads(response.read())


def installed(*parts):
    """Give the path of a program, or skip the test that needs it."""
    program = FOLDER.joinpath(*parts)
    if not program.exists():
        pytest.skip(f"{program} is not there: run .ci/doubles.sh, or say in LLAMAFARM_DOUBLES where it put them")
    return program


def packaged(name):
    """Give the interpreter that has a package, or skip the test that needs it."""
    python = installed("venv", "bin", "python")
    if not list(FOLDER.glob(f"venv/lib/python3*/site-packages/{name}/__init__.py")):
        pytest.skip(f"the package {name} is not in {FOLDER}: run .ci/doubles.sh again")
    return python


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def running(tmp_path_factory, name, port, *command):
    """Start a program, wait until it accepts connections, and end it after the tests."""
    folder = tmp_path_factory.mktemp(name)
    log = folder / "log"
    environment = {**os.environ, "HOME": str(folder), "NO_COLOR": "1"}
    with log.open("wb") as file:
        process = subprocess.Popen(list(map(str, command)), stdout=file, stderr=file, cwd=folder, env=environment)
    try:
        due = time.monotonic() + SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > due:
                    pytest.fail(f"{name} did not start: {log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.05)
        yield Double(port)
    finally:
        process.terminate()
        process.wait(SECONDS)


@pytest.fixture(scope="session")
def llmock_process(tmp_path_factory):
    program, port = installed("venv", "bin", "llmock"), free_port()
    yield from running(
        tmp_path_factory, "llmock", port, program, "serve", "--host", "127.0.0.1", "--port", port,
        "--response-style", "hello", "--log-level", "warning",
    )  # fmt: skip


@pytest.fixture
def llmock(llmock_process):
    """The server, with nothing queued and nothing remembered."""
    llmock_process.call("POST", "/_llmock/reset")
    return llmock_process


@pytest.fixture(scope="session")
def katan(tmp_path_factory):
    program, port = installed("venv", "bin", "llm-katan"), free_port()
    yield from running(
        tmp_path_factory, "katan", port, program, "--model", "tiny", "--backend", "echo", "--host", "127.0.0.1",
        "--port", port, "--validate-keys", "--api-keys", "openai=right,anthropic=right", "--providers", "openai,anthropic",
    )  # fmt: skip


@pytest.fixture(scope="session")
def aimock(tmp_path_factory):
    program, port = installed("node", "node_modules", ".bin", "llmock"), free_port()
    fixtures = Path(__file__).with_name("aimock.json")
    yield from running(
        tmp_path_factory, "aimock", port, program, "--port", port, "--host", "127.0.0.1", "--fixtures", fixtures,
        "--chunk-size", "5", "--strict", "--log-level", "warn",
    )  # fmt: skip


@pytest.fixture
def judge():
    """Give a vendor's own package something to judge: a script of this folder, run where that package is installed.

    Gives what it says of each thing handed in, in order: a list of complaints, empty where it has none.
    """

    async def ask(script, things):
        python = packaged(script.partition("_")[0])
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            python, "-I", Path(__file__).with_name(script), stdin=pipe, stdout=pipe, stderr=pipe
        )
        said, complaint = await asyncio.wait_for(process.communicate(json.dumps(things).encode()), SECONDS)
        assert process.returncode == 0, complaint.decode()[-2000:]
        verdicts = json.loads(said)
        assert len(verdicts) == len(things)
        return verdicts

    return ask
