"""What `check` says beyond the loader: each code with its place, and what must stay silent."""

from __future__ import annotations

import textwrap

import pytest

from llamafarm import spec
from llamafarm.check import check, check_vendors
from llamafarm.hardware import Gpu, Hardware

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
    assert found[0].message == "MY_KEY is not set: until it is, requests pass over cloud_api, second"


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


def test_vendors_are_checked_in_a_file_that_has_other_errors():
    text = """
strategies:
  - name: s
    componnts: {}
    components:
      a: {type: openai_compatible, config: {provider: opnai}}
      b: {type: openai_compatible, config: {provider: "${VENDOR}"}}
      c: nonsense
      d: {type: openai_compatible, config: {provider: custom}}
    fallback_chain:
      - a
      - {name: e, type: openai_compatible, config: {provider: grok}}
  - nonsense
"""
    assert [(finding.line, finding.column, finding.path) for finding in check_vendors(text, "f.yaml")] == [
        (6, 55, "strategies[0].components.a.config.provider"),
        (12, 63, "strategies[0].fallback_chain[1].config.provider"),
    ]


@pytest.mark.parametrize("text", ["", "- a", "strategies: 1", "strategies: [", "strategies: [{components: [1]}]"])
def test_vendors_of_what_is_no_strategy_file(text):
    assert check_vendors(text, "f.yaml") == ()
