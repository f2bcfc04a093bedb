"""`embed`: a vector for each text, in order."""

from __future__ import annotations

import sys

import pytest

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import reply
from tests.cli.asking import ask, chain, lines, refused
from tests.cli.program import llamafarm


async def vectors(request, writer):
    """Answer with a vector for each text: its length, and its place in the request."""
    texts = request.json["input"]
    data = [{"object": "embedding", "index": at, "embedding": [len(text), at]} for at, text in enumerate(texts)]
    body = {
        "object": "list",
        "data": data[::-1],
        "model": "m",
        "usage": {"prompt_tokens": len(texts), "total_tokens": len(texts)},
    }
    await reply(200, body)(request, writer)


async def test_prints_an_array_a_line_in_order(tmp_path):
    async with FakeServer(vectors) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("embed", "one", "three", "x", cwd=tmp_path)
    assert (run.code, run.err) == (0, "")
    assert lines(run.out) == [[3, 0], [5, 1], [1, 2]]
    assert server.requests[0].path == "/v1/embeddings"


async def test_json_has_vectors_and_who_made_them(tmp_path):
    async with FakeServer(vectors) as server:
        chain(tmp_path, dead=refused(), good=server.base_url)
        run = await ask("embed", "one", "--dimensions", "2", "--output", "json", cwd=tmp_path)
    shown = run.json
    assert shown["vectors"] == [[3, 0]]
    assert (shown["target"], shown["model"], shown["usage"]) == ("good", "good-model", {"input_tokens": 1})
    assert [a["outcome"] for a in shown["attempts"]] == ["connect", "ok"]
    assert server.requests[0].json["dimensions"] == 2


@pytest.mark.parametrize("way", ["file", "pipe", "dash"])
async def test_lines_come_from_a_file_or_a_pipe(tmp_path, way):
    (tmp_path / "texts.txt").write_text("a\nbb\n")
    arguments = {"file": ("--file", "texts.txt"), "pipe": (), "dash": ("-",)}[way]
    async with FakeServer(vectors) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("embed", *arguments, cwd=tmp_path, stdin="a\nbb\n" if way != "file" else None)
    assert lines(run.out) == [[1, 0], [2, 1]]


async def test_many_texts_go_to_one_target_some_at_a_time(tmp_path):
    failing = reply(500, {"error": {"message": "down"}})
    async with FakeServer(failing, vectors) as a, FakeServer(vectors) as b:
        chain(tmp_path, first=a.base_url, second=b.base_url)
        run = await ask("embed", *"abcde", "--at-once", "2", "--output", "json", cwd=tmp_path)
    assert [len(request.json["input"]) for request in b.requests] == [2, 2, 1]
    assert len(a.requests) == 1, "once one target has begun, it makes all vectors: those of two models don't compare"
    assert len(run.json["vectors"]) == 5
    assert run.json["usage"] == {"input_tokens": 5}


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("a", " "), 3, "text 2 is empty"),
        (("--file", "none.txt"), 2, "none.txt"),
        (("--file", "gap.txt"), 3, "gap.txt:2"),
        (("--file", "."), 2, "directory"),
        (("a", "--file", "gap.txt"), 2, "one of the two"),
        ((), 3, "standard input is empty"),
        (("a",), 1, "nothing listens"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, arguments, code, word):
    chain(tmp_path, first=refused())
    (tmp_path / "gap.txt").write_text("a\n\nb\n")
    run = llamafarm("embed", *arguments, cwd=tmp_path)
    run.assert_one_clear_line(code)
    assert word in run.err


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
async def test_in_a_terminal_it_does_not_wait_in_silence_for_lines(tmp_path):
    from tests.cli.terminal import Terminal

    chain(tmp_path, first=refused())
    async with Terminal("embed", cwd=tmp_path) as terminal:
        await terminal.until("there is no TEXT")
        assert await terminal.code() == 2
