"""Where calls go: default orders, what the caller names, rules."""

import pytest

from llamafarm import errors, planning
from tests.making import call, names, order, routing, snapshot

TWO = """
name: two
description: d
components:
  cloud_api: {type: openai_compatible, config: {provider: openai, default_model: gpt-4o-mini, models: {gpt-4o: {}}}}
  local: {type: llamacpp, config: {engine: embedded}}
"""
KEY = {"OPENAI_API_KEY": "sk-test"}


def test_without_a_chain_only_the_first_serving_component_is_tried():
    assert order(TWO, **KEY) == ["cloud_api"]


@pytest.mark.key("strategies[].fallback_chain")
def test_a_chain_that_names_a_component_is_the_whole_order():
    assert order(TWO + "fallback_chain: [local]", **KEY) == ["local"]
    assert order(TWO + "fallback_chain: [local, {name: far away, type: cloud_api}]", **KEY) == ["local", "far away"]


def test_a_chain_that_names_none_follows_the_first_component():
    chain = (
        "fallback_chain: [{name: g, type: openai_compatible, config: {provider: groq, api_key: k, default_model: m}}]"
    )
    assert order(TWO + chain, **KEY) == ["cloud_api", "g"]


@pytest.mark.key("strategies[].components")
def test_components_of_other_kinds_serve_nothing():
    text = """
    name: tuned
    description: d
    components:
      fine_tuner: {type: pytorch, config: {base_model: {huggingface_id: a/b}}}
      mine: {type: llamacpp, config: {engine: embedded}}
    """
    assert order(text) == ["mine"]


def test_equal_targets_are_one_and_bear_the_chains_name():
    text = TWO + "fallback_chain: [{name: first, type: cloud_api}, {name: again, type: cloud_api}, local]"
    assert order(text, **KEY) == ["first", "local"]
    known = routing(text, **KEY)
    assert names(known.targets) == ["first", "local", "gpt-4o"]


def test_an_unset_key_makes_a_target_ineligible_and_the_next_is_tried():
    assert order(TWO + "fallback_chain: [cloud_api, local]") == ["local"]
    with pytest.raises(errors.NoTargetError, match="cloud_api: OPENAI_API_KEY is not set"):
        order(TWO)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("two", ["cloud_api", "local"]),
        ("local", ["local", "cloud_api"]),
        ("gpt-4o", ["gpt-4o", "cloud_api", "local"]),
        ("gpt-4o-mini", ["cloud_api", "local"]),
        ("smollm2-135m-instruct", ["local", "cloud_api"]),
        ("two/local", ["local"]),
        ("two/gpt-4o", ["gpt-4o"]),
    ],
)
def test_what_the_caller_names(asked, expected):
    assert order(TWO + "fallback_chain: [cloud_api, local]", call(model=asked), **KEY) == expected


@pytest.mark.key("strategies[].aliases")
def test_an_alias_is_the_target_it_names():
    text = TWO + "fallback_chain: [cloud_api, local]\naliases: {fast: local, big: gpt-4o}"
    assert order(text, call(model="fast"), **KEY) == ["local", "cloud_api"]
    assert order(text, call(model="big"), **KEY) == ["gpt-4o", "cloud_api", "local"]


def test_exact_names_win_over_a_strategys_prefix():
    text = TWO.replace("gpt-4o:", "two/local:")
    assert order(text, call(model="two/local"), **KEY) == ["two/local", "cloud_api"]


def test_an_unknown_model_is_refused_with_the_names_there_are():
    with pytest.raises(
        errors.UnknownModelError,
        match=r"strategy 'two' has no .* called 'gpt-9'; it has: cloud_api, gpt-4o, gpt-4o-mini, local,",
    ):
        order(TWO, call(model="gpt-9"), **KEY)


RULES = """
name: ruled
description: d
components:
  cloud: {type: openai_compatible, config: {provider: openai, api_key: k, default_model: gpt-4o-mini}}
  other: {type: openai_compatible, config: {provider: groq, default_model: llama-3.1-8b-instant}}
  here: {type: llamacpp, config: {engine: embedded}}
  gone: {type: vllm, config: {}}
fallback_chain: [cloud, here]
routing_rules:
"""


@pytest.mark.key("strategies[].routing_rules")
@pytest.mark.key("strategies[].routing_rules[].condition")
@pytest.mark.key("strategies[].routing_rules[].target")
def test_the_first_rule_that_holds_puts_its_target_in_front():
    text = RULES + "  - {condition: urgent, target: other}\n"
    assert order(text, call(), GROQ_API_KEY="k") == ["cloud", "here"]
    assert order(text, call(tags=("urgent",)), GROQ_API_KEY="k") == ["other", "cloud", "here"]


def test_a_model_named_by_the_caller_skips_the_rules():
    text = RULES + "  - {condition: urgent, target: other}\n"
    assert order(text, call(tags=("urgent",), model="here"), GROQ_API_KEY="k") == ["here", "cloud"]


def test_behind_a_local_target_only_local_ones_stay():
    text = RULES + "  - {condition: private, target: here}\n"
    assert order(text, call(tags=("private",))) == ["here"]


@pytest.mark.key("strategies[].routing_rules[].fallback")
def test_fallback_says_what_stays_behind():
    text = RULES + "  - {condition: private, target: here, fallback: true}\n"
    assert order(text, call(tags=("private",))) == ["here", "cloud"]
    text = RULES + "  - {condition: urgent, target: other, fallback: false}\n"
    assert order(text, call(tags=("urgent",)), GROQ_API_KEY="k") == ["other"]


def test_a_rule_to_a_cloud_target_that_cannot_take_it_is_passed_over():
    text = RULES + "  - {condition: urgent, target: other}\n  - {condition: input.length > 0, target: here}\n"
    assert order(text, call(tags=("urgent",))) == ["here"]


def test_a_rule_to_a_local_target_that_cannot_take_it_refuses():
    text = RULES + "  - {condition: private, target: here}\n" + "constraints: {blocked_models: ['smol*']}\n"
    with pytest.raises(errors.NoTargetError, match=r"rule 'private'.*here.*blocked_models has smol\*"):
        order(text, call(tags=("private",)))


@pytest.mark.key("strategies[].routing_rules[].priority")
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("low", "normal", "here"),
        ("high", "normal", "cloud"),
        ("normal", "normal", "cloud"),
        ("critical", "50", "cloud"),
        ("high", "50", "here"),
        ("-3", "low", "cloud"),
    ],
)
def test_priority_decides_before_file_order(first, second, expected):
    rules = f"  - {{condition: a, target: cloud, priority: {first}}}\n  - {{condition: a, target: here, priority: {second}}}\n"
    assert order(RULES + rules, call(tags=("a",)))[0] == expected


@pytest.mark.key("strategies[].timezone")
def test_a_rule_sees_the_time_of_the_snapshot():
    text = RULES + "  - {condition: time.hour == 12, target: here}\n"
    assert order(text) == ["here"]


def test_explain_shows_every_rule_and_target():
    text = (
        RULES
        + "  - {condition: urgent, target: other}\n  - {condition: a, target: here}\n  - {condition: a, target: cloud}\n"
    )
    shown = planning.explain(routing(text), call(tags=("urgent", "a")), snapshot())
    assert [(rule.condition, rule.matched, rule.note) for rule in shown.rules] == [
        ("urgent", True, "passed over: GROQ_API_KEY is not set"),
        ("a", True, ""),
        ("a", True, "an earlier rule decides"),
    ]
    assert names(shown.order) == ["here"]
    assert {v.target.name: v.eligible for v in shown.verdicts} == {
        "cloud": True,
        "other": False,
        "here": True,
        "gone": False,
    }
    assert shown.worst_case == 0
    assert shown.input_tokens > 0
    assert shown.refusal is None


def test_explain_tells_a_refusal_instead_of_raising():
    shown = planning.explain(routing(TWO), call(), snapshot())
    assert shown.order == ()
    assert "OPENAI_API_KEY is not set" in str(shown.refusal)
    assert shown.worst_case is None


def test_a_target_elsewhere_does_not_stay_behind_a_local_one():
    rented = "  rented: {type: vllm, config: {base_url: 'https://gpu.example/v1', default_model: m}}\n"
    text = RULES.replace("  gone:", rented + "  gone:").replace("[cloud, here]", "[cloud, here, rented]")
    text += "  - {condition: private, target: here}\n"
    assert order(text) == ["cloud", "here", "rented"]
    assert order(text, call(tags=("private",))) == ["here"]


def test_equal_targets_are_one_whatever_the_provider_is_called():
    chain = """
    name: same
    description: d
    components:
      a: {type: openai_compatible, config: {provider: openai, api_key: k, base_url: 'https://x.example/v1', default_model: m}}
      b: {type: openai_compatible, config: {provider: custom, api_key: "${K}", base_url: 'https://x.example/v1', default_model: m}}
    fallback_chain: [a, b]
    """
    assert order(chain, K="k") == ["a"]
    assert order(chain, K="other") == ["a", "b"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://localhost:18999/v1", "http://LOCALHOST:18999/v1", True),
        ("http://x.example/v1", "HTTP://x.example:80/v1/", True),
        ("https://x.example:443/v1", "https://X.example/v1", True),
        ("https://x.example:80/v1", "https://x.example/v1", False),
        ("http://x.example/v1", "http://x.example/V1", False),
    ],
)
def test_one_address_in_two_spellings_is_one_target(one, other, same):
    text = f"""
        name: one
        description: d
        components:
          a: {{type: openai_compatible, config: {{provider: custom, base_url: '{one}', default_model: m}}}}
          b: {{type: openai_compatible, config: {{provider: custom, base_url: '{other}', default_model: m}}}}
        fallback_chain: [a, b]
    """
    assert order(text) == (["a"] if same else ["a", "b"])


def test_two_files_under_one_name_are_two_models():
    text = """
        name: one
        description: d
        components:
          a: {type: llamacpp, config: {default_model: mine, models: [{name: mine, source: ./a.gguf}]}}
          b: {type: llamacpp, config: {default_model: mine, models: [{name: mine, source: ./b.gguf}]}}
          c: {type: llamacpp, config: {default_model: mine, models: [{name: mine, source: ./a.gguf}]}}
        fallback_chain: [a, b, c]
    """
    assert order(text) == ["a", "b"]
