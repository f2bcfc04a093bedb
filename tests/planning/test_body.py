"""What is sent to a target."""

import pytest

from llamafarm.planning import body_for
from llamafarm.types import Operation
from tests.making import call, routing

TEXT = """
name: one
description: d
components:
  cloud:
    type: openai_compatible
    config: {provider: openai, api_key: k, default_model: gpt-4o-mini%s}
"""


def body(config="", constraints="", operation=Operation.CHAT, target="cloud", **asked):
    made = call(**asked)
    made.operation = operation
    known = routing(TEXT % config + (f"constraints: {{{constraints}}}" if constraints else ""))
    return body_for(made, known.named[target], known.strategy.constraints)


def test_the_targets_model_and_the_callers_own_fields_are_sent():
    sent = body(temperature=0.5, some_new_field={"a": 1})
    assert sent["model"] == "gpt-4o-mini"
    assert sent["temperature"] == 0.5
    assert sent["some_new_field"] == {"a": 1}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", 0.25),
        ("top_p", 0.5),
        ("top_k", 7),
        ("max_tokens", 33),
        ("stop", ["END"]),
        ("seed", 4),
        ("frequency_penalty", 0.5),
        ("presence_penalty", -0.5),
        ("reasoning_effort", "low"),
    ],
)
def test_defaults_apply_where_the_caller_says_nothing(key, value):
    assert key not in body()
    assert body(f", {key}: {value}")[key] == value
    assert body(f", {key}: {value}", **{key: 1})[key] == 1
    assert body(f", models: {{gpt-4o-mini: {{{key}: {value}}}}}")[key] == value, "a model's own"


def test_a_models_own_default_wins_over_its_components():
    assert body(", seed: 1, models: {gpt-4o-mini: {seed: 2}}")["seed"] == 2


def test_a_default_output_limit_gives_way_to_either_of_the_callers():
    assert "max_tokens" not in body(", max_tokens: 33", max_completion_tokens=5)


def test_a_system_prompt_goes_in_front_unless_the_caller_has_one():
    sent = body(", system_prompt: Be brief.")
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert len(sent["messages"]) == 2
    own = [{"role": "developer", "content": "Mine."}, {"role": "user", "content": "Hi"}]
    assert body(", system_prompt: Be brief.", messages=own)["messages"] == own


@pytest.mark.key("strategies[].constraints.max_output_tokens")
def test_max_output_tokens_lowers():
    assert body(constraints="max_output_tokens: 50", max_tokens=80)["max_tokens"] == 50
    assert body(constraints="max_output_tokens: 50", max_tokens=8)["max_tokens"] == 8
    assert body(constraints="max_output_tokens: 50")["max_tokens"] == 50
    assert body(constraints="max_output_tokens: 50", max_completion_tokens=80)["max_completion_tokens"] == 50


@pytest.mark.key("strategies[].constraints.max_tokens")
def test_max_tokens_leaves_the_answer_what_the_prompt_does_not_take():
    made = call("x" * 400)
    known = routing(TEXT % "" + "constraints: {max_tokens: 500}")
    made.input_tokens = 104
    assert body_for(made, known.named["cloud"], known.strategy.constraints)["max_tokens"] == 396


def test_a_private_strategy_asks_the_vendor_to_keep_nothing():
    asked = {"user": "ann", "metadata": {"a": "b"}, "store": True}
    kept = body(**asked)
    assert {"user", "metadata", "store"} <= kept.keys()
    sent = body(constraints="privacy_mode: private", **asked)
    assert not {"user", "metadata"} & sent.keys()
    assert sent["store"] is False


@pytest.mark.parametrize(
    "name",
    ["user_id", "user_profile_id", "session_id", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"],
)
def test_a_private_strategy_sends_nothing_by_which_a_vendor_groups_or_keeps(name):
    assert body(**{name: "24h"})[name] == "24h"
    assert name not in body(constraints="privacy_mode: private", **{name: "24h"})


def test_who_resells_is_asked_to_pass_it_only_to_those_who_keep_nothing():
    text = TEXT.replace("provider: openai", "provider: openrouter")
    assert text != TEXT
    for privacy, wanted in (("public", {"sort": "price"}), ("private", {"sort": "price", **KEPT_BY_NOBODY})):
        known = routing(text % "" + f"constraints: {{privacy_mode: {privacy}}}")
        made = call(provider={"sort": "price"})
        assert body_for(made, known.named["cloud"], known.strategy.constraints)["provider"] == wanted
    assert body_for(call(), known.named["cloud"], known.strategy.constraints)["provider"] == KEPT_BY_NOBODY


KEPT_BY_NOBODY = {"data_collection": "deny", "zdr": True}


def test_embeddings_take_no_defaults():
    sent = body(", temperature: 0.5, system_prompt: x", operation=Operation.EMBEDDING, input=["a"])
    assert "temperature" not in sent


def test_the_callers_body_stays_as_it_is():
    made = call(max_tokens=80)
    known = routing(TEXT % ", system_prompt: x" + "constraints: {max_output_tokens: 5}")
    body_for(made, known.named["cloud"], known.strategy.constraints)
    assert made.body == {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 80}


def test_no_other_name_for_the_output_limit_gets_past_it():
    assert body(n_predict=-1)["n_predict"] == -1, "where nothing limits it, it is the caller's affair"
    for name in ("n_predict", "num_predict", "max_new_tokens", "max_output_tokens", "max_length"):
        for asked, cap in ((-1, 5), (3, 3), (40, 5)):
            sent = body(constraints="max_output_tokens: 5", **{name: asked})
            assert sent["max_tokens"] == cap
            assert name not in sent
