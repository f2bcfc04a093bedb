"""schemathesis reads the gateway's document and tries everything it allows, and what it does not."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from llamafarm.server.openapi import document
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, reply
from tests.doubles.conftest import installed
from tests.doubles.gateways import gateway, strategy_over

pytestmark = pytest.mark.doubles

FEW = 10
EXAMPLES = int(os.environ.get("LLAMAFARM_EXAMPLES", str(FEW)))
"""Cases of each phase and URL. What is not allowed is tried by rule; beyond `FEW` also at random."""
SEED = os.environ.get("LLAMAFARM_SEED", "1")
SECONDS = 60 + 6 * EXAMPLES
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,allow_header_conformance,missing_required_header,events_conform"
)
HERE = str(Path(__file__).parent)
PICTURE = {"created": 1, "data": [{"b64_json": "iVBORw0KGgo="}]}


async def vendor(request, writer):
    """Answer whatever is asked: what is asked wrongly has to be refused before."""
    if request.path.endswith("/images/generations"):
        await reply(200, PICTURE)(request, writer)
    else:
        await answer("Hello there")(request, writer)


def prepared(names, *, loose=False, closed=False):
    """Give the document with models there are; `loose`: without what is the target's business; `closed`: with keys."""
    made = json.loads(document())
    if not loose:
        made = _narrowed(made)
    else:
        made = _loosened(made)
        listing = made["paths"]["/v1/models"]["get"]
        # Only Anthropic's shape has a limit, and looks at it.
        listing["parameters"] = [one for one in listing["parameters"] if one["name"] != "limit"]
    for name, shape in made["components"]["schemas"].items():
        if name.endswith("Request"):
            left_out = [] if "model" in shape["required"] else [None]
            shape["properties"]["model"] = {"enum": [*names, *left_out]}
    for methods in made["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if parameter["name"] == "name":
                    parameter["schema"] = {"type": "string", "enum": names}
            if closed and operation["security"]:
                operation["security"] = operation["security"][:2]
    return made


def _narrowed(shape):
    """Leave out what only a target of Anthropic's takes."""
    if isinstance(shape, list):
        return [_narrowed(each) for each in shape if not isinstance(each, dict) or "x-llamafarm-only" not in each]
    return {key: _narrowed(each) for key, each in shape.items()} if isinstance(shape, dict) else shape


def _loosened(shape):
    if isinstance(shape, list):
        return [_loosened(each) for each in shape]
    if not isinstance(shape, dict):
        return shape
    return {} if shape.get("x-llamafarm-judge") == "target" else {key: _loosened(each) for key, each in shape.items()}


async def tried(folder, url, made, *options):
    """Run schemathesis; give whether all was well, and what it says."""
    file = folder / "openapi.json"
    file.write_text(json.dumps(made))
    process = await asyncio.create_subprocess_exec(
        installed("venv", "bin", "st"), "run", str(file), "--url", url, "--max-examples", str(EXAMPLES),
        "--seed", SEED, "--continue-on-failure", "--no-color", "--suppress-health-check", "all", "--warnings", "off",
        *options,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        cwd=folder, env={"PATH": os.environ["PATH"], "HOME": str(folder), "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": HERE},
    )  # fmt: skip
    try:
        said, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    failures = [line for line in (folder / "gateway.log").read_text().splitlines() if " failed" in line]
    return process.returncode == 0, "\n".join([said.decode(), *failures])


@pytest.fixture
async def asked(tmp_path):
    """A gateway over a vendor that answers everything, and one over a vendor of Anthropic's format."""
    async with FakeServer(vendor) as server:
        own = strategy_over(
            "s",
            "custom",
            server.base_url,
            model="m",
            supports="vision, tools, json, audio, image, embedding, reasoning, prefill, fim",
        )
        async with gateway(tmp_path, own) as url:
            yield url


async def test_what_the_document_allows_is_answered_as_it_says(asked, tmp_path):
    well, said = await tried(
        tmp_path, asked, prepared(["s", "t-s", "m"]), "--mode", "positive", "--phases", "examples,fuzzing",
        "--checks", CHECKS + ",positive_data_acceptance",
    )  # fmt: skip
    assert well, said


async def test_what_it_does_not_allow_is_refused_as_it_says(asked, tmp_path):
    well, said = await tried(
        tmp_path, asked, prepared(["s", "t-s", "m"], loose=True), "--mode", "negative",
        "--phases", "coverage,fuzzing" if EXAMPLES > FEW else "coverage", "--checks", CHECKS + ",negative_data_rejection",
    )  # fmt: skip
    assert well, said


async def test_where_there_are_keys_nobody_gets_in_without_one(tmp_path):
    async with FakeServer(vendor) as server:
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "llamafarm.cli", "keys", "create", "tester", "--admin", "--file",
            tmp_path / "keys.json", cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        key = (await made.communicate())[0].decode().split()[-1]
        async with gateway(tmp_path, strategy_over("s", "custom", server.base_url, model="m")) as url:
            well, said = await tried(
                tmp_path, url, prepared(["s"], closed=True), "--mode", "positive", "--phases", "examples",
                "--checks", CHECKS + ",ignored_auth", "--header", f"Authorization: Bearer {key}",
            )  # fmt: skip
    assert well, said
