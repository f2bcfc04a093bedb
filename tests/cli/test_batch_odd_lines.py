"""`batch` over lines that make no sense: each is recorded, and none ends the run."""

from __future__ import annotations

import json

import pytest

from llamafarm.cli.batch.items import Items
from llamafarm.cli.batch.lines import Line
from llamafarm.cli.batch.run import Run
from llamafarm.cli.settings import Settings
from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, reply
from tests.cli.asking import ask, chain, lines


def by_index(text):
    return {record["index"]: record for record in lines(text)}


async def test_a_line_that_makes_no_sense_does_not_end_the_run(tmp_path):
    odd = [
        {"prompt": "x", "max_tokens": "5000"},
        {"prompt": "x", "images": ["a\0b"]},
        {"prompt": "x", "images": ["/dev/zero"]},
        {"prompt": "x", "tags": {"a": 1}},
        {"prompt": "x", "metadata": 5},
        {"prompt": "x", "metadata": {"tags": 5}},
        {"messages": [5]},
        {"body": {"messages": [{"role": "user", "content": "x"}], "max_tokens": -1}},
        {"prompt": "x", "params": {"max_tokens": 0}},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(item) + "\n" for item in [*odd, {"prompt": "fine"}]))
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("batch", "in.jsonl", cwd=tmp_path)
    assert run.code == 1
    found = by_index(run.out)
    assert {found[index]["error"]["kind"] for index in range(len(odd))} == {"bad_call"}
    assert found[len(odd)]["text"] == "Yes."
    assert f"1 answered, {len(odd)} failed" in run.err
    assert len(server.requests) == 1


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [None], [{}], {"a": []}, True, 1e308, -1, 2**70, [[[]]]])
async def test_whatever_a_field_holds_every_line_is_recorded(tmp_path, value):
    fields = [
        "prompt", "system", "images", "model", "tags", "metadata", "user", "params", "temperature", "top_p",
        "max_tokens", "max_completion_tokens", "stop", "seed", "logprobs", "response_format", "tools", "tool_choice",
    ]  # fmt: skip
    given = [{"prompt": "x", field: value} for field in fields]
    given += [{"messages": value}, {"messages": [{"role": value, "content": "x"}]}]
    given += [{"messages": [{"role": "user", "content": value}]}, {"body": value}, {"body": {"messages": value}}]
    given += [{"url": value, "body": {"messages": [{"role": "user", "content": [{"type": value}]}], "n": value}}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(item) + "\n" for item in given))
    async with FakeServer(answer("Yes.")) as server:
        more = 'routing_rules: [{condition: \'urgent or request.metadata["a"] == "b"\', target: first}]'
        chain(tmp_path, more, first=server.base_url)
        run = await ask("batch", "in.jsonl", cwd=tmp_path)
    assert sorted(by_index(run.out)) == list(range(len(given))), run.err
    assert "internal error" not in run.out + run.err


async def test_an_unexpected_error_of_one_line_is_recorded_as_ours(tmp_path):
    class Broken:
        async def ask(self, call):
            raise TypeError("nobody thought of this")

    async def no_lines():
        return
        yield

    items = Items("in.jsonl", "jsonl", {}, None)
    run = Run(Settings(), Broken(), items, lines=no_lines(), name="in.jsonl", file=None)
    record = await run._answer(Line(3, 7, b'{"prompt": "x", "id": "a"}'))
    assert (record["index"], record["id"], record["attempts"]) == (3, "a", [])
    assert record["error"] == {
        "kind": "error",
        "message": "in.jsonl:7: internal error: TypeError: nobody thought of this",
    }


async def test_tags_in_a_lines_metadata_are_seen_by_the_rules(tmp_path):
    given = [
        {"prompt": "a", "metadata": {"tags": ["urgent"]}},
        {"prompt": "b", "params": {"metadata": {"tags": "x, urgent"}}},
        {"body": {"messages": [{"role": "user", "content": "c"}], "metadata": {"tags": "urgent"}}},
        {"prompt": "d", "metadata": {"team": "urgent"}},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(item) + "\n" for item in given))
    async with FakeServer(answer("Yes.")) as a, FakeServer(answer("Yes.")) as b:
        chain(tmp_path, "routing_rules: [{condition: urgent, target: second}]", first=a.base_url, second=b.base_url)
        run = await ask("batch", "in.jsonl", cwd=tmp_path)
    found = by_index(run.out)
    assert [found[index]["target"] for index in range(4)] == ["second", "second", "second", "first"]


async def test_what_would_be_answered_more_than_once_is_refused(tmp_path):
    given = [
        {"prompt": "x", "params": {"n": 2}},
        {"prompt": "x", "n": 3},
        {"prompt": "x", "params": {"best_of": 2}},
        {"body": {"messages": [{"role": "user", "content": "x"}], "n": 2}},
        {"url": "/v1/completions", "body": {"prompt": ["one", "two"]}},
        {"url": "/v1/completions", "body": {"prompt": [[1, 2], [3]]}},
        {"prompt": "x", "params": {"stream": True}},
        {"prompt": "x", "params": {"messages": []}},
    ]
    fine = [{"prompt": "x", "n": 1}, {"url": "/v1/completions", "body": {"prompt": [1, 2, 3]}}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(item) + "\n" for item in given + fine))
    async with FakeServer(answer("Yes.")) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("batch", "in.jsonl", cwd=tmp_path)
    found = by_index(run.out)
    assert [found[index]["error"]["kind"] for index in range(len(given))] == ["bad_call"] * len(given)
    assert [found[index]["text"] for index in range(len(given), len(found))] == ["Yes."] * len(fine)
    assert "`n` is 3, but a line has one answer" in found[1]["error"]["message"]
    assert "holds 2 prompts" in found[4]["error"]["message"]
    assert len(server.requests) == len(fine)


async def test_numbers_of_tokens_are_one_text_to_embed(tmp_path):
    async def vectors(request, writer):
        texts = request.json["input"]
        count = 1 if isinstance(texts[0], int) else len(texts)
        data = [{"object": "embedding", "index": at, "embedding": [at]} for at in range(count)]
        await reply(200, {"object": "list", "data": data, "usage": {"prompt_tokens": 3}})(request, writer)

    given = [{"url": "/v1/embeddings", "body": {"input": texts}} for texts in ([1, 2, 3], ["a", "b"], [[1], [2, 3]])]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(item) + "\n" for item in given))
    async with FakeServer(vectors) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("batch", "in.jsonl", cwd=tmp_path)
    found = by_index(run.out)
    assert run.code == 0, run.out
    assert [len(found[index]["vectors"]) for index in range(3)] == [1, 2, 2]
