"""Who is picked first, and who comes next."""

from collections import Counter

import pytest

from llamafarm import errors, planning
from llamafarm.health import Figures
from tests.making import call, names, routing, snapshot

TEXT = """
name: spread
description: d
components:
  a: {type: openai_compatible, config: {provider: custom, base_url: 'https://a.example/v1', default_model: ma, price: {input: 3, output: 3}}}
  b: {type: openai_compatible, config: {provider: custom, base_url: 'https://b.example/v1', default_model: mb, price: {input: 1, output: 1}}}
  c: {type: openai_compatible, config: {provider: custom, base_url: 'https://c.example/v1', default_model: mc}}
  d: {type: openai_compatible, config: {provider: custom, base_url: 'https://d.example/v1', default_model: md}}
fallback_chain: [d, a]
load_balancing: {policy: %s, %s}
"""
THREE = "targets: [a, b, c]"


def orders(policy, targets=THREE, *, count=6, figures=None, asked=None, extra="", draws=None):
    made = routing(TEXT % (policy, targets) + extra)
    figures = figures or {}
    given = []
    for turn in range(count):
        draw = draws[turn] if draws else turn / count
        now = planning.Snapshot(
            now=snapshot().now,
            figures=lambda target, _: figures.get(target.name, Figures()),
            turn=lambda turn=turn: turn,
            draw=draw,
        )
        given.append("".join(names(planning.plan(made, asked or call(max_tokens=10), now))))
    return given


@pytest.mark.key("strategies[].load_balancing.policy", "strategies[].load_balancing.targets")
def test_round_robin_goes_round_and_the_chain_comes_behind():
    assert orders("round_robin", count=4) == ["abcd", "bcad", "cabd", "abcd"]
    assert orders("round_robin", "targets: [c, b]", count=2) == ["cbda", "bcda"]


@pytest.mark.key("strategies[].load_balancing.weights")
def test_weights_are_shares():
    first = Counter(order[0] for order in orders("weighted", "weights: {a: 1, b: 2, c: 5}", count=80))
    assert first == {"a": 10, "b": 20, "c": 50}


def test_behind_a_weighted_pick_the_heaviest_comes_first():
    assert orders("weighted", "weights: {a: 1, b: 2, c: 0}", draws=[0.0, 0.99], count=2) == ["abcd", "bacd"]


def test_least_busy():
    busy = {"a": Figures(in_flight=3), "b": Figures(in_flight=1), "c": Figures(in_flight=2)}
    assert orders("least_busy", figures=busy, count=1) == ["bcad"]


def test_equal_ones_take_turns():
    assert [order[0] for order in orders("least_busy", count=3)] == ["a", "b", "c"]


def test_least_latency_tries_one_it_knows_nothing_of():
    known = {"a": Figures(latency=0.2, tried=True), "b": Figures(latency=0.1, tried=True), "c": Figures()}
    assert orders("least_latency", figures=known, count=1) == ["cbad"]
    assert orders("least_latency", figures={**known, "c": Figures(tried=True)}, count=1) == ["bacd"], "but not again"


def test_least_latency_looks_again_at_one_that_was_slow():
    known = {"a": Figures(latency=2.0), "b": Figures(latency=0.5, tried=True), "c": Figures(latency=0.6, tried=True)}
    first = Counter(order[0] for order in orders("least_latency", figures=known, count=100))
    assert first == {"a": 10, "b": 90}, "it has not been asked for a while"
    known["a"] = Figures(latency=2.0, tried=True)
    assert set(orders("least_latency", figures=known, count=100)) == {"bcad"}


def test_least_cost_and_a_model_without_a_price_is_dearest():
    assert orders("least_cost", count=2) == ["bacd", "bacd"]


@pytest.mark.parametrize("policy", ["round_robin", "least_busy", "least_latency", "least_cost", "weighted"])
def test_one_that_is_left_out_comes_last_of_the_balanced(policy):
    for order in orders(policy, figures={"b": Figures(available=False)}):
        assert order.index("b") == 2
        assert set(order[:2]) == {"a", "c"}


@pytest.mark.parametrize("policy", ["round_robin", "weighted", "least_cost"])
def test_an_ineligible_one_is_never_picked(policy):
    for order in orders(policy, extra="constraints: {blocked_models: [mb]}"):
        assert "b" not in order


def test_with_none_eligible_the_chain_answers():
    assert set(orders("round_robin", "targets: [b, c]", extra="constraints: {blocked_models: [mb, mc]}")) == {"da"}


def test_a_refusal_names_each_target_once():
    made = routing(TEXT % ("round_robin", "targets: [a, d]") + "constraints: {blocked_models: ['m*']}")
    with pytest.raises(errors.NoTargetError) as caught:
        planning.plan(made, call(), snapshot())
    assert str(caught.value).count("blocked_models has m*") == 2


def test_a_rule_that_holds_comes_before_it():
    given = orders("round_robin", extra="routing_rules: [{condition: input.length > 0, target: c}]", count=3)
    assert set(given) == {"cda"}


def test_a_model_that_the_caller_names_comes_before_it():
    assert set(orders("round_robin", asked=call(model="mb"), count=3)) == {"bda"}


def test_names_of_one_target_are_one_place_with_their_weights_together():
    first = Counter(o[0] for o in orders("weighted", "weights: {a: 1, ma: 1, b: 2}", count=40))
    assert first == {"a": 20, "b": 20}
