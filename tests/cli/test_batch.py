"""`batch`: every line answered once, whatever stops the program in between."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import msgspec
import pytest

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, reply
from tests.cli.asking import ask, chain, lines, refused, start
from tests.cli.program import llamafarm


async def echo(request, writer):
    """Answer with the last message's text, shouted; refuse what says so."""
    text = request.json["messages"][-1]["content"]
    if text.startswith("bad"):
        await reply(400, {"error": {"message": "no such thing"}})(request, writer)
    else:
        await answer(text.upper())(request, writer)


def prompts(folder, count, name="prompts.txt"):
    (folder / name).write_text("".join(f"line {number}\n" for number in range(count)))
    return name


def by_index(text):
    found = {record["index"]: record for record in lines(text)}
    assert len(found) == len(lines(text)), "each line is there once"
    return found


async def test_each_prompt_of_a_text_file_has_its_line(tmp_path):
    (tmp_path / "prompts.txt").write_text("\ufeffone\n\n  two  \nthree")
    async with FakeServer(echo) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("batch", "prompts.txt", "--parallel", "2", cwd=tmp_path)
    assert run.code == 0, run.err
    found = by_index(run.out)
    assert {index: record["text"] for index, record in found.items()} == {0: "ONE", 1: "TWO", 2: "THREE"}
    assert {"hash", "target", "usage", "cost_usd", "attempts"} <= set(found[0])
    assert "3 answered, 0 failed; 27 + 6 tokens" in run.err


async def test_objects_say_how_they_are_to_be_asked(tmp_path):
    given = [
        {"id": "a", "prompt": "one", "temperature": 0.1, "params": {"top_k": 3}},
        {"id": 7, "messages": [{"role": "user", "content": "two"}], "system": "Be brief.", "model": "second"},
        {
            "custom_id": "c",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "first", "messages": [{"role": "user", "content": "three"}], "seed": 5},
        },
        {"prompt": "four", "tags": ["urgent"]},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(item) + "\n" for item in given))
    more = "routing_rules: [{condition: urgent, target: second}]"
    async with FakeServer(echo) as a, FakeServer(echo) as b:
        chain(tmp_path, more, first=a.base_url, second=b.base_url)
        run = await ask("batch", "in.jsonl", "--temperature", "0.9", cwd=tmp_path)
    found = by_index(run.out)
    assert [found[index].get("id") for index in range(4)] == ["a", 7, "c", None]
    assert [found[index]["target"] for index in range(4)] == ["first", "second", "first", "second"]
    first, third = (request.json for request in a.requests)
    assert (first["temperature"], first["top_k"]) == (0.1, 3)
    assert (third["temperature"], third["seed"]) == (0.9, 5)
    assert b.requests[0].json["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_a_failed_line_is_recorded_and_the_rest_goes_on(tmp_path):
    bad = [
        '{"prompt": "fine"}',
        "{not json",
        "[1]",
        '{"promt": "x"}',
        '{"prompt": "bad one"}',
        '{"prompt": ""}',
        '{"prompt": "x", "model": "nobody"}',
        '"\\ud800"',
        "\xff",
    ]
    (tmp_path / "in.jsonl").write_bytes("\n".join(bad).encode("latin-1"))
    async with FakeServer(echo) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("batch", "in.jsonl", "--out", "out.jsonl", cwd=tmp_path)
    assert run.code == 1
    assert run.out == ""
    found = by_index((tmp_path / "out.jsonl").read_text())
    messages = {index: record.get("error", {}).get("message", "") for index, record in found.items()}
    assert found[0]["text"] == "FINE"
    assert messages[1].startswith("in.jsonl:2: not JSON")
    assert messages[2].startswith("in.jsonl:3: expected an object")
    assert "did you mean `prompt`?" in messages[3]
    assert "no such thing" in messages[4]
    assert found[4]["attempts"][0]["outcome"] == "bad_request"
    assert "empty" in messages[5]
    assert "'nobody'" in messages[6]
    assert "not UTF-8" in messages[8]
    assert "1 answered, 8 failed" in run.err
    assert "--retry-failed" in run.err


async def test_a_second_run_asks_only_what_is_missing(tmp_path):
    prompts(tmp_path, 5)
    async with FakeServer(echo) as server:
        chain(tmp_path, first=server.base_url)
        await ask("batch", "prompts.txt", "--out", "out.jsonl", cwd=tmp_path)
        whole = (tmp_path / "out.jsonl").read_bytes()
        kept = whole.splitlines(keepends=True)
        (tmp_path / "out.jsonl").write_bytes(kept[0] + kept[1] + kept[2][:25])  # as a kill leaves it
        server.requests.clear()
        run = await ask("batch", "prompts.txt", "--out", "out.jsonl", cwd=tmp_path)
        again = await ask("batch", "prompts.txt", "--out", "out.jsonl", "--output", "json", cwd=tmp_path)
    assert run.code == 0, run.err
    assert "half-written" in run.err
    assert "3 answered, 0 failed (2 answered and 0 failed earlier)" in run.err
    assert sorted(request.json["messages"][0]["content"] for request in server.requests) == [
        "line 2",
        "line 3",
        "line 4",
    ]
    assert sorted(by_index((tmp_path / "out.jsonl").read_text())) == [0, 1, 2, 3, 4]
    assert (again.json["answered"], again.json["answered_earlier"], again.json["left"]) == (0, 5, 0)


async def test_failed_lines_are_asked_again_only_when_told(tmp_path):
    (tmp_path / "in.txt").write_text("one\nbad two\nthree\n")
    async with FakeServer(echo) as server:
        chain(tmp_path, first=server.base_url)
        await ask("batch", "in.txt", "--out", "out.jsonl", cwd=tmp_path)
        server.requests.clear()
        same = await ask("batch", "in.txt", "--out", "out.jsonl", cwd=tmp_path)
        assert server.requests == []
        server.script = [answer("Good now.")]
        retried = await ask("batch", "in.txt", "--out", "out.jsonl", "--retry-failed", cwd=tmp_path)
    assert same.code == 1
    assert retried.code == 0, retried.err
    found = by_index((tmp_path / "out.jsonl").read_text())
    assert found[1]["text"] == "Good now."
    assert len(server.requests) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.jsonl", "strategies.yaml"]


async def test_a_changed_input_is_refused_before_anything_is_sent(tmp_path):
    prompts(tmp_path, 3)
    async with FakeServer(echo) as server:
        chain(tmp_path, first=server.base_url)
        await ask("batch", "prompts.txt", "--out", "out.jsonl", cwd=tmp_path)
        before = (tmp_path / "out.jsonl").read_bytes()
        server.requests.clear()
        (tmp_path / "prompts.txt").write_text("line 0\nchanged\nline 2\nline 3\n")
        changed = await ask("batch", "prompts.txt", "--out", "out.jsonl", cwd=tmp_path)
        options = await ask("batch", "prompts.txt", "--out", "out.jsonl", "--seed", "1", cwd=tmp_path)
        assert (server.requests, (tmp_path / "out.jsonl").read_bytes()) == ([], before)
        redone = await ask("batch", "prompts.txt", "--out", "out.jsonl", "--redo-changed", cwd=tmp_path)
        (tmp_path / "prompts.txt").write_text("line 0\n")
        shorter = await ask("batch", "prompts.txt", "--out", "out.jsonl", cwd=tmp_path)
    changed.assert_one_clear_line(2)
    assert "prompts.txt:2" in changed.err
    options.assert_one_clear_line(2)
    assert "prompts.txt:1" in options.err
    assert redone.code == 0, redone.err
    assert [r["text"] for _, r in sorted(by_index((tmp_path / "out.jsonl").read_text()).items())] == [
        "LINE 0",
        "CHANGED",
        "LINE 2",
        "LINE 3",
    ]
    assert len(server.requests) == 2
    shorter.assert_one_clear_line(2)


async def test_killed_in_the_middle_no_answer_is_lost_and_none_is_there_twice(tmp_path):
    prompts(tmp_path, 12)
    gate = asyncio.Event()

    async def half_then_wait(request, writer):
        if len(server.requests) > 6:
            await gate.wait()
        await echo(request, writer)

    async with FakeServer(half_then_wait) as server:
        chain(tmp_path, first=server.base_url)
        process = await start("batch", "prompts.txt", "--out", "out.jsonl", "--parallel", "3", cwd=tmp_path)
        while len(server.requests) < 9:  # six answered, three wait  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        process.kill()
        await process.communicate()
        gate.set()
        answered = set(by_index((tmp_path / "out.jsonl").read_text()))
        asked_before = len(server.requests)
        run = await ask("batch", "prompts.txt", "--out", "out.jsonl", cwd=tmp_path)
    assert len(answered) == 6
    assert run.code == 0, run.err
    assert sorted(by_index((tmp_path / "out.jsonl").read_text())) == list(range(12))
    assert len(server.requests) - asked_before == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_lets_the_lines_in_flight_end(tmp_path, number):
    prompts(tmp_path, 10)
    gate = asyncio.Event()

    async def wait(request, writer):
        await gate.wait()
        await echo(request, writer)

    async with FakeServer(wait) as server:
        chain(tmp_path, first=server.base_url)
        process = await start("batch", "prompts.txt", "--out", "out.jsonl", "--parallel", "2", cwd=tmp_path)
        while len(server.requests) < 2:  # noqa: ASYNC110 - another process opens them
            await asyncio.sleep(0.01)
        process.send_signal(number)
        said = await asyncio.wait_for(process.stderr.readline(), 60)
        gate.set()
        _, rest = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 130
    assert b"stopping: 2 lines in flight" in said
    assert b"stopped before 8 lines could be asked: run the same command again" in rest
    assert sorted(by_index((tmp_path / "out.jsonl").read_text())) == [0, 1]


async def test_a_second_signal_drops_them(tmp_path):
    prompts(tmp_path, 4)
    gate = asyncio.Event()

    async def wait(request, writer):
        await gate.wait()
        await echo(request, writer)

    async with FakeServer(wait) as server:
        chain(tmp_path, first=server.base_url)
        process = await start("batch", "prompts.txt", "--out", "out.jsonl", cwd=tmp_path)
        while not server.requests:  # noqa: ASYNC110 - another process opens them
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.stderr.readline(), 60)
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), 60)
        gate.set()
    assert process.returncode == 130
    assert (tmp_path / "out.jsonl").read_text() == ""


async def test_a_pipe_is_answered_as_it_comes(tmp_path):
    async with FakeServer(echo) as server:
        chain(tmp_path, first=server.base_url)
        process = await start("batch", "-", "--format", "txt", cwd=tmp_path, stdin=asyncio.subprocess.PIPE)
        process.stdin.write(b"one\n")
        first = msgspec.json.decode(await asyncio.wait_for(process.stdout.readline(), 60))
        rest, _ = await asyncio.wait_for(process.communicate(b"two\n"), 60)
    assert (first["text"], lines(rest.decode())[0]["text"]) == ("ONE", "TWO")
    assert process.returncode == 0


@pytest.mark.key("strategies[].optimization.batch_size")
@pytest.mark.parametrize(
    ("more", "together"),
    [("", 1), ("optimization: {batch_size: 3}", 3), ("optimization: {batch_size: 5, parallel_requests: 2}", 2)],
)
async def test_batch_size_lines_are_asked_at_a_time(tmp_path, more, together):
    prompts(tmp_path, 6)
    now = most = 0

    async def count(request, writer):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        await echo(request, writer)

    async with FakeServer(count) as server:
        chain(tmp_path, more, first=server.base_url)
        run = await ask("batch", "prompts.txt", cwd=tmp_path)
    assert run.code == 0, run.err
    assert most == together


async def test_embeddings_in_the_batch_format_become_vectors(tmp_path):
    line = {"custom_id": "e", "url": "/v1/embeddings", "body": {"input": "hello"}}
    (tmp_path / "in.jsonl").write_text(json.dumps(line))
    async with FakeServer(answer()) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("batch", "in.jsonl", cwd=tmp_path)
    assert run.code == 0, run.out
    assert lines(run.out)[0]["vectors"] == [[0.6, 0.8]]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("none.txt",), 2, "none.txt"),
        (("folder",), 2, "folder"),
        (("-",), 2, "--format"),
        (("prompts.txt", "--out", "prompts.txt"), 2, "is the INPUT"),
        (("prompts.txt", "--out", "notes.txt"), 2, "notes.txt:1: not an answer"),
        (("prompts.txt", "--out", "tail.txt"), 2, "tail.txt:1: not an answer"),
        (("prompts.txt", "--out", "folder"), 4, "folder"),
        (("prompts.txt", "--out", "none/out.jsonl"), 4, "No such file"),
        (("prompts.txt", "--parallel", "0"), 2, "--parallel"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, arguments, code, word):
    chain(tmp_path, first=refused())
    (tmp_path / "folder").mkdir()
    prompts(tmp_path, 2)
    (tmp_path / "notes.txt").write_text("my notes\nmore\n")
    (tmp_path / "tail.txt").write_text("my notes, without a newline")
    run = llamafarm("batch", *arguments, cwd=tmp_path)
    run.assert_one_clear_line(code)
    assert word in run.err
    assert (tmp_path / "notes.txt").read_text() == "my notes\nmore\n"
    assert (tmp_path / "tail.txt").read_text() == "my notes, without a newline"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
async def test_a_full_disk_is_one_clear_line(tmp_path):
    prompts(tmp_path, 3)
    async with FakeServer(echo) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("batch", "prompts.txt", "--out", "/dev/full", cwd=tmp_path)
    run.assert_one_clear_line(4)
    assert "No space left on device" in run.err


@pytest.mark.skipif(sys.platform == "win32", reason="locks of another kind")
async def test_two_batches_do_not_write_one_file(tmp_path):
    prompts(tmp_path, 3)
    gate = asyncio.Event()

    async def wait(request, writer):
        await gate.wait()
        await echo(request, writer)

    async with FakeServer(wait) as server:
        chain(tmp_path, first=server.base_url)
        process = await start("batch", "prompts.txt", "--out", "out.jsonl", cwd=tmp_path)
        while not server.requests:  # noqa: ASYNC110 - another process opens them
            await asyncio.sleep(0.01)
        second = await ask("batch", "prompts.txt", "--out", "out.jsonl", cwd=tmp_path)
        gate.set()
        await asyncio.wait_for(process.communicate(), 60)
    second.assert_one_clear_line(2)
    assert "another `llamafarm batch`" in second.err
    assert process.returncode == 0


def test_a_long_input_is_not_held_in_memory(tmp_path):
    """A child that may use little memory goes through an input that is larger than it."""
    import subprocess

    with (tmp_path / "in.txt").open("w") as file:
        for number in range(60_000):
            file.write(f"{number} {'x' * 5_000}\n")
    code = (
        "import resource, sys\n"
        "from llamafarm.cli.batch.lines import Input\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with Input('in.txt') as source: total = sum(len(line.content) for line in source.read())\n"
        "print(total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    total, grown = map(int, run.stdout.split())
    assert total > 300_000_000
    assert grown < 50_000, "kilobytes"
