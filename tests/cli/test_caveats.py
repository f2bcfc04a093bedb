"""What an answer lacks is said: malformed events, that another target went on with it, parameters that were left out."""

from __future__ import annotations

import pytest

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import answer, events, reply
from tests.cli.asking import ask, chain, event, lines
from tests.faults import far_ends

CUT = events(event("Once upon"), event(" a"), done=False)
HOLED = (event("One"), '{"choices": [{"del', event(" three"), event("", "stop"))


def prefilling(folder, **targets):
    file = chain(folder, **targets)
    file.write_text(file.read_text().replace("max_retries: 0", "max_retries: 0, supports: [prefill]"))


def picky(folder, url, own=""):
    """Write a strategy with a model that takes no temperature and no top_k, and calls max_tokens something else."""
    file = chain(folder, first=url)
    text = file.read_text().replace("provider: custom", f"provider: openai, api_key: k{own}")
    file.write_text(text.replace("first-model", "o3"))


async def test_a_malformed_event_is_told_of(tmp_path):
    async with FakeServer(events(*HOLED)) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("generate", "Hi", cwd=tmp_path)
        quiet = await ask("generate", "Hi", "-q", cwd=tmp_path)
    assert (run.code, run.out) == (0, "One three\n")
    said = "llamafarm: 1 malformed event of first was left out of the answer: words may be missing\n"
    assert run.err == said
    assert (quiet.code, quiet.out, quiet.err) == (0, "One three\n", "")


async def test_several_malformed_events_are_counted(tmp_path):
    async with FakeServer(events(*HOLED[:3], "{", HOLED[3])) as server:
        chain(tmp_path, first=server.base_url)
        run = await ask("chat", stdin="Hi\n", cwd=tmp_path)
    assert run.out == "One three\n"
    assert run.err == "llamafarm: 2 malformed events of first were left out of the answer: words may be missing\n"


async def test_who_went_on_with_an_answer_is_told_behind_it(tmp_path):
    async with FakeServer(CUT) as a, FakeServer(answer(" time.")) as b:
        prefilling(tmp_path, first=a.base_url, second=b.base_url)
        run = await ask("generate", "Hi", cwd=tmp_path)
        quiet = await ask("generate", "Hi", "-q", cwd=tmp_path)
    assert (run.code, run.out) == (0, "Once upon a time.\n")
    (line,) = run.err.splitlines()
    assert line.startswith("llamafarm: answered by first, gone on with by second: first: custom (127.0.0.1:")
    assert "without a finish reason" in line
    assert (quiet.code, quiet.out, quiet.err) == (0, "Once upon a time.\n", "")


async def test_a_parameter_that_the_caller_gave_and_was_left_out_is_told_of(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        picky(tmp_path, server.base_url, own=", top_k: 5")
        run = await ask("generate", "Hi", "--temperature", "0.5", "--max-tokens", "9", cwd=tmp_path)
        more = await ask("generate", "Hi", "--temperature", "0.5", "--max-tokens", "9", "-v", cwd=tmp_path)
        quiet = await ask("generate", "Hi", "--temperature", "0.5", "-q", cwd=tmp_path)
        plain = await ask("generate", "Hi", cwd=tmp_path)
    assert {"top_k", "temperature"}.isdisjoint(server.requests[0].json)
    assert run.err == "llamafarm: first: temperature left out: o3 does not take it\n", (
        "not the file's own, not a new name"
    )
    assert "  top_k left out: o3 does not take it" in more.err
    assert "  max_tokens sent as max_completion_tokens" in more.err
    assert more.err.count("temperature left out") == 1
    assert (quiet.err, plain.err) == ("", "")


@pytest.mark.parametrize(("model", "given"), [("o3", "temperature=null"), ("gpt-5.1", 'reasoning_effort="low"')])
async def test_a_parameter_of_the_file_is_the_files_affair_whatever_else_was_given(tmp_path, model, given):
    async with FakeServer(answer("Yes.")) as server:
        picky(tmp_path, server.base_url, own=", temperature: 1")
        file = tmp_path / "strategies.yaml"
        file.write_text(file.read_text().replace("default_model: o3", f"default_model: {model}"))
        run = await ask("generate", "Hi", "--param", given, cwd=tmp_path)
    assert "temperature" not in server.requests[0].json
    assert (run.code, run.out, run.err) == (0, "Yes.\n", "")


async def test_json_has_the_notes_of_each_attempt_that_has_some(tmp_path):
    async with FakeServer(answer("Yes.")) as server:
        picky(tmp_path, server.base_url)
        noted = await ask("generate", "Hi", "--temperature", "0.5", "--output", "json", cwd=tmp_path)
        (tmp_path / "prompts.txt").write_text("Hi\n")
        batch = await ask("batch", "prompts.txt", "--temperature", "0.5", cwd=tmp_path)
        plain = await ask("generate", "Hi", "--output", "json", cwd=tmp_path)
    for shown in (noted.json, lines(batch.out)[0]):
        assert shown["notes"] == ["temperature left out: o3 does not take it"]
        assert [attempt["notes"] for attempt in shown["attempts"]] == [shown["notes"]]
    assert noted.err == ""
    assert list(plain.json["attempts"][0]) == ["target", "model", "outcome", "error", "ms"]


async def test_notes_of_an_attempt_that_failed_are_kept_apart(tmp_path):
    async with FakeServer(far_ends.failing(503)) as a, FakeServer(answer("Yes.")) as b:
        file = chain(tmp_path, first=a.base_url, second=b.base_url)
        text = file.read_text().replace("provider: custom", "provider: openai, api_key: k", 1)
        file.write_text(text.replace("first-model", "o3"))
        as_json = await ask("generate", "Hi", "--temperature", "0.5", "--output", "json", cwd=tmp_path)
        run = await ask("generate", "Hi", "--temperature", "0.5", cwd=tmp_path)
        more = await ask("generate", "Hi", "--temperature", "0.5", "-v", cwd=tmp_path)
    assert as_json.json["notes"] == []
    assert [a.get("notes") for a in as_json.json["attempts"]] == [["temperature left out: o3 does not take it"], None]
    assert "temperature" not in run.err, "who answered got it"
    assert "\n    temperature left out: o3 does not take it\n" in more.err


async def test_all_who_wrote_an_answer_are_asked_for_their_notes(tmp_path):
    async with FakeServer(CUT) as a, FakeServer(answer(" time.")) as b:
        prefilling(tmp_path, first=a.base_url, second=b.base_url)
        file = tmp_path / "strategies.yaml"
        text = file.read_text().replace("provider: custom", "provider: openai, api_key: k", 1)
        file.write_text(text.replace("first-model", "o3"))
        run = await ask("generate", "Hi", "--temperature", "0.5", cwd=tmp_path)
    assert run.out == "Once upon a time.\n"
    resumed, left_out = run.err.splitlines()
    assert resumed.startswith("llamafarm: answered by first, gone on with by second: first: openai (")
    assert left_out == "llamafarm: first: temperature left out: o3 does not take it"


async def test_compare_says_it_of_each_target(tmp_path):
    async with FakeServer(answer("Yes.")) as a, FakeServer(events(*HOLED)) as b:
        file = chain(tmp_path, first=a.base_url, second=b.base_url)
        text = file.read_text().replace("provider: custom", "provider: openai, api_key: k", 1)
        file.write_text(text.replace("first-model", "o3"))
        run = await ask("compare", "Hi", "--temperature", "0.5", cwd=tmp_path)
        as_json = await ask("compare", "Hi", "--temperature", "0.5", "--output", "json", cwd=tmp_path)
        more = await ask("compare", "Hi", "--temperature", "0.5", "-v", cwd=tmp_path)
        quiet = await ask("compare", "Hi", "--temperature", "0.5", "-q", cwd=tmp_path)
    hole = "llamafarm: 1 malformed event of second was left out of the answer: words may be missing"
    assert run.err.splitlines() == ["llamafarm: first: temperature left out: o3 does not take it", hole]
    first, second = as_json.json
    assert first["attempts"][0]["notes"] == ["temperature left out: o3 does not take it"]
    assert "skipped" not in first
    assert second["skipped"] == 1
    assert "target first | model o3 " in more.err
    assert "\n  temperature left out: o3 does not take it\n" in more.err
    assert quiet.err == ""


async def test_why_nobody_went_on_is_told(tmp_path):
    refusal = reply(401, {"error": {"message": "wrong key"}})
    async with FakeServer(CUT) as a, FakeServer(refusal) as b:
        prefilling(tmp_path, first=a.base_url, second=b.base_url)
        run = await ask("generate", "Hi", cwd=tmp_path)
        as_json = await ask("generate", "Hi", "--output", "json", cwd=tmp_path)
    assert (run.code, run.out) == (1, "Once upon a\n")
    (line,) = run.err.splitlines()
    assert line.startswith("llamafarm: first: custom (")
    assert ", and no other target could go on with it: second: custom (" in line
    assert "wrong key" in line
    assert as_json.json["error"]["kind"] == "all_failed", "what is not streamed has no beginning to go on from"


async def test_a_refusal_after_which_nobody_is_asked_has_a_kind_of_its_own(tmp_path):
    async with FakeServer(reply(400, {"error": {"message": "no such parameter"}})) as a, FakeServer(answer("x")) as b:
        chain(tmp_path, first=a.base_url, second=b.base_url)
        run = await ask("generate", "Hi", "--output", "json", cwd=tmp_path)
    assert (run.code, run.json["error"]["kind"]) == (1, "bad_request")
    assert run.json["error"]["message"].startswith("first: custom (")
    assert b.requests == []


async def test_a_pause_that_is_waited_for_is_told(tmp_path):
    limited = reply(429, {"error": {"message": "slow"}}, {"retry-after": "1"})
    async with FakeServer(limited, answer("Yes."), limited, answer("Yes.")) as server:
        file = chain(tmp_path, first=server.base_url)
        file.write_text(file.read_text().replace("max_retries: 0", "max_retries: 1"))
        run = await ask("generate", "Hi", cwd=tmp_path)
        quiet = await ask("generate", "Hi", "-q", cwd=tmp_path)
    assert (run.out, quiet.out, quiet.err) == ("Yes.\n", "Yes.\n", "")
    assert run.err == "llamafarm: first asked for a pause of 1 s, and nobody else is left to ask: waiting\n"
