"""Requests that are made up for rules: each condition really holds for its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm.conditions import Facts, compile_condition
from llamafarm.planning.sense import check_request
from llamafarm.testing.drill.examples import example_of
from llamafarm.testing.drill.making import find_sample, plain_sample
from llamafarm.testing.drill.sample import Sample

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday
CONDITIONS = [
    "urgent",
    'tag("eu-only") and not urgent',
    'input.contains("contract", "law")',
    'not input.contains("ok")',
    'input.matches("(?i)^[a-f]{3}-\\\\d+ (foo|bar)\\\\b.*$")',
    '"secret" in input.all_text and input.length > 2000',
    "input.length < 3",
    "input.length == 100",
    "input.length >= 10 and input.length <= 12",
    "input.tokens > 20000",
    "input.tokens * 2 > 1000 and input.tokens < 700",
    "input.messages >= 4",
    "input.messages == 3 and input.system != null",
    'input.system == "You are a pirate."',
    '"pirate" in input.system',
    'input.text == "Hello"',
    "input.has_images",
    "input.requires_vision and input.requires_tools",
    "input.requires_json or input.requires_audio",
    "input.is_code and input.length < 2000",
    "not input.is_code and input.length > 300",
    "request.stream",
    "request.max_tokens > 4000",
    "request.max_tokens == null",
    "request.temperature >= 0.9",
    'request.user == "alice"',
    'request.user in ["bob", "carol"]',
    'request.metadata["team"] == "search"',
    'request.metadata["team"] != "search"',
    '"red" in request.tags',
    "time.hour >= 22 or time.hour < 6",
    'time.weekday in ["saturday", "sunday"] and time.hour == 3',
    'time.weekday != "monday"',
    'request.model == "s"',
    "(a or b) and (c or d) and not (a and c)",
    "input.length % 7 == 3",
    "input.length > input.tokens * 3 + 10",
    "true",
]


def conditions(*texts):
    return [compile_condition(text) for text in texts]


def facts(sample):
    return Facts.of(sample.call(stream=False), sample.moment(NOW))


@pytest.mark.parametrize("text", CONDITIONS)
def test_the_condition_holds_for_the_request_made_for_it(text):
    (condition,) = conditions(text)
    found = find_sample([condition], 0, NOW, strategy="s")
    assert found.sample is not None
    assert not found.taken_by
    assert condition(facts(found.sample))
    check_request(found.sample.call(stream=False))
    assert "\n" not in found.sample.summary
    assert len(found.sample.summary) < 200


@pytest.mark.parametrize(
    "texts",
    [
        ("input.length > 100", "input.length > 10"),
        ("input.length < 100", 'input.contains("law")'),
        ("not urgent", "input.length > 3"),
        ("time.hour < 20", "input.length > 3"),
        ('time.weekday == "monday"', "urgent"),
        ("request.max_tokens < 100", "urgent"),
        ("input.length < 100", "time.hour >= 22 and urgent", 'input.contains("law") and input.length < 5000'),
        ('input.contains("ok")', 'input.contains("law")'),
    ],
)
def test_earlier_rules_are_passed_by(texts):
    made = conditions(*texts)
    found = find_sample(made, len(made) - 1, NOW)
    assert not found.taken_by
    assert [condition(facts(found.sample)) for condition in made] == [False] * (len(made) - 1) + [True]


def test_a_rule_that_an_earlier_one_shadows_is_told_so():
    found = find_sample(conditions("input.length > 5", "input.length > 50"), 1, NOW)
    assert found.sample is not None
    assert found.taken_by == "input.length > 5"


def test_what_nothing_can_be_made_for_takes_a_persons_own_prompt():
    made = conditions('input.matches("^\\\\pN+\\\\z")')
    assert find_sample(made, 0, NOW).sample is None
    assert find_sample(made, 0, NOW, prompts=["no", "12"]).sample.text == "12"


def test_a_prompt_of_ones_own_is_shown_with_all_else_that_the_rule_asks_for():
    found = find_sample(conditions('urgent and input.contains("my words")'), 0, NOW, prompts=["These are my words."])
    assert (found.sample.text, found.sample.tags) == ("These are my words.", {"urgent"})


def test_a_request_for_no_rule():
    made = conditions("input.length < 50", "time.hour >= 12 and time.hour < 14")
    sample = plain_sample(made, NOW)
    assert not any(condition(facts(sample)) for condition in made)
    assert plain_sample(conditions("true"), NOW) is None
    assert plain_sample([], NOW) == Sample()


ATOMS = st.sampled_from(
    [
        "a", "b", "input.length > 40", "input.length < 200", 'input.contains("x1")', "time.hour >= 18", "input.has_images",
        "request.max_tokens > 100", 'request.metadata["k"] == "v"', 'input.matches("[0-9]{3}")', "input.messages > 2",
    ]
)  # fmt: skip
TREES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        inner.map(lambda one: f"(not {one})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda three: f"({' '.join(three)})"),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_whatever_can_hold_finds_its_request(text):
    from llamafarm.conditions.cases import cases_of

    (condition,) = conditions(text)
    found = find_sample([condition], 0, NOW)
    if found.sample is None:
        assert cases_of(condition).never or "matches" in text, text
    else:
        assert condition(facts(found.sample))


@pytest.mark.parametrize(
    "pattern",
    [
        "abc", "a|b", "^a+b*c?$", r"\d{4}-\d{2}-\d{2}", "[a-z]{3,}", "[^a-z]", r"\bfoo\b", r"(?i)hello", "(?:x|y)z",
        "(?P<name>a)+", r"\$[0-9]+\.[0-9]{2}", "[[:digit:]]+", r"[\w.]+@[\w.]+\.\w+", "x{2,5}?", r"\x41", "a.c", "[]a]+", r"\s\S\D\W",
    ],
)  # fmt: skip
def test_an_example_of_a_pattern_matches_it(pattern):
    text = example_of(pattern)
    assert text is not None
    assert re2.search(pattern, text) is not None


@pytest.mark.parametrize("pattern", ["(", "[", "a{", r"\pN", "a{9999999}"])
def test_what_is_not_understood_has_no_example(pattern):
    assert example_of(pattern) is None
