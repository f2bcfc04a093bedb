"""The example of a provider package: installed, it is a provider like any other, by name in a strategy file."""

import asyncio
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import events, reply

PACKAGE = Path(__file__).parent.parent / "examples" / "provider-package"
MOST_LINES = 50

STRATEGIES = """
strategies:
  - name: talk
    description: Over Parley
    components:
      cloud_api:
        type: openai_compatible
        config: {provider: parley, %sdefault_model: bold, api_key: k, seed: 7, max_retries: 0}
"""
PROGRAM = """
import asyncio, sys
from llamafarm import Farm

async def main():
    async with Farm.load(sys.argv[1]) as farm:
        plain = await farm.generate("Hello?", max_tokens=5)
        pieces = [chunk.text async for chunk in farm.stream("Hello?")]
        print(plain.text, pieces, plain.usage.output_tokens, plain.attempts[0].notes, sep="|")

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder the package is installed in, alone; how to run Python with it."""
    folder = tmp_path_factory.mktemp("site")
    offline = ["--no-deps", "--no-index", "--disable-pip-version-check", "--no-build-isolation"]
    if _has("hatchling"):
        command = [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", str(folder), str(PACKAGE)]
        subprocess.run(command, check=True, timeout=120)
    else:  # nothing here can build it: what an installer would have written
        module = PACKAGE / "llamafarm_parley.py"
        (folder / module.name).write_bytes(module.read_bytes())
        about = folder / "llamafarm_parley-1.0.0.dist-info"
        about.mkdir()
        about.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: llamafarm-parley\nVersion: 1.0.0\n")
        named = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["entry-points"]
        lines = [
            line for group, names in named.items() for line in (f"[{group}]", *(f"{n}={v}" for n, v in names.items()))
        ]
        about.joinpath("entry_points.txt").write_text("\n".join(lines))
    return folder


def _has(name):
    return (
        subprocess.run([sys.executable, "-c", f"import {name}, pip"], check=False, capture_output=True).returncode == 0
    )


def run(installed, *arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(installed), "LLAMAFARM_HOME": str(cwd / "home")}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def test_it_is_small():
    lines = (PACKAGE / "llamafarm_parley.py").read_text().splitlines()
    assert len(lines) < MOST_LINES


def test_it_passes_the_conformance_check_wherever_it_is_copied(installed, tmp_path):
    copied = shutil.copytree(PACKAGE, tmp_path / "copied")
    done = run(installed, "-m", "pytest", "-q", "tests", cwd=copied)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


async def test_a_strategy_names_it(installed, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    live = events({"says": "Well"}, {"says": " met."}, {"why": "done", "spent": [9, 2]}, done=False)
    async with FakeServer(reply(200, {"says": "Well met.", "why": "done", "spent": [9, 2]}), live) as server:
        file = tmp_path / "strategies.yaml"
        file.write_text(STRATEGIES % f'base_url: "{server.base_url}", ')
        done = await asyncio.to_thread(run, installed, "program.py", file, cwd=tmp_path)
        plain, streamed = (request.json for request in server.requests)
    assert done.returncode == 0, done.stderr
    note = "seed left out: Parley has no such thing"
    assert done.stdout.strip() == f"Well met.|['Well', ' met.', '']|2|('{note}',)"
    assert plain == {"voice": "bold", "lines": [{"by": "user", "says": "Hello?"}], "live": False, "most": 5}
    assert streamed["live"] is True
    assert server.requests[0].headers["authorization"] == "Bearer k"


def test_without_an_address_it_says_what_to_give(installed, tmp_path):
    file = tmp_path / "strategies.yaml"
    file.write_text(STRATEGIES % "")
    done = run(installed, "-m", "llamafarm.cli", "validate-config", file, cwd=tmp_path)
    assert done.returncode != 0
    assert "parley has no common address: give base_url" in done.stdout + done.stderr


def test_an_unknown_name_lists_it(installed, tmp_path):
    file = tmp_path / "strategies.yaml"
    file.write_text(STRATEGIES.replace("parley", "xyzzy") % "")
    done = run(installed, "-m", "llamafarm.cli", "validate-config", file, cwd=tmp_path)
    assert done.returncode != 0
    assert "parley" in done.stdout + done.stderr
    assert "did you mean parley" in run(
        installed, "-m", "llamafarm.cli", "validate-config", _slip(file), cwd=tmp_path
    ).stdout.replace("\n", " ")


def _slip(file):
    file.write_text(STRATEGIES.replace("parley", "parly") % "")
    return file


def test_here_it_is_not_installed():
    assert "parley" not in entry_points(group="llamafarm.providers").names
