"""`explain`: says everything about a decision and sends nothing."""

from __future__ import annotations

import pytest

from tests.cli.asking import chain, refused
from tests.cli.program import llamafarm

RULES = """
routing_rules:
  - {condition: urgent, target: second, priority: high}
  - {condition: "input.length > 1000", target: first}
constraints: {max_input_tokens: 100}
"""


@pytest.fixture
def here(tmp_path):
    chain(tmp_path, RULES, first=refused(), second=refused())
    return tmp_path


def test_json_has_exactly_the_promised_keys(here):
    run = llamafarm("explain", "Hello there", "--tag", "urgent", "--output", "json", cwd=here)
    assert run.code == 0, run.err
    shown = run.json
    assert list(shown) == ["rules", "targets", "order", "input_tokens", "input_tokens_by", "worst_case_usd"]
    assert shown["rules"] == [
        {"condition": "urgent", "target": "second", "matched": True},
        {"condition": "input.length > 1000", "target": "first", "matched": False},
    ]
    assert shown["targets"][0] == {"name": "first", "model": "first-model", "eligible": True, "reasons": []}
    assert shown["order"] == ["second", "first"]
    assert shown["input_tokens"] > 0
    assert shown["input_tokens_by"] == "estimate"


def test_without_the_tag_the_order_is_the_chain(here):
    assert llamafarm("explain", "Hello", "--output", "json", cwd=here).json["order"] == ["first", "second"]


def test_a_refusal_is_said_and_is_no_failure(here):
    run = llamafarm("explain", "word " * 200, "--output", "json", cwd=here)
    assert run.code == 0
    assert run.json["order"] == []
    assert "max_input_tokens" in run.json["refused"]
    text = llamafarm("explain", "word " * 200, cwd=here)
    assert "refused\n  the prompt has about" in text.out


def test_text_shows_rules_targets_order_tokens_and_cost(here):
    run = llamafarm("explain", "Hello", "--tag", "urgent", cwd=here)
    assert run.code == 0
    headings = [line for line in run.out.splitlines() if line and not line.startswith(" ")]
    assert headings == ["strategy test", "rules", "targets", "order", "tokens", "cost"]
    assert "  second > first\n" in run.out
    assert run.err == ""


def test_every_shipped_strategy_can_be_explained(tmp_path):
    from llamafarm import strategies

    for name in strategies.names():
        run = llamafarm("explain", "Hello", "--strategy", name, "--output", "json", cwd=tmp_path)
        assert run.code == 0, run.err
        assert run.json["targets"], name
    assert not (tmp_path / "home").exists(), "nothing is opened or written"


@pytest.mark.parametrize("prompt", ["", "  "])
def test_an_empty_prompt_is_one_clear_line(here, prompt):
    llamafarm("explain", prompt, cwd=here).assert_one_clear_line(3)


def test_tags_can_come_in_the_metadata(here):
    for metadata in ('{"tags": "urgent"}', '{"tags": ["urgent"]}'):
        tagged = llamafarm("explain", "Hi", "--param", f"metadata={metadata}", "--output", "json", cwd=here)
        assert tagged.json["rules"][0]["matched"], tagged.err


def test_what_is_missing_for_a_bound_is_said_and_nothing_else(tmp_path):
    file = chain(tmp_path, first=refused(), second=refused())
    unpriced = llamafarm("explain", "Hi", "--max-tokens", "1000", cwd=tmp_path).out
    file.write_text(file.read_text().replace("max_retries: 0", "max_retries: 0, price: {input: 0, output: 1000}"))
    unlimited = llamafarm("explain", "Hi", cwd=tmp_path).out
    bounded = llamafarm("explain", "Hi", "--max-tokens", "1000", cwd=tmp_path).out
    assert "no bound known: first, second have no price: give price\n" in unpriced
    assert "no bound known: nothing limits the answer: give --max-tokens\n" in unlimited
    assert "at most $2, if every attempt at every target of the order is billed\n" in bounded


def test_a_strategy_with_nothing_that_answers_says_so(tmp_path):
    (tmp_path / "strategies.yaml").write_text(
        "strategies:\n  - name: s\n    description: d\n    components: {r: {type: huggingface}}\n"
    )
    run = llamafarm("generate", "Hi", cwd=tmp_path)
    run.assert_one_clear_line(3)
    assert "has nothing that answers" in run.err
