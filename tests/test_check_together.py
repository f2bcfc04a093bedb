"""Mistakes of different kinds in one file all come out in one run, and none of them makes another one up."""

from __future__ import annotations

import copy
import functools

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llamafarm import spec
from llamafarm.check import check
from llamafarm.errors import ConfigError, Severity

KEYS = {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k"}
SOUND = """
strategies:
  - name: first
    description: d
    components:
      big: {type: openai_compatible, config: {provider: openai, default_model: gpt-4o, models: {gpt-4o-mini: {temperature: 0}}}}
      small: {type: openai_compatible, config: {provider: groq, default_model: llama-3.1-8b-instant, price: {input: 1, output: 2}}}
      here: {type: llamacpp, config: {engine: embedded}}
    fallback_chain: [big, {name: second, type: big, config: {default_model: gpt-4o-mini}}, small, here]
    routing_rules:
      - {condition: urgent, target: small}
      - {condition: input.length > 9000, target: big, priority: high}
      - {condition: input.is_code, target: gpt-4o-mini}
    load_balancing: {policy: weighted, weights: {big: 1, small: 2}}
    aliases: {fast: small, best: big}
    optimization: {timeout_seconds: 30, retry_policy: {max_attempts: 2}}
    monitoring: {log_level: INFO, log_format: json}
    constraints: {max_tokens: 8000, blocked_models: [o1*]}
  - name: second
    description: d
    components:
      other: {type: ollama, config: {default_model: qwen3}}
      here: {type: llamacpp, config: {}}
    fallback_chain: [other, here]
    routing_rules: [{condition: private, target: here}]
    monitoring: {log_level: INFO}
    constraints: {privacy_mode: local_only}
"""
MISTAKES = {
    "strategies.0.description": (None, "no-description strategies[0].name"),
    "strategies.0.timezone": ("Europe/Berln", "bad-value strategies[0].timezone"),
    "strategies.0.fallback_chan": ([], "unknown-key strategies[0].fallback_chan"),
    "strategies.0.components.big.config.default_model": (
        5,
        "wrong-type strategies[0].components.big.config.default_model",
    ),
    "strategies.0.components.big.config.timout": (5, "unknown-key strategies[0].components.big.config.timout"),
    "strategies.0.components.big.config.supports": ("json", "wrong-type strategies[0].components.big.config.supports"),
    "strategies.0.components.small.config.provider": (
        "grok",
        "unknown-provider strategies[0].components.small.config.provider",
    ),
    "strategies.0.components.small.config.model": ("x", "unknown-key strategies[0].components.small.config.model"),
    "strategies.0.components.small.config.api_key": (
        "gsk",
        "literal-api-key strategies[0].components.small.config.api_key",
    ),
    "strategies.0.components.here.config.default_model": (
        "nosuch",
        "unknown-model strategies[0].components.here.config.default_model",
    ),
    "strategies.0.components.lost": (
        {"type": "openai_compatible", "config": {"provider": "openai"}},
        "no-model strategies[0].components.lost",
        "unreachable-target strategies[0].components.lost",
    ),
    "strategies.0.components.tuner": (
        {"type": "pytorch"},
        "missing-key strategies[0].components.tuner.config",
        "not-yet-active strategies[0].components.tuner.type",
    ),
    "strategies.0.fallback_chain.1.type": ("bigg", "unknown-type strategies[0].fallback_chain[1].type"),
    "strategies.0.fallback_chain.1.config.temperature": (
        9,
        "out-of-range strategies[0].fallback_chain[1].config.temperature",
    ),
    "strategies.0.routing_rules.0.target": ("smal", "undefined-target strategies[0].routing_rules[0].target"),
    "strategies.0.routing_rules.1.condition": (
        "input.lenght > 5",
        "bad-condition strategies[0].routing_rules[1].condition",
    ),
    "strategies.0.routing_rules.1.priority": ("hgh", "bad-value strategies[0].routing_rules[1].priority"),
    "strategies.0.routing_rules.2.condition": ("1 > 2", "rule-never-matches strategies[0].routing_rules[2].condition"),
    "strategies.0.load_balancing.policy": ("wieghted", "bad-value strategies[0].load_balancing.policy"),
    "strategies.0.load_balancing.weights.here": (-1, "out-of-range strategies[0].load_balancing.weights.here"),
    "strategies.0.load_balancing.targets": (["big"], "targets-or-weights strategies[0].load_balancing"),
    "strategies.0.aliases.best": ("bgi", "undefined-target strategies[0].aliases.best"),
    "strategies.0.aliases.small": ("big", "name-taken strategies[0].aliases.small"),
    "strategies.0.aliases.smollm2-135m-instruct": ("big", "name-taken strategies[0].aliases.smollm2-135m-instruct"),
    "strategies.0.optimization.timout": (3, "unknown-key strategies[0].optimization.timout"),
    "strategies.0.optimization.retry_policy.max_attempts": (
        0,
        "out-of-range strategies[0].optimization.retry_policy.max_attempts",
    ),
    "strategies.0.monitoring.alerts": (
        [{"type": "error_rate", "threshold": 5}, {"type": "budget"}],
        "out-of-range strategies[0].monitoring.alerts[0].threshold",
        "missing-key strategies[0].monitoring.alerts[1]",
        "not-yet-active strategies[0].monitoring.alerts",
    ),
    "strategies.0.constraints.max_tokens": ("5", "wrong-type strategies[0].constraints.max_tokens"),
    "strategies.0.constraints.max_input_tokens": (9000, "token-limits-conflict strategies[0].constraints.max_tokens"),
    "strategies.0.constraints.blocked_models": (["llama-*"], "ineligible-target strategies[0].components.small"),
    "strategies.1.name": ("first", "duplicate-name strategies[1].name"),
    "strategies.1.components.other.config.base_url": (
        "ftp://x",
        "bad-value strategies[1].components.other.config.base_url",
    ),
    "strategies.1.components.other.config.default_model": (
        "glm:cloud",
        "remote-under-local-only strategies[1].components.other.config.default_model",
    ),
    "strategies.1.components.here.confg": ({}, "unknown-key strategies[1].components.here.confg"),
    "strategies.1.monitoring.log_content": (
        True,
        "private-log-content strategies[1].monitoring.log_content",
        "not-yet-active strategies[1].monitoring.log_content",
    ),
    "strategies.1.monitoring.otlp_endpoint": (
        "https://x.example",
        "remote-under-local-only strategies[1].monitoring.otlp_endpoint",
        "not-yet-active strategies[1].monitoring.otlp_endpoint",
    ),
    "strategies.1.constraints.max_tokns": (5, "unknown-key strategies[1].constraints.max_tokns"),
    "store": ("redis://cache.example", "remote-under-local-only store", "not-yet-active store"),
    "version": ("2", "bad-value version"),
}
"""What is put where, and all that is to be said about it."""
DEPENDENT = (
    # what leads to a component is unknown where a part of what leads there is
    ("strategies.0.components.lost", "strategies.0.fallback_chain.1.type"),
    ("strategies.0.components.lost", "strategies.0.routing_rules.0.target"),
    ("strategies.0.components.lost", "strategies.0.aliases.best"),
    ("strategies.0.components.lost", "strategies.0.load_balancing.weights.here"),
    ("strategies.0.aliases.smollm2-135m-instruct", "strategies.0.components.here.config.default_model"),
    # the one key decides what the other means
    ("strategies.0.fallback_chain.1.config.temperature", "strategies.0.fallback_chain.1.type"),
    ("strategies.0.load_balancing.targets", "strategies.0.load_balancing.weights.here"),
    ("strategies.0.constraints.max_tokens", "strategies.0.constraints.max_input_tokens"),
    ("strategies.0.components.small.config.model", "strategies.0.constraints.blocked_models"),
    ("strategies.0.components.small.config.provider", "strategies.0.constraints.blocked_models"),
)
"""Mistakes of which one rightly hides another."""


def put(whole, path, value):
    part, names = whole, [int(name) if name.isdigit() else name for name in path.split(".")]
    for name in names[:-1]:
        part = part[name]
    part[names[-1]] = value


@functools.cache
def said_of(*places):
    """Give the code and path of every finding of the sound file with mistakes at these places."""
    whole = copy.deepcopy(yaml.safe_load(SOUND))
    for place in places:
        put(whole, place, MISTAKES[place][0])
    document = spec.examine_text(yaml.safe_dump(whole, sort_keys=False), env=KEYS)
    found = (*document.findings, *check(document, KEYS))
    assert len({str(finding) for finding in found}) == len(found)
    return {f"{finding.code} {finding.path}" for finding in found}


def test_without_a_mistake_nothing_is_said():
    assert said_of() == set()


@pytest.mark.parametrize("place", MISTAKES)
def test_one_mistake_is_one_finding(place):
    assert said_of(place) == set(MISTAKES[place][1:])


@given(st.lists(st.sampled_from(sorted(MISTAKES)), min_size=2, max_size=3, unique=True))
@example(["strategies.0.components.lost", "strategies.1.components.here.confg"])
@example(["strategies.1.constraints.max_tokns", "strategies.1.monitoring.otlp_endpoint"])
@settings(max_examples=100, deadline=None)
def test_several_mistakes_are_said_together(places):
    if any(first in places and second in places for first, second in DEPENDENT):
        return
    assert said_of(*sorted(places)) == {said for place in places for said in MISTAKES[place][1:]}


def test_every_mistake_at_once():
    leading = {pair[1] for pair in DEPENDENT}
    places = [place for place in MISTAKES if place not in leading]
    assert said_of(*places) == {said for place in places for said in MISTAKES[place][1:]}


HEAD = "strategies:\n  - name: s\n    description: d\n    components:\n"
NO_MODEL = "      b: {type: openai_compatible, config: {provider: openai}}\n"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (
            HEAD + NO_MODEL + "  - {name: t, description: d, components: {x: {type: llamacpp, confg: {}}}}",
            ["no-model", "unknown-key"],
        ),
        (HEAD + NO_MODEL + "    routing_rules: [{condition: x, target: nope}]", ["no-model", "undefined-target"]),
        (HEAD + NO_MODEL + "    optimization: {timout: 3}", ["no-model", "unknown-key"]),
        (
            HEAD + "      local: {type: llamacpp}\n    load_balancing: {policy: roundrobin, targets: [local, nope],"
            " weights: {local: 1}}",
            ["targets-or-weights", "bad-value", "undefined-target"],
        ),
        (
            HEAD + "      a: {type: ollama, config: {default_model: m}}\n      b: {type: llamacpp, config: {}}\n"
            "    fallback_chain: [{name: q, type: a, config: {engin: embedded}}, {name: q, type: b}]",
            ["unknown-key", "duplicate-name"],
        ),
    ],
)
def test_what_one_error_used_to_hide(text, codes):
    document = spec.examine_text(text, env=KEYS)
    found = document.unsilenced((*document.findings, *check(document, KEYS)))
    assert [finding.code for finding in found] == codes


@pytest.mark.parametrize(
    ("part", "codes"),
    [
        ("components: {a: {type: openai_compatible, config: {provider: openai, default_model: [x]}}}", ["wrong-type"]),
        ("components: {a: {type: openai_compatible, config: {provider: openai, model: gpt-4o}}}", ["unknown-key"]),
        ("components: {a: {type: openai_compatible, model: gpt-4o, config: {provider: openai}}}", ["unknown-key"]),
        ("components: {a: {type: openai_compatible, config: [x]}}", ["wrong-type"]),
        (
            "components: {a: {type: openai_compatible, config: {prvider: openai, default_model: gpt-4o}}}",
            ["unknown-key"],
        ),
        ("components: {a: {type: openai_compatible, config: {default_model: gpt-4o}}}", ["missing-key"]),
        (
            (
                "components: {a: {type: openai_compatible, config: {provider: custom, base_url: 5, default_model: m, price: {input: 0, output: 0}}}}\n"
                "    constraints: {privacy_mode: local_only}"
            ),
            ["wrong-type"],
        ),
        (
            (
                "components: {a: {type: openai_compatible, config: {provider: openai, default_model: 5}}}\n"
                "    constraints: {allowed_models: [gpt-4o]}"
            ),
            ["wrong-type"],
        ),
        (
            (
                "components: {a: {type: openai_compatible, config: {provider: openai, default_model: mine, price: 3}}}\n"
                "    constraints: {max_cost_per_request: 1}"
            ),
            ["wrong-type"],
        ),
        (
            (
                "components: {a: {type: openai_compatible, config: {provider: openai, default_model: gpt-4o}}}\n"
                "    constraints: {allowed_models: [claude-*, 5]}"
            ),
            ["wrong-type"],
        ),
        ("components: {a: {type: llamacpp}, b: {typ: llamacpp}}\n    fallback_chain: [a, b]", ["unknown-key"]),
        ("components: {a: {type: llamacpp}, b: {type: llamacp}}\n    fallback_chain: [b, a]", ["unknown-type"]),
        ("components: {a: {type: llamacpp}}\n    routing_rules: [{condition: x > 1, target: a}]", ["bad-condition"]),
        (
            (
                "components: {a: {type: llamacpp}, b: {type: ollama, config: {default_model: m}}}\n"
                "    fallback_chain: [{type: b}, nonsense]"
            ),
            ["missing-key", "unknown-type"],
        ),
        ("descripton: d\n    components: {a: {type: llamacpp}}", ["unknown-key"]),
        ("componets: {a: {type: llamacpp}}", ["unknown-key"]),
    ],
)
def test_an_error_has_no_follower(part, codes):
    head = "strategies:\n  - name: s\n" + ("" if part.startswith("desc") else "    description: d\n")
    document = spec.examine_text(f"{head}    {part}\n", env=KEYS)
    found = document.unsilenced((*document.findings, *check(document, KEYS)))
    assert [finding.code for finding in found] == codes


def test_errors_are_raised_where_a_whole_file_is_wanted():
    with pytest.raises(ConfigError) as refused:
        spec.load_text(HEAD + NO_MODEL.replace("provider", "prvider"), env=KEYS)
    assert [finding.code for finding in refused.value.findings if finding.severity is Severity.ERROR] == ["unknown-key"]
