"""The cases of a condition: what can never hold, what always does, what one says about another, and nothing untrue."""

import ast
import re

import pytest
from hypothesis import given, settings

from llamafarm.conditions import compile_condition
from llamafarm.conditions.cases import Cases, cases_of, implies
from llamafarm.conditions.ranges import Range
from tests.conditions.made_conditions import CONDITIONS, FACTS


def cases(text: str) -> Cases:
    return cases_of(compile_condition(text))


def covers(earlier: str, later: str) -> bool:
    return all(any(implies(case, other) for other in cases(earlier).cases) for case in cases(later).cases)


@pytest.mark.parametrize(
    "text",
    [
        "input.length > 100 and input.length < 50",
        "input.length < 0",
        "input.tokens <= -1",
        "input.messages == 1.5",
        "input.length > 4 and input.length < 5",
        "1 < input.length < 2",
        "time.hour > 23",
        "urgent and not urgent",
        'urgent and !tag("urgent")',
        "urgent and 1 > 2",
        "not (urgent or not urgent)",
        "not (input.length > 3 or input.length <= 3)",
        "budget.daily_left > 5 and not budget.daily_left > 5",
        "budget.daily_left > 5 and budget.daily_left == null",
        "request.max_tokens in [1, 2] and request.max_tokens > 2",
        'request.model in ["a", "b"] and request.model == "c"',
        'request.metadata["team"] == "a" and request.metadata["team"] == "b"',
        'time.weekday == "Monday" and time.weekday == "tuesday" and urgent',
        'input.contains("refund", "invoice") and !input.contains("refund") and !input.contains("invoice")',
        "input.is_code and (not input.is_code or input.length < 0)",
    ],
)
def test_what_can_never_hold(text):
    assert cases(text).never
    assert cases(f"not ({text})").always


@pytest.mark.parametrize(
    "text",
    [
        "input.length > 4 and input.length < 6",
        "budget.daily_left > 4 and budget.daily_left < 5",
        "request.max_tokens < 0",
        # Both are false where it is missing.
        "not budget.daily_left > 5 and not budget.daily_left <= 5",
        "not request.user != null",
        "input.length > 100 and input.tokens < 10",
        'request.metadata["a"] == "x" and request.metadata["b"] == "y"',
    ],
)
def test_what_may_hold_and_may_not(text):
    assert not cases(text).never
    assert not cases(text).always
    assert not cases(f"not ({text})").never


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("input.length > 100", "input.length > 200"),
        ("input.length >= 100", "input.length == 100"),
        ("input.length < 10", "1 < input.length < 5"),
        ("100 < input.length", "input.length > 200 and urgent"),
        ("urgent", "urgent and private"),
        ("urgent or private", "private and input.is_code or urgent"),
        ("budget.daily_left > 1", "budget.daily_left > 2"),
        ("not budget.daily_left > 2", "not budget.daily_left > 1"),
        ("budget.daily_left != null", "budget.daily_left > 2"),
        ('request.user in ["a", "b"]', 'request.user == "a"'),
        ('request.user not in ["a", "b"]', 'request.user == "c"'),
        ('request.user != "a"', 'request.user not in ["a", "b"]'),
        ('input.contains("refund", "invoice")', 'input.contains("invoice") and urgent'),
        ("time.hour >= 22 or time.hour < 6", "time.hour >= 23"),
        ('time.weekday in ["saturday", "Sunday"]', 'time.weekday == "SUNDAY" and time.hour > 8'),
        ('input.matches("a+")', 'input.matches("a+") and urgent'),
    ],
)
def test_what_one_condition_says_about_another(earlier, later):
    assert covers(earlier, later)
    assert not covers(later, earlier)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("input.length > 100", "101 <= input.length"),
        ("urgent and input.length >= 0", 'tag("urgent")'),
        ("not (urgent or private)", "!urgent && !private"),
        ("time.hour != 0", "0 < time.hour <= 23"),
    ],
)
def test_what_is_the_same_in_other_words(one, other):
    assert covers(one, other)
    assert covers(other, one)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        # The second holds where it is missing, too.
        ("budget.daily_left <= 1", "not budget.daily_left > 1"),
        ("request.user != 'a'", "not request.user == 'a'"),
        ("input.length > 100", "input.tokens > 200"),
        ("urgent and input.length > 100", "input.length > 200"),
    ],
)
def test_what_one_condition_does_not_say_about_another(earlier, later):
    assert not covers(earlier, later)


@pytest.mark.parametrize("joining", [" or ", " and "])
def test_a_condition_of_too_many_cases_is_one_that_is_not_understood(joining):
    text = joining.join(f"(a{number} and b{number} or c{number})" for number in range(24))
    for condition in (text, f"not ({text})"):
        assert len(cases(condition).cases) == 1
        assert covers(condition, condition)


def reading(fact: str, facts: object) -> object:
    tag = re.fullmatch(r"tag (\w+)", fact)
    if tag:
        return tag[1] in facts.tags
    if metadata := re.fullmatch(r"request\.metadata\['(\w)'\]", fact):
        return facts.request.metadata[metadata[1]]
    node = ast.parse(fact, mode="eval").body
    if isinstance(node, ast.Attribute):
        return getattr(getattr(facts, node.value.id), node.attr)
    return compile_condition(fact.replace("~", "not "))(facts)  # as Python writes it out


def holds(range_: Range, value: object) -> bool:
    return range_.missing if value is None else Range((0, value, 0), (0, value, 0)).within(range_)


@given(CONDITIONS)
@settings(max_examples=200, deadline=None)
def test_a_condition_holds_where_one_of_its_cases_does_and_nowhere_else(text):
    condition = compile_condition(text)
    found = cases_of(condition)
    for facts in FACTS[:120]:
        in_a_case = any(
            all(holds(range_, reading(fact, facts)) for fact, range_ in case.items()) for case in found.cases
        )
        assert in_a_case is condition(facts)
    assert found.always is (cases(f"not ({text})").never)


@given(CONDITIONS, CONDITIONS)
@settings(max_examples=200, deadline=None)
def test_nothing_untrue_is_found(earlier, later):
    first, second = compile_condition(earlier), compile_condition(later)
    verdicts = [(first(facts), second(facts)) for facts in FACTS]
    if cases_of(first).never:
        assert not any(one for one, _ in verdicts)
    if cases_of(first).always:
        assert all(one for one, _ in verdicts)
    if covers(earlier, later):
        assert all(one for one, other in verdicts if other)
