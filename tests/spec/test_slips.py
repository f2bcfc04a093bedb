"""What is said of slips that a parser alone explains badly: the line at fault, the unit, the word that was meant."""

from __future__ import annotations

import pytest

from llamafarm import spec
from llamafarm.errors import ConfigError
from llamafarm.spec.report import render

SOUND = """strategies:
  - name: s
    description: d
    components:
      b:
        type: openai_compatible
        config:
          provider: openai
          default_model: gpt-4o-mini
"""


def errors(text):
    """Load a text and give its errors as `LINE:COLUMN message`."""
    with pytest.raises(ConfigError) as refused:
        spec.load_text(text, "f.yaml", env={})
    return [f"{finding.line}:{finding.column} {finding.message}" for finding in refused.value.findings]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("provider: openai", "provider:openai", "8:11 a space is missing behind the colon: write `provider: …`"),
        ("provider: openai", "provider openai", "8:11 a colon is missing behind provider: write `provider: …`"),
        ("default_model: gpt-4o-mini", "default_model gpt-4o-mini", "9:11 a colon is missing behind default_model"),
        ("strategies:", "strategies", "1:1 a colon is missing behind strategies: write `strategies:`"),
        ("config:", "config", "7:9 a colon is missing behind config: write `config:`"),
        ("- name: s", "-name: s", "2:3 a space is missing behind the dash: write `- name: …`"),
        ("name: s", "name:s", "2:5 a space is missing behind the colon: write `name: …`"),
        ("b:\n", "b\n", "6:13 a colon cannot stand here"),
        ("description: d", "description: a: b", "3:19 a colon cannot stand here"),
        ("description: d", "description: d\n      and: more", "4:10 a colon cannot stand here"),
    ],
)
def test_a_missing_colon_or_space_is_said_of_its_own_line(right, wrong, said):
    (error,) = errors(SOUND.replace(right, wrong, 1))
    assert error.startswith(said)


def test_a_key_without_a_space_shows_no_value():
    (error,) = errors(SOUND.replace("provider: openai", "api_key:sk-canary-0123456789"))
    assert "canary" not in error


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("optimization: {timeout_seconds: 30s}", "expected a number of seconds above 0, found '30s': write the number"),
        ('constraints: {max_cost_per_request: "$0.10"}', "expected a number of dollars from 0 to 1,000,000,000, found"),
        ("constraints: {min_gpu_memory: 8GB}", "expected a number of gigabytes, 0 or more, found '8GB': write the num"),
        ("optimization: {initial_backoff: 1}", "initial_backoff does not belong here, but under retry_policy"),
        ('constraints: {requires_gpu: "true"}', "found 'true' (without the quotes it is true)"),
        ("constraints: {temperature: 1}", "temperature does not belong here, but in a component's config"),
        (
            "optimization: {max_tokens: 1}",
            "max_tokens does not belong here, but under constraints, or in a component's",
        ),
        ("optimization: {max_retries: 1}", "max_retries does not belong here, but in a component's config"),
        ("optimization: {timout: 1}", "did you mean timeout_seconds?"),
        ("model: gpt-4o", "did you mean default_model, in a component's config?"),
        ("temperature: 1", "temperature does not belong here, but in a component's config"),
        ("fallback_chain: [b: ]", "a step of the chain has no key of its own: write `- b`"),
        ("fallback_chain: [model_app: {}]", "write `- model_app`"),
        ("fallback_chain: [b: {timeout: 3}]", "write `- {name: …, type: b, config: …}`"),
        ("routing_rules: {condition: x, target: b}", "expected a list, found a mapping: put `- ` before condition"),
    ],
)
def test_what_was_meant(line, said):
    (error,) = errors(f"{SOUND}    {line}\n")
    assert said in error


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("modle: gpt-4o", "did you mean default_model?"),
        ("supports: [vison]", "did you mean vision?"),
        ("supports: [tool]", "did you mean tools?"),
        ("supports: [images]", "did you mean vision?"),
        ("supports: [function_calling]", "did you mean tools?"),
        ("price: {prompt: 3, output: 1}", "did you mean input?"),
    ],
)
def test_what_was_meant_in_a_config(line, said):
    (error,) = errors(f"{SOUND}          {line}\n")
    assert said in error


def test_strategies_without_a_dash():
    assert errors("strategies:\n  name: s\n  components: {}\n") == [
        "1:1 expected a list, found a mapping: put `- ` before name"
    ]


@pytest.mark.parametrize(
    ("block", "place"),
    [
        ("|\n          urgent and\n          input.lenght > 5", "13:17"),
        (">-\n\n          urgent and\n\n            input.lenght > 5", "15:19"),
        ("urgent and\n          input.lenght > 5", "12:17"),
        ('"urgent and\n          input.lenght > 5"', "12:17"),
        ("'urgent and input.lenght > 5'", "11:38"),
        ('"urgent\\x20and input.lenght > 5"', "11:20"),  # an escape: the scalar's own place
    ],
)
def test_the_place_in_a_condition_over_several_lines(block, place):
    (error,) = errors(f"{SOUND}    routing_rules:\n      - condition: {block}\n        target: b\n")
    assert error.startswith(f"{place} ")


@pytest.mark.parametrize("key", ["model", "model_name", "default_model"])
def test_a_models_name_is_shown_where_its_key_is_wrong(key):
    text = SOUND.replace("        config:", f"        {key}: gpt-4o-mini\n        config:")
    with pytest.raises(ConfigError) as refused:
        spec.load_text(text, "f.yaml", env={})
    assert f"{key}: gpt-4o-mini" in render(refused.value.findings, {"f.yaml": text})


@pytest.mark.parametrize("key", ["apikee", "tken", "sesame_open", "openai"])
def test_what_may_be_a_secret_is_hidden_under_a_key_nobody_knows(key):
    text = SOUND.replace("        config:", f"        {key}: canary0123456789\n        config:")
    with pytest.raises(ConfigError) as refused:
        spec.load_text(text, "f.yaml", env={})
    assert "canary" not in render(refused.value.findings, {"f.yaml": text})
