"""What is translated or left out for a target's sake is noted, one sentence each, and nothing else is."""

import pytest

from llamafarm import Farm
from llamafarm.catalog import find_vendor
from llamafarm.providers.openai.quirks import QUIRKS, adapt
from llamafarm.testing.fake_server import FakeServer, answer, reply
from tests.cli.asking import ask
from tests.making import strategy

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def noted(quirks, body, model="o3"):
    notes = []
    adapt(body, frozenset(quirks), model, notes)
    return notes


@pytest.mark.parametrize(
    ("quirk", "body", "notes"),
    [
        ("max_completion_tokens", {"max_tokens": 5}, ["max_tokens sent as max_completion_tokens: o3 takes only that"]),
        (
            "no_max_completion_tokens",
            {"max_completion_tokens": 5},
            ["max_completion_tokens sent as max_tokens: o3 takes only that"],
        ),
        ("random_seed", {"seed": 5}, ["seed sent as random_seed: o3 takes only that"]),
        ("no_temperature", {"temperature": 0.0}, ["temperature left out: o3 does not take it"]),
        ("no_temperature", {"temperature": 1, "top_p": 1}, ["temperature and top_p left out: o3 does not take it"]),
        ("no_stop", {"stop": "x"}, ["stop left out: o3 does not take it"]),
        ("no_required_tool", {"tool_choice": "required"}, ["tool_choice required sent as auto: o3 does not take it"]),
        (
            "no_developer_role",
            {"messages": [{"role": "developer", "content": "a"}, {"role": "developer", "content": "b"}]},
            ["the role developer sent as system: o3 does not take it"],
        ),
        (
            "no_reasoning_back",
            {"messages": [{"role": "assistant", "content": "a", "reasoning_content": "x"}]},
            ["the reasoning of earlier answers left out: o3 does not take it"],
        ),
        (
            "thinks_unless_told",
            {"temperature": 1},
            ["temperature left out: o3 does not take it while it reasons (reasoning_effort)"],
        ),
    ],
)
def test_each_change_is_one_sentence(quirk, body, notes):
    assert noted({quirk}, body) == notes


@pytest.mark.parametrize("quirk", QUIRKS)
@pytest.mark.parametrize(
    "body",
    [
        BODY,
        {**BODY, "tool_choice": "auto", "response_format": {"type": "text"}},
        {**BODY, "temperature": None, "stop": None, "seed": None, "max_tokens": None, "user": None, "logprobs": None},
    ],
)
def test_nothing_is_noted_where_nothing_was_asked_for(quirk, body):
    assert noted({quirk}, body) == []


def test_what_we_put_in_ourselves_is_not_noted():
    assert noted({"no_stream_options"}, {**BODY, "stream_options": {"include_usage": True}}) == []


def test_no_sentence_is_left_with_a_gap():
    body = {
        "temperature": 1, "top_p": 1, "top_k": 1, "max_tokens": 1, "max_completion_tokens": 1, "seed": 1,
        "stop": ["a", "b", "c", "d", "e"],
        "frequency_penalty": 1, "presence_penalty": 1, "logprobs": True, "top_logprobs": 1, "logit_bias": {}, "user": "u",
        "parallel_tool_calls": True, "tool_choice": "required", "reasoning_effort": "low", "verbosity": "low",
        "prediction": {}, "service_tier": "flex", "store": True, "metadata": {}, "prompt_cache_key": "k",
        "safety_identifier": "s", "response_format": {"type": "json_schema", "json_schema": {"schema": {}}},
        "messages": [{"role": "developer", "content": "a"}, {"role": "assistant", "content": "", "reasoning": "r"}],
    }  # fmt: skip
    silent = {"stores", "resells", "echoes_beginning", "no_trailing_space", "no_stream_options", "reasoning_back"}
    for word in QUIRKS:
        notes = noted({word}, body)
        assert bool(notes) is (word not in silent), word
        assert all("{" not in note and "\n" not in note and "o3" in note for note in notes)


CONFIG = """
name: one
description: d
components:
  there: {type: openai_compatible, config: {provider: openai, api_key: k, base_url: "%s", default_model: o3, max_retries: 0%s}}
"""


@pytest.mark.parametrize("stream", [True, False])
async def test_the_attempt_carries_them_defaults_of_the_file_as_well(stream):
    async with FakeServer(answer()) as server:
        text = CONFIG % (server.base_url, ", temperature: 0.3, top_k: 5")
        async with Farm(strategy(text)) as farm:
            if stream:
                events = farm.stream("Hi", max_tokens=50)
                _ = [chunk async for chunk in events]
                attempts = events.answer.attempts
            else:
                attempts = (await farm.generate("Hi", max_tokens=50)).attempts
        sent = server.requests[0].json
    assert sent["max_completion_tokens"] == 50
    assert not {"temperature", "top_k", "max_tokens"} & sent.keys()
    assert set(attempts[0].notes) == {
        "max_tokens sent as max_completion_tokens: o3 takes only that",
        "temperature left out: o3 does not take it",
        "top_k left out: o3 does not take it",
    }


async def test_each_attempt_has_its_own_notes():
    quirks = find_vendor("openai").quirks_of("gpt-4o")
    assert "no_temperature" not in quirks
    async with FakeServer(reply(503, {"error": {"message": "later"}}), answer()) as server:
        text = (CONFIG % (server.base_url, "")) + (
            f'  plain: {{type: openai_compatible, config: {{provider: custom, base_url: "{server.base_url}",'
            " default_model: m}}\nfallback_chain: [there, plain]\n"
        )
        async with Farm(strategy(text)) as farm:
            found = await farm.generate("Hi", temperature=0.5)
    assert [attempt.notes for attempt in found.attempts][-1] == ()
    assert server.requests[1].json["temperature"] == 0.5


async def test_the_command_line_shows_them(tmp_path):
    async with FakeServer(answer()) as server:
        file = tmp_path / "strategies.yaml"
        text = (CONFIG % (server.base_url, "")).strip().replace("\n", "\n    ")
        file.write_text(f"strategies:\n  - {text}\n")
        as_json = await ask("generate", "Hi", "--temperature", "0.5", "--output", "json", cwd=tmp_path)
        verbose = await ask("generate", "Hi", "--temperature", "0.5", "--verbose", cwd=tmp_path)
        quiet = await ask("generate", "Hi", "--output", "json", cwd=tmp_path)
    assert as_json.json["notes"] == ["temperature left out: o3 does not take it"]
    assert "temperature left out: o3 does not take it" in verbose.err
    assert quiet.json["notes"] == []
