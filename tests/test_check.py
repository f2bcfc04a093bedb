"""What `check` says beyond the loader: each code with its place, and what must stay silent."""

from __future__ import annotations

import textwrap

import pytest

from llamafarm import spec
from llamafarm.check import check
from llamafarm.hardware import Gpu, Hardware
from llamafarm.models import ModelStore

NO_GPU = Hardware(cpus=2, memory_bytes=8 * 10**9, gpus=(), reason="no GPU here")
SMALL_GPU = Hardware(cpus=2, memory_bytes=8 * 10**9, gpus=(Gpu("T4", 16 * 10**9, "cuda"),), reason="found T4")
KEYS = {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k", "AZURE_OPENAI_API_KEY": "k"}


def findings(body: str, *, environment=KEYS, hardware=None):
    """Check one strategy, given without its list marker."""
    body = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    text = f"strategies:\n  - name: s\n    description: d\n{body}\n"
    document = spec.load_text(text, "f.yaml", env=environment)
    return check(document, environment, hardware)


def coded(found):
    return [
        (str(finding.severity), finding.code, finding.path.removeprefix("strategies[0]").lstrip("."))
        for finding in found
    ]


CLOUD = """
components:
  cloud_api:
    type: openai_compatible
    config: {provider: openai, default_model: gpt-4o-mini}
"""


def test_a_sound_strategy_says_nothing():
    assert findings(CLOUD) == ()


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("opnai", "did you mean openai?"),
        ("ollama", "write `type: ollama`"),
        ("embedded", "write `type: llamacpp`"),
        ("qqqqqq", "known: "),
    ],
)
def test_an_unknown_vendor_is_an_error_with_what_was_meant(provider, said):
    (finding,) = findings(
        f"components: {{c: {{type: openai_compatible, config: {{provider: {provider}, default_model: m}}}}}}"
    )
    assert coded([finding]) == [("error", "unknown-provider", "components.c.config.provider")]
    assert said in finding.message
    assert finding.line == 4


def test_an_unknown_vendor_that_a_chain_entry_inherits_is_said_once():
    found = findings("""
        components: {c: {type: openai_compatible, config: {provider: opnai, default_model: m}}}
        fallback_chain: [{name: first, type: c}]
    """)
    assert [finding.code for finding in found] == ["unknown-provider"]


def test_a_target_without_model_or_address():
    found = findings("""
        components:
          a: {type: openai_compatible, config: {provider: groq}}
          b: {type: openai_compatible, config: {provider: azure, default_model: gpt-4o-mini}}
        fallback_chain: [a, b]
    """)
    assert coded(found) == [("error", "no-model", "components.a"), ("error", "no-address", "components.b")]
    assert "openai.azure.com" in found[1].message


def test_the_embedded_engine_has_a_model_of_its_own():
    assert findings("components: {m: {type: llamacpp, config: {}}}") == ()


def test_an_unset_key_is_an_info_for_all_who_wait_for_it():
    found = findings(
        """
        components:
          cloud_api: {type: openai_compatible, config: {provider: openai, api_key: "${MY_KEY}", default_model: gpt-4o-mini}}
        fallback_chain:
          - cloud_api
          - {name: second, type: cloud_api, config: {default_model: gpt-4o}}
        """,
        environment={},
    )
    assert coded(found) == [("info", "key-not-set", "components.cloud_api.config.api_key")]
    assert found[0].message == "MY_KEY is not set: until there is a key, requests pass over cloud_api, second"


def test_a_component_that_nothing_leads_to():
    found = findings(CLOUD + "  spare: {type: openai_compatible, config: {provider: openai, default_model: gpt-4o}}\n")
    assert coded(found) == [("warning", "unreachable-target", "components.spare")]


@pytest.mark.parametrize(
    "reach",
    [
        "routing_rules: [{condition: urgent, target: spare}]",
        "routing_rules: [{condition: urgent, target: gpt-4o}]",
        "aliases: {big: spare}",
        "load_balancing: {policy: weighted, weights: {cloud_api: 1, spare: 1}}",
        "fallback_chain: [cloud_api, spare]",
        "fallback_chain: [cloud_api, {name: other, type: spare}]",
    ],
)
def test_what_a_rule_an_alias_a_balance_or_the_chain_names_is_reached(reach):
    spare = "  spare: {type: openai_compatible, config: {provider: openai, default_model: gpt-4o}}\n"
    assert "unreachable-target" not in [finding.code for finding in findings(CLOUD + spare + reach)]


def test_the_first_component_left_out_of_the_chain_is_said_by_the_loader_alone():
    body = (
        CLOUD
        + "  other: {type: openai_compatible, config: {provider: openai, default_model: gpt-4o}}\nfallback_chain: [other]\n"
    )
    assert findings(body) == ()


@pytest.mark.parametrize(
    ("constraints", "reason"),
    [
        ("{privacy_mode: local_only}", "privacy_mode is local_only"),
        ("{allowed_models: [claude-*]}", "allowed_models does not have gpt-4o-mini"),
        ("{blocked_models: ['gpt-*']}", "blocked_models has gpt-*"),
    ],
)
def test_constraints_that_leave_nobody_are_an_error(constraints, reason):
    (finding,) = findings(CLOUD + f"constraints: {constraints}")
    assert coded([finding]) == [("error", "no-eligible-target", "constraints")]
    assert reason in finding.message


def test_a_target_that_the_constraints_rule_out_beside_another_is_a_warning():
    found = findings(
        CLOUD
        + """
  model_app: {type: llamacpp, config: {}}
fallback_chain: [cloud_api, model_app]
constraints: {privacy_mode: local_only}
"""
    )
    assert coded(found) == [("warning", "ineligible-target", "components.cloud_api")]


def test_a_missing_key_never_makes_a_file_wrong():
    assert [str(finding.severity) for finding in findings(CLOUD, environment={})] == ["info"]


def test_what_this_version_does_not_speak_yet_never_makes_a_file_wrong():
    assert findings("components: {m: {type: ollama, config: {default_model: 'llama3.2:3b'}}}") == ()


@pytest.mark.parametrize("model", ["gpt-oss:120b-cloud", "glm-4.6:cloud"])
def test_models_that_ollama_runs_elsewhere_are_refused_under_local_only(model):
    found = findings(
        f"""
        components: {{m: {{type: ollama, config: {{default_model: "{model}"}}}}, e: {{type: llamacpp, config: {{}}}}}}
        fallback_chain: [m, e]
        constraints: {{privacy_mode: local_only}}
        """
    )
    assert coded(found) == [("error", "remote-under-local-only", "components.m.config.default_model")]


def test_a_model_called_cloud_something_is_no_cloud_model():
    body = (
        "components: {m: {type: ollama, config: {default_model: 'cloudy:7b'}}}\nconstraints: {privacy_mode: local_only}"
    )
    assert findings(body) == ()


def test_a_gpu_that_is_missing():
    gpu = "components: {m: {type: llamacpp, config: {}}}\nconstraints: {requires_gpu: true}"
    assert findings(gpu) == ()
    (finding,) = findings(gpu, hardware=NO_GPU)
    assert coded([finding]) == [("error", "no-eligible-target", "constraints.requires_gpu")]
    assert "no GPU here" in finding.message


def test_a_gpu_that_is_too_small_for_the_local_target_alone():
    found = findings(
        CLOUD + "  m: {type: llamacpp, config: {}}\nfallback_chain: [cloud_api, m]\nconstraints: {min_gpu_memory: 24}",
        hardware=SMALL_GPU,
    )
    assert coded(found) == [("info", "hardware", "constraints.min_gpu_memory")]
    assert "16.0 GB" in found[0].message


def test_a_model_without_a_price():
    unpriced = "components: {c: {type: openai_compatible, config: {provider: openai, default_model: gpt-4o-mni}}}\n"
    (finding,) = findings(unpriced)
    assert coded([finding]) == [("info", "no-price", "components.c.config.default_model")]
    assert "did you mean gpt-4o-mini?" in finding.message
    found = findings(unpriced + "constraints: {max_cost_per_request: 0.1}")
    assert ("error", "no-eligible-target", "constraints") in coded(found)
    assert ("warning", "no-price", "components.c.config.default_model") in coded(found)


def test_a_price_of_ones_own_is_enough():
    assert (
        findings("""
        components:
          c:
            type: openai_compatible
            config: {provider: openai, default_model: my-tuned, price: {input: 1, output: 2}}
        constraints: {max_cost_per_request: 0.1}
        """)
        == ()
    )


def test_a_retired_model_is_an_info():
    (finding,) = findings(
        "components: {c: {type: openai_compatible, config: {provider: openai, default_model: gpt-3.5-turbo}}}"
    )
    assert coded([finding]) == [("info", "retired-model", "components.c.config.default_model")]


def test_chat_requests_are_not_merged():
    found = findings(CLOUD + "optimization: {batch_size: 10}")
    assert coded(found) == [("info", "chat-not-batched", "optimization.batch_size")]


def test_a_comment_silences_a_warning():
    spare = "  spare: {type: llamacpp, config: {}}  # llamafarm: ignore[unreachable-target]\n"
    assert findings(CLOUD + spare) == ()


def test_every_strategy_of_a_file_is_checked():
    text = "strategies:\n" + "".join(
        f"  - name: {name}\n    description: d\n    components: {{c: {{type: openai_compatible, config: {{provider: x, default_model: m}}}}}}\n"
        for name in "ab"
    )
    document = spec.load_text(text, "f.yaml", env={})
    assert [finding.line for finding in check(document, {})] == [4, 7]


@pytest.mark.parametrize(
    ("config", "code", "path"),
    [
        ("{engine: embedded, default_model: 'qwen3:4b'}", "unknown-model", "default_model"),
        ("{default_model: ./nope.gguf}", "no-model-file", "default_model"),
        ("{default_model: mine, models: [{name: mine, source: ./nope.gguf}]}", "no-model-file", "models[0].source"),
        ("{models: [{name: mine}]}", "unknown-model", "models[0]"),
        ("{default_model: ./text.gguf}", "no-model-file", "default_model"),
    ],
)
def test_a_model_that_the_embedded_engine_can_never_load(config, code, path, tmp_path):
    (tmp_path / "text.gguf").write_text("this is no model")
    text = f"strategies: [{{name: s, description: d, components: {{m: {{type: llamacpp, config: {config}}}}}}}]"
    document = spec.load_text(text, "f.yaml", env={}, folder=tmp_path)
    severity = "error" if code == "unknown-model" else "warning"
    found = check(document, {}, None, ModelStore(tmp_path))
    assert coded(found) == [(severity, code, f"components.m.config.{path}")]
    assert coded(check(document, {})) == [entry for entry in coded(found) if severity == "error"]


@pytest.mark.parametrize(
    "config", ["{engine: server, base_url: 'http://localhost:1', default_model: any}", "{default_model: ./it.gguf}"]
)
def test_a_model_that_may_well_load(config, tmp_path):
    (tmp_path / "it.gguf").write_bytes(b"GGUF" + bytes(20))
    text = f"strategies: [{{name: s, description: d, components: {{m: {{type: llamacpp, config: {config}}}}}}}]"
    document = spec.load_text(text, "f.yaml", env={}, folder=tmp_path)
    assert check(document, {}, None, ModelStore(tmp_path)) == ()


def test_two_targets_with_the_same_mistake_are_both_named():
    found = findings("""
        components:
          a: {type: openai_compatible, config: {provider: groq}}
          b: {type: openai_compatible, config: {provider: groq}}
        fallback_chain: [a, b]
    """)
    assert coded(found) == [("error", "no-model", "components.a"), ("error", "no-model", "components.b")]


def test_a_mistake_elsewhere_in_a_target_does_not_hide_that_privacy_rules_it_out():
    found = findings("""
        components: {a: {type: openai_compatible, config: {provider: groq}}}
        constraints: {privacy_mode: local_only}
    """)
    assert coded(found) == [("error", "no-model", "components.a"), ("error", "no-eligible-target", "constraints")]


def test_an_alias_that_the_engines_own_model_hides():
    (finding,) = findings("components: {m: {type: llamacpp, config: {}}}\naliases: {smollm2-135m-instruct: m}")
    assert coded([finding]) == [("error", "name-taken", "aliases.smollm2-135m-instruct")]


KEYED = """
components:
  cloud_api: {type: openai_compatible, config: {provider: openai, api_key: "${OPENAI_API_KEY}", default_model: gpt-4o}}
fallback_chain:
  - cloud_api
  - {name: other, type: cloud_api, config: %s}
"""


@pytest.mark.parametrize(
    ("config", "key", "said"),
    [
        (
            "{provider: groq, default_model: llama-3.1-8b-instant}",
            "provider",
            "other sends api.groq.com the API key of",
        ),
        ("{provider: groq, default_model: llama-3.1-8b-instant}", "provider", "like ${GROQ_API_KEY}"),
        ("{base_url: 'https://proxy.example/v1', price: {input: 1, output: 1}}", "base_url", "like ${ITS_API_KEY}"),
    ],
)
def test_a_key_that_goes_to_another_vendor_is_a_warning(config, key, said):
    (finding,) = [found for found in findings(KEYED % config) if found.code == "key-of-another-vendor"]
    assert coded([finding]) == [("warning", "key-of-another-vendor", f"fallback_chain[1].config.{key}")]
    assert said in finding.message


@pytest.mark.parametrize(
    "config",
    [
        '{provider: groq, api_key: "${GROQ_API_KEY}", default_model: llama-3.1-8b-instant}',
        "{default_model: gpt-4o-mini}",
        "{base_url: 'https://eu.api.openai.com/v1'}",
        "{base_url: 'http://127.0.0.1:4000/v1'}",
    ],
)
def test_a_key_that_stays_with_its_owner_is_not(config):
    assert "key-of-another-vendor" not in [finding.code for finding in findings(KEYED % config)]


LONG = "system_prompt: 'You help the staff of a large farm with many llamas, and never say more than you are asked to.'"


@pytest.mark.parametrize(
    ("config", "limits", "said"),
    [
        ("", "max_cost_per_request: 0", "with a single token of prompt and answer it could cost"),
        (LONG, "max_input_tokens: 5", "its system_prompt included, and max_input_tokens is 5"),
        (LONG, "max_tokens: 3", "leaves none of max_tokens (3)"),
    ],
)
def test_limits_that_no_request_can_keep_leave_nobody(config, limits, said):
    body = (
        f"components: {{c: {{type: openai_compatible, config: {{provider: openai, default_model: gpt-4o, {config}}}}}}}"
    )
    (finding,) = findings(f"{body}\nconstraints: {{{limits}}}")
    assert finding.code == "no-eligible-target"
    assert said in finding.message


@pytest.mark.parametrize("limits", ["max_cost_per_request: 0.02", "max_input_tokens: 20", "max_tokens: 20"])
def test_limits_that_a_short_request_keeps_are_no_error(limits):
    assert findings(f"{CLOUD}\nconstraints: {{{limits}}}") == ()


@pytest.mark.parametrize(
    ("name", "said"), [("missing", "missing does not exist"), ("folder", "it is a folder"), ("empty", "empty is empty")]
)
def test_a_key_in_a_file_that_cannot_be_read_says_why(tmp_path, name, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    body = CLOUD.replace("{provider", f'{{api_key: "${{file:{tmp_path / name}}}", provider')
    (finding,) = findings(body)
    assert finding.code == "key-not-set"
    assert said in finding.message


CHAIN = """
components:
  a: {type: openai_compatible, config: {provider: openai, default_model: gpt-4o-mini%s}}
  b: {type: openai_compatible, config: {provider: openai, default_model: gpt-4o-mini%s}}
fallback_chain: [a, b]
"""


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("", "", True),
        ("", ", temperature: 1", True),
        (", base_url: http://127.0.0.1:1/v1", ", base_url: http://127.0.0.1:1/v1", True),
        ("", ", base_url: http://127.0.0.1:1/v1", False),
        (", api_key: one", ", api_key: another", False),
    ],
)
def test_an_entry_of_the_chain_that_is_a_target_once_more_stands_in_for_nobody(first, second, said):
    found = [finding for finding in findings(CHAIN % (first, second)) if finding.code == "same-target"]
    assert coded(found) == ([("warning", "same-target", "fallback_chain[1]")] if said else [])
    assert all("b is the same target as a" in finding.message for finding in found)


def test_targets_are_not_called_the_same_where_a_key_could_not_be_read():
    body = textwrap.indent((CHAIN % ("", ", api_key: 5.5")).strip(), "    ")
    document = spec.examine_text(f"strategies:\n  - name: s\n    description: d\n{body}\n", "f.yaml", env=KEYS)
    assert [finding.code for finding in document.findings] == ["wrong-type"]
    assert "same-target" not in [finding.code for finding in check(document, KEYS)]
