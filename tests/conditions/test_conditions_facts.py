"""Facts come from a call without reading its content, and from any shape of body without failing."""

import datetime as dt
import zoneinfo

import pytest

from llamafarm.conditions import BudgetFacts, Facts, Input, RequestFacts, TimeFacts, compile_condition
from llamafarm.types import Call

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def test_time_is_the_strategy_zones():
    tokyo = NOON.astimezone(zoneinfo.ZoneInfo("Asia/Tokyo")) + dt.timedelta(hours=4)
    assert TimeFacts.of(NOON) == TimeFacts(12, "sunday")
    assert TimeFacts.of(tokyo) == TimeFacts(1, "monday")


def test_a_time_without_a_zone_is_a_mistake():
    with pytest.raises(ValueError, match="time zone"):
        Facts.of(Call({}), dt.datetime(2026, 11, 22, 12))  # noqa: DTZ001 — the point of the test


def test_a_rule_on_length_does_not_fold_the_text():
    facts = Facts.of(Call({"messages": [{"role": "user", "content": "HELLO"}]}), NOON)
    assert "turns" not in vars(facts.input)
    assert compile_condition("input.length > 4")(facts)
    assert not {"folded", "encoded", "all_text", "text"} & set(vars(facts.input))
    assert compile_condition('input.contains("hello")')(facts)
    assert {"folded", "text"} <= set(vars(facts.input))
    assert "encoded" not in vars(facts.input)


def test_what_the_caller_gives_beside_the_body_wins():
    body = {"user": "body-user", "metadata": {"team": "body"}, "max_tokens": 10}
    both = RequestFacts(Call(body, user="header-user", metadata={"team": "header"}))
    assert (both.user, both.metadata) == ("header-user", {"team": "header"})
    alone = RequestFacts(Call(body))
    assert (alone.user, alone.metadata, alone.max_tokens) == ("body-user", {"team": "body"}, 10)


def test_without_a_budget_every_figure_of_it_is_missing():
    facts = Facts.of(Call({}), NOON)
    assert facts.budget == BudgetFacts()
    for name in ("daily_left", "monthly_left", "daily_used"):
        assert compile_condition(f"budget.{name} == null")(facts)


@pytest.mark.parametrize("odd", [True, "5", [5], {"a": 1}, float("nan"), float("inf"), 10**400, None])
def test_a_parameter_that_is_no_number_is_missing(odd):
    facts = Facts.of(Call({"max_tokens": odd, "temperature": odd}), NOON)
    assert compile_condition("request.max_tokens == null and request.temperature == null")(facts)
    assert not compile_condition("request.max_tokens * 2 > 0 or request.temperature / 3 <= 0")(facts)


def test_metadata_that_is_no_text_is_missing():
    facts = Facts.of(Call({"metadata": {"n": 5, "list": ["a"]}}), NOON)
    assert compile_condition('request.metadata["n"] == null and request.metadata["list"] == null')(facts)


def test_every_name_of_the_language_is_read_from_the_facts():
    from llamafarm.conditions.names import NAMES, Kind

    facts = Facts.of(Call({}), NOON)
    examples = {Kind.NUMBER: "{} >= 0", Kind.TEXT: '{} == ""', Kind.WEEKDAY: '{} == "sunday"', Kind.TEXTS: '"a" in {}'}
    for name, fact in NAMES.items():
        condition = compile_condition(examples.get(fact.kind, "{}").format(name))
        assert condition(facts) in (True, False)
        assert condition.names == {name}


def test_input_of_is_what_facts_use():
    assert isinstance(Facts.of(Call({}), NOON).input, Input)
