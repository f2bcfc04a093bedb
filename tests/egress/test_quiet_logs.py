"""What upstreams say may quote the prompt: nothing of it is in any log line, whatever its level, in any mode."""

import asyncio
import json
import logging

import msgspec
import pytest

from llamafarm import spec
from llamafarm.errors import LlamaFarmError
from llamafarm.farm import Farm
from llamafarm.telemetry import LogSink
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import events, raw, reply
from tests.cli.asking import ask, chain

CANARY = "zebra-crossing-4711"
ERRORS = {status: reply(status, {"error": {"message": f"I can't do: {CANARY}", "code": CANARY}}) for status in
          (301, 400, 401, 403, 404, 413, 422, 429, 500, 503)}  # fmt: skip
CHUNK = {"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": CANARY}}]}
SAID = {
    **{f"status-{status}": behave for status, behave in ERRORS.items()},
    "not-json": reply(200, f"{{{CANARY}"),
    "not-http": raw(f"{CANARY}\r\n\r\n".encode()),
    "html": reply(502, f"<html><title>{CANARY}</title>", {"content-type": "text/html"}),
    "wrong-shape": reply(200, {"choices": CANARY, "object": CANARY}),
    "wrong-role": reply(
        200, {"choices": [{"message": {"role": CANARY, "content": [CANARY]}, "finish_reason": [CANARY]}]}
    ),
    "error-inside": reply(200, {"error": {"message": CANARY, "type": CANARY}}),
    "malformed-event": events(CHUNK, f"{{{CANARY}", {"choices": [{"delta": {"content": {CANARY: 1}}}]}),
    "error-event": events(CHUNK, {"error": {"message": CANARY, "code": CANARY}}),
    "cut": events(CHUNK, done=False),
    "odd-finish": events({**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": CANARY}]}),
}


def strategy(mode, url):
    return spec.load_text(
        "strategies:\n  - name: s\n    description: d\n    components:\n"
        f"      only: {{type: openai_compatible, config: {{provider: custom, base_url: '{url}', default_model: m, max_retries: 1, retry_delay: 0}}}}\n"
        f"    constraints: {{privacy_mode: {mode}}}\n",
        env={},
    ).file.strategies[0]


async def every_way(farm):
    async def stream():
        async for _ in farm.stream(CANARY):
            pass

    ways = [lambda: farm.generate(CANARY), stream, lambda: farm.complete(CANARY), lambda: farm.embed([CANARY])]
    ways.append(lambda: farm.check(farm.routing.targets[0]))
    for way in ways * 3:  # often enough for the target to be left out, which is logged
        try:
            await way()
        except LlamaFarmError:
            continue


@pytest.mark.parametrize(
    ("mode", "name"), [*(("local_only", name) for name in SAID), ("private", "status-401"), ("public", "status-401")]
)
async def test_no_log_line_quotes_an_upstream(mode, name, caplog):
    asyncio.get_running_loop().set_debug(True)
    async with FakeServer(SAID[name]) as server:
        with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "llamafarm"):
            async with Farm(strategy(mode, server.base_url), environment={}, sinks=[LogSink()]) as farm:
                await every_way(farm)
    ours = [record for record in caplog.records if record.name.startswith("llamafarm")]
    assert ours
    assert not [record for record in caplog.records if CANARY in caplog.handler.format(record) + repr(vars(record))]


@pytest.mark.parametrize(("mode", "name"), [("local_only", "status-401"), ("private", "error-event")])
async def test_the_programs_log_quotes_nothing_either(tmp_path, mode, name):
    more = f"constraints: {{privacy_mode: {mode}}}\nmonitoring: {{log_level: DEBUG, log_format: json}}"
    async with FakeServer(SAID[name]) as server:
        chain(tmp_path, more, first=server.base_url)
        run = await ask("generate", "-v", CANARY, cwd=tmp_path)
    lines = [line for line in run.err.splitlines() if line.startswith("{")]
    assert [json.loads(line) for line in lines]
    assert CANARY not in "".join(lines)


@pytest.mark.parametrize("mode", ["local_only", "private"])
async def test_nothing_of_a_call_is_kept_on_disk(tmp_path, mode):
    async def echo(request, writer):
        await reply(200, {"choices": [{"message": {"content": CANARY}, "finish_reason": "stop"}]})(request, writer)

    (tmp_path / "work").mkdir()
    async with FakeServer(echo) as server:
        file = chain(tmp_path / "work", f"constraints: {{privacy_mode: {mode}}}", first=server.base_url)
        for arguments, stdin in (
            (["generate", "--output", "json", CANARY], None),
            (["chat", "--output", "json"], f"{CANARY}\n"),
        ):
            run = await ask(*arguments, cwd=tmp_path / "work", stdin=stdin, LLAMAFARM_HOME=str(tmp_path / "home"))
            assert CANARY in run.out
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path != file]
    assert not [path for path in kept if CANARY.encode() in path.read_bytes()]
    assert msgspec.json.decode(server.requests[0].body)["messages"]
