"""`batch` beside other files, under another strategy, with odd numbers: nothing is lost, mixed up or left unsaid."""

from __future__ import annotations

import asyncio
import json

from llamafarm.cli.batch.items import Items
from llamafarm.cli.batch.lines import Line
from llamafarm.cli.batch.meter import Meter
from llamafarm.cli.batch.run import Run
from llamafarm.cli.settings import Settings
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, reply, silence
from tests.cli.asking import ask, chain, lines

TWO = """strategies:
  - name: {names[0]}
    description: For a test.
    components: {{a: {{type: openai_compatible, config: {{provider: custom, base_url: '{url}', default_model: a}}}}}}
  - name: {names[1]}
    description: For a test.
    components: {{b: {{type: openai_compatible, config: {{provider: custom, base_url: '{url}', default_model: b}}}}}}
"""


async def test_another_strategy_is_noticed_and_an_edited_one_goes_on(tmp_path):
    (tmp_path / "in.txt").write_text("one\ntwo\n")
    given = ("batch", "in.txt", "--out", "out.jsonl")
    async with FakeServer(answer("Yes.")) as server:
        for name in ("strategies.yaml", "other.yaml"):
            (tmp_path / name).write_text(TWO.format(names=("x", "z"), url=server.base_url))
        first = await ask(*given, "--strategy", "x", cwd=tmp_path)
        other = [
            await ask(*given, *more, cwd=tmp_path) for more in (("--strategy", "z"), ("--strategy-file", "other.yaml"))
        ]
        file = tmp_path / "strategies.yaml"
        file.write_text(file.read_text().replace("default_model: a", "default_model: a, timeout: 30"))
        same = await ask(*given, cwd=tmp_path)
        redone = await ask(*given, "--strategy", "z", "--redo-changed", cwd=tmp_path)
    assert (first.code, same.code) == (0, 0)
    for run in other:
        run.assert_one_clear_line(2)
        assert "in.txt:1: not the line" in run.err
    assert "0 answered, 0 failed (2 answered" in same.err
    assert redone.code == 0, redone.err
    assert {record["strategy"] for record in lines((tmp_path / "out.jsonl").read_text())} == {"z"}


async def test_no_file_of_the_users_is_taken_for_a_temporary_one(tmp_path):
    (tmp_path / "in.txt").write_text("one\ntwo\n")
    bystanders = {"out.jsonl.new": "mine", "out.jsonl.tmp": "mine too", ".out.jsonl": "and mine"}
    for name, content in bystanders.items():
        (tmp_path / name).write_text(content)
    async with FakeServer(answer("One."), reply(400, {"error": {"message": "odd"}}), answer("Two.")) as server:
        chain(tmp_path, first=server.base_url)
        given = ("batch", "in.txt", "--out", "out.jsonl", "--parallel", "1")
        assert (await ask(*given, cwd=tmp_path)).code == 1
        assert (await ask(*given, "--retry-failed", cwd=tmp_path)).code == 0
    assert {name: (tmp_path / name).read_text() for name in bystanders} == bystanders
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [*bystanders, "in.txt", "out.jsonl", "strategies.yaml"]
    )


async def test_what_failed_lines_may_have_cost_is_counted(tmp_path):
    (tmp_path / "in.txt").write_text("one\ntwo\n")
    async with FakeServer(silence()) as server:
        file = chain(tmp_path, first=server.base_url)
        priced = "max_retries: 0, timeout: 1, price: {input: 0, output: 1000}"
        file.write_text(file.read_text().replace("max_retries: 0", priced))
        run = await ask("batch", "in.txt", "--max-tokens", "1000", "--output", "json", "--out", "o", cwd=tmp_path)
    records = lines((tmp_path / "o").read_text())
    assert [(record["error"]["kind"], record["cost_usd"]) for record in records] == [("all_failed", 1.0)] * 2
    assert [record["attempts"][0]["outcome"] for record in records] == ["timeout"] * 2
    assert run.json["cost_usd"] == 2.0
    assert "2 failed; 0 + 0 tokens, $2," in run.err


async def test_what_a_failed_line_cost_may_be_unknown(tmp_path):
    (tmp_path / "in.txt").write_text("one\n")
    async with FakeServer(silence()) as server:
        file = chain(tmp_path, first=server.base_url)
        file.write_text(file.read_text().replace("max_retries: 0", "max_retries: 0, timeout: 1"))
        run = await ask("batch", "in.txt", cwd=tmp_path)
    assert json.loads(run.out)["cost_usd"] is None
    assert "$0 and 1 line of unknown cost" in run.err


async def test_there_are_never_more_workers_than_lines(tmp_path):
    async def given():
        for index in range(3):
            yield Line(index, index + 1, b"x")

    class Farm:
        most = 0

        async def ask(self, call):
            self.most = max(self.most, len(asyncio.all_tasks()))
            raise TypeError

    class Kept(list):
        add = list.append

    farm, kept, settings = Farm(), Kept(), Settings(quiet=True)
    run = Run(settings, farm, Items("in", "txt", {}, None), lines=given(), name="in", file=None)
    await run.carry_out(kept, Meter(settings, total=3, earlier=(0, 0), draws=False), 10**9)
    assert len(kept) == 3
    assert farm.most < 3 + 5


async def test_a_strategys_largest_numbers_are_fine(tmp_path):
    (tmp_path / "in.txt").write_text("one\ntwo\nthree\n")
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, "optimization: {batch_size: 1000, parallel_requests: 1000}", first=server.base_url)
        file = await ask("batch", "in.txt", cwd=tmp_path)
        pipe = await ask("batch", "-", "--format", "txt", cwd=tmp_path, stdin="one\ntwo\n")
        too_many = await ask("batch", "in.txt", "--parallel", "257", cwd=tmp_path)
    assert (file.code, pipe.code) == (0, 0), file.err + pipe.err
    too_many.assert_one_clear_line(2)
