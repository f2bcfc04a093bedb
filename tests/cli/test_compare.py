"""`compare`: the same prompt to several targets, side by side."""

from __future__ import annotations

import asyncio

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, reply
from tests.cli.asking import ask, chain, refused
from tests.cli.program import llamafarm


async def test_every_eligible_target_is_asked_alone_and_a_failing_one_is_a_row(tmp_path):
    async with FakeServer(answer("Paris.")) as a, FakeServer(reply(500, {"error": {"message": "down"}})) as b:
        chain(tmp_path, good=a.base_url, broken=b.base_url)
        run = await ask("compare", "Capital?", "--output", "json", cwd=tmp_path)
    assert run.code == 0, run.err
    good, broken = run.json
    assert (good["target"], good["text"], good["usage"]) == ("good", "Paris.", {"input_tokens": 9, "output_tokens": 2})
    assert good["first_token_ms"] > 0
    assert good["ms"] >= good["first_token_ms"]
    assert (broken["target"], broken["error"]["kind"]) == ("broken", "all_failed")
    assert "down" in broken["error"]["message"]
    assert len(a.requests) == 1, "the failing target did not fall back to the other one"


async def test_the_text_is_a_table(tmp_path):
    async with FakeServer(answer("Paris it is.\nTruly.")) as server:
        chain(tmp_path, good=server.base_url, dead=refused())
        run = await ask("compare", "Capital?", cwd=tmp_path)
    rows = run.out.splitlines()
    assert rows[0].split("  ")[0] == "target"
    column = rows[0].index("answer")
    assert rows[1][column:] == "Paris it is."
    assert rows[2] == " " * column + "Truly."
    assert rows[3].startswith("dead")
    assert rows[3][column:].startswith("failed: ")


async def test_all_are_asked_at_the_same_time(tmp_path):
    both = asyncio.Barrier(2)

    async def together(request, writer):
        await asyncio.wait_for(both.wait(), 30)
        await answer("Yes.")(request, writer)

    async with FakeServer(together) as a, FakeServer(together) as b:
        chain(tmp_path, first=a.base_url, second=b.base_url)
        run = await ask("compare", "Hi", "--output", "json", cwd=tmp_path)
    assert [row["text"] for row in run.json] == ["Yes.", "Yes."]


async def test_targets_can_be_named(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, first=server.base_url, second=server.base_url, third=server.base_url)
        run = await ask(
            "compare", "Hi", "--target", "third", "--target", "first-model", "--output", "json", cwd=tmp_path
        )
    assert [row["target"] for row in run.json] == ["third", "first"]


async def test_a_rule_for_a_local_target_keeps_the_prompt_there(tmp_path):
    more = "routing_rules: [{condition: private, target: here}]"
    async with FakeServer(answer("Yes.")) as server:
        file = chain(tmp_path, more, away=server.base_url)
        here = "here: {type: llamacpp, config: {engine: embedded, default_model: ./none.gguf}}"
        text = file.read_text().replace("      away:", f"      {here}\n      away:")
        file.write_text(text.replace("[away]", "[away, here]"))
        private = await ask("compare", "Hi", "--tag", "private", "--output", "json", cwd=tmp_path)
        public = await ask("compare", "Hi", "--output", "json", cwd=tmp_path)
    assert [row["target"] for row in private.json] == ["here"]
    assert {row["target"] for row in public.json} == {"away", "here"}
    assert len(server.requests) == 1


def test_when_none_answers_it_fails(tmp_path):
    chain(tmp_path, one=refused(), two=refused())
    run = llamafarm("compare", "Hi", "--output", "json", cwd=tmp_path)
    assert run.code == 1
    assert [row["error"]["kind"] for row in run.json] == ["all_failed"] * 2


def test_an_unknown_target_is_one_clear_line(tmp_path):
    chain(tmp_path, one=refused())
    run = llamafarm("compare", "Hi", "--target", "nobody", cwd=tmp_path)
    run.assert_one_clear_line(3)
    assert "it has: one, one-model" in run.err


async def test_a_named_target_does_not_get_past_a_rule_for_a_local_one(tmp_path):
    more = "routing_rules: [{condition: private, target: here}, {condition: mine, target: gone}]"
    async with FakeServer(answer("Yes.")) as server:
        file = chain(tmp_path, more, away=server.base_url)
        here = "here: {type: llamacpp, config: {engine: embedded, default_model: ./none.gguf}}"
        gone = "gone: {type: llamacpp, config: {engine: embedded, default_model: ./gone.gguf, context_window: 1}}"
        text = file.read_text().replace("      away:", f"      {here}\n      {gone}\n      away:")
        file.write_text(text.replace("[away]", "[away, here]"))
        refused_names = [
            await ask("compare", "Hi", *names, "--tag", "private", cwd=tmp_path)
            for names in (("--target", "away"), ("--model", "away-model"), ("--target", "here", "--target", "away"))
        ]
        left = await ask("compare", "Hi", "--target", "here", "--tag", "private", "--output", "json", cwd=tmp_path)
        nowhere = await ask("compare", "Hi " * 9, "--target", "away", "--tag", "mine", cwd=tmp_path)
        free = await ask("compare", "Hi", "--target", "away", "--output", "json", cwd=tmp_path)
    for run in refused_names:
        run.assert_one_clear_line(3)
        assert "the rule 'private' sends this prompt to here" in run.err
    nowhere.assert_one_clear_line(3)
    assert [row["target"] for row in left.json] == ["here"]
    assert [row["text"] for row in free.json] == ["Yes."]
    assert len(server.requests) == 1
