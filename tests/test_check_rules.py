"""What `check` says of rules: those that can never act, and those that let private prompts out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamafarm import spec
from llamafarm.check import check
from llamafarm.conditions import compile_condition
from llamafarm.errors import Finding
from tests.conditions.made_conditions import CONDITIONS, FACTS

COMPONENTS = """
strategies:
  - name: s
    description: d
    components:
      cloud: {type: openai_compatible, config: {provider: openai, default_model: gpt-4o-mini}}
      other: {type: openai_compatible, config: {provider: openai, default_model: gpt-4o}}
      own: {type: openai_compatible, config: {provider: custom, base_url: "https://llm.example.com/v1", default_model: m}}
      studio: {type: openai_compatible, config: {provider: custom, base_url: "http://localhost:1234/v1", default_model: m}}
      lan: {type: ollama, config: {base_url: "http://192.168.1.7:11434", default_model: m}}
      local: {type: llamacpp, config: {engine: embedded}}
"""
RULES = "strategies[0].routing_rules"
CHAIN = "    fallback_chain: [cloud, other, own, studio, lan, local]\n"


def findings(*rules: tuple[str, str] | str, more: str = CHAIN) -> list[Finding]:
    """Check rules, each a condition and a target with what else it says; both loader and check are heard."""
    given = [(rule, "cloud") if isinstance(rule, str) else rule for rule in rules]
    lines = "".join(f"      - {{condition: '{condition}', target: {target}}}\n" for condition, target in given)
    document = spec.load_text(COMPONENTS + more + "    routing_rules:\n" + lines, "f.yaml", env={})
    said = [*document.findings, *check(document, {"OPENAI_API_KEY": "k"})]
    return [finding for finding in said if finding.path.startswith(RULES)]


def coded(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.code, finding.path.removeprefix(RULES)) for finding in found]


def test_rules_that_never_or_always_hold():
    found = findings("1 > 2", "input.length >= 0", "urgent", ("input.is_code", "cloud, priority: high"))
    assert coded(found) == [
        ("rule-never-matches", "[0].condition"),
        ("rule-always-matches", "[1].condition"),
        ("shadowed-rule", "[2]"),
    ]
    assert "[1] comes first and always holds: this rule never acts" in found[2].message


@pytest.mark.parametrize(
    "condition",
    ["input.length > 100 and input.length < 50", "input.length < 0", "time.hour == 24", "1 < input.length < 2"],
)
def test_a_rule_whose_parts_contradict_each_other(condition):
    assert coded(findings(condition, "urgent")) == [("rule-never-matches", "[0].condition")]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("input.length > 100", "input.length > 200"),
        ("urgent", "urgent and private"),
        ("urgent or not urgent", "input.is_code"),
        ('request.user in ["a", "b"]', 'request.user == "b"'),
    ],
)
def test_a_rule_behind_one_that_holds_whenever_it_does(earlier, later):
    assert ("shadowed-rule", "[1]") in coded(findings(earlier, later))
    assert ("shadowed-rule", "[0]") not in coded(findings(later, earlier))
    assert ("shadowed-rule", "[0]") in coded(findings(later, (earlier, "cloud, priority: high")))


def test_a_rule_behind_several_that_cover_it_together():
    (finding,) = findings("urgent", "input.length > 9", "urgent and input.is_code or input.length == 10")
    assert finding.code == "shadowed-rule"
    assert "routing_rules[0], strategies[0].routing_rules[1] come first" in finding.message


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (["input.length < 100", "input.length >= 100"], "urgent"),
        (["input.length < 100", "input.length >= 100"], "input.length > 50"),
        (["time.hour < 12", "urgent", "time.hour > 11 and not urgent"], "input.is_code"),
        (["request.user == null", 'request.user != "a"', 'request.user == "a"'], "input.is_code"),
        (["input.tokens <= 10.5", "input.tokens > 10.2"], "input.tokens in [3, 11]"),
    ],
)
def test_a_rule_behind_several_that_leave_nothing_between_them(earlier, later):
    found = coded(findings(*earlier, later))
    assert found == [("shadowed-rule", f"[{len(earlier)}]")]
    assert coded(findings(*earlier[1:], later)) == coded(findings(*earlier[:-1], later)) == []


def test_only_the_rules_that_are_needed_are_named():
    (finding,) = findings("urgent", "input.length < 100", "input.requires_json", "input.length >= 100", "input.is_code")
    assert "routing_rules[1], strategies[0].routing_rules[3] come first" in finding.message


@pytest.mark.parametrize(
    "earlier",
    [
        ["input.length < 100", "input.length > 100"],
        ["request.max_tokens < 100", "request.max_tokens >= 100"],  # or it is missing
        ["urgent and input.is_code", "not urgent and not input.is_code"],
    ],
)
def test_a_rule_behind_several_that_leave_something(earlier):
    assert coded(findings(*earlier, "input.requires_json")) == []


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("cloud", "local", "this rule gets only what cloud cannot take"),
        ("cloud", "cloud", "this rule never acts"),
        ("local", "cloud", "this rule never acts"),
    ],
)
def test_a_hidden_rule_gets_what_a_vendors_target_cannot_take(first, second, said):
    (finding,) = findings(("urgent", first), ("urgent and input.is_code", second))
    assert finding.code == "shadowed-rule"
    assert said in finding.message


def test_what_the_text_shows_is_left_to_the_loader():
    assert coded(findings("true", "urgent", "input.length > 0")) == [
        ("shadowed-rule", "[1]"),
        ("shadowed-rule", "[2]"),
    ]
    assert coded(findings("urgent", "urgent")) == [("duplicate-rule", "[1]")]


@pytest.mark.parametrize(
    ("condition", "acts"),
    [
        ('request.model == "gpt-4"', False),
        ('urgent and request.model in ["a", "b"]', False),
        ('request.model == "s"', True),
        ('request.model != "gpt-4"', True),
        ("request.model == null", True),
        ('request.model == "gpt-4" or urgent', True),
    ],
)
def test_a_rule_that_wants_a_model_to_be_named_is_never_asked(condition, acts):
    assert coded(findings(condition)) == ([] if acts else [("rule-never-matches", "[0].condition")])


ABLE = """
      tools: {type: openai_compatible, config: {provider: custom, base_url: "https://a.example/v1", default_model: m, supports: [tools, json]}}
      here: {type: ollama, config: {default_model: m, supports: []}}
    fallback_chain: [cloud, other, own, studio, lan, local, tools, here]
"""


@pytest.mark.parametrize(
    ("condition", "target", "said"),
    [
        ("input.requires_audio", "tools", "tools does not support audio: this rule is always passed over"),
        ("input.has_images and urgent", "tools", "tools does not support vision: this rule is always passed over"),
        ("input.requires_vision or input.requires_audio", "tools", "tools does not support audio or vision"),
        ("input.requires_json", "here", "here does not support json: this rule refuses all it holds for"),
        ("input.requires_tools", "tools", ""),
        ("input.requires_audio or urgent", "tools", ""),
        ("not input.requires_audio", "tools", ""),
        ("input.requires_json", "own", ""),
    ],
)
def test_a_rule_for_what_its_target_cannot_take(condition, target, said):
    found = findings((condition, target), more=ABLE.removeprefix("\n"))
    assert coded(found) == ([("unfit-target", "[0].target")] if said else [])
    assert all(said in finding.message for finding in found)


def test_what_a_target_supports_is_not_guessed_where_it_cannot_be_read():
    rule = "    routing_rules: [{condition: input.requires_audio, target: tools}]\n"
    text = COMPONENTS + ABLE.removeprefix("\n").replace("[tools, json]", "5") + rule
    document = spec.examine_text(text, "f.yaml", env={})
    assert [finding.code for finding in document.findings] == ["wrong-type"]
    assert "unfit-target" not in [finding.code for finding in check(document, {"OPENAI_API_KEY": "k"})]


def test_the_numbers_0_and_1_are_not_taken_for_truths():
    assert coded(findings("input.length < 1 or input.length == 1", "urgent")) == []


@given(st.lists(CONDITIONS, min_size=2, max_size=4))
@settings(max_examples=150, deadline=None)
def test_no_finding_about_a_rule_is_ever_wrong(conditions):
    rules = [compile_condition(condition) for condition in conditions]
    for code, path in coded(findings(*conditions)):
        number = int(path[1])
        for facts in FACTS:
            if facts.request.model not in (None, "s"):
                continue  # who names a model is not asked about rules
            if code == "rule-never-matches":
                assert not rules[number](facts)
            elif code == "rule-always-matches":
                assert rules[number](facts)
            elif code in ("shadowed-rule", "duplicate-rule"):
                assert not rules[number](facts) or any(rule(facts) for rule in rules[:number])


@pytest.mark.parametrize(
    ("condition", "target", "leaks"),
    [
        ("private", "cloud", True),
        ("confidential or urgent", "cloud", True),
        ("not private", "cloud", False),
        ("private and urgent", "cloud", False),
        ("urgent", "cloud", False),
        ("private", "own", False),
        ("private", "local", False),
    ],
)
def test_tagging_as_private_must_not_send_to_a_vendor(condition, target, leaks):
    found = findings((condition, target))
    assert ("privacy-leak" in [finding.code for finding in found]) is leaks


def test_a_server_here_that_is_no_application_lets_private_prompts_go_on():
    (finding,) = findings(("private", "studio"))
    assert coded([finding]) == [("privacy-leak", "[0].target")]
    assert "goes on to cloud, other where studio fails" in finding.message
    assert "`fallback: false`, or use an application type with base_url" in finding.message


def test_an_application_on_another_machine_does_so_too():
    (finding,) = findings(("private", "lan"))
    assert "goes on to cloud, other where lan fails" in finding.message
    assert finding.message.endswith("`fallback: false`")


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        (("private", "studio, fallback: false"), CHAIN),
        (("private", "studio, fallback: true"), CHAIN),  # as somebody wrote down
        (("private", "studio"), "    fallback_chain: [studio, own, local]\n"),
        (("private", "studio"), "    constraints: {privacy_mode: local_only}\n" + CHAIN),
        (("urgent", "studio"), CHAIN),
    ],
)
def test_a_server_here_that_lets_nothing_out(rule, more):
    assert "privacy-leak" not in [finding.code for finding in findings(rule, more=more)]


@pytest.mark.parametrize(("condition", "never"), [("input.tokens > 2000", True), ("input.tokens > 200", False)])
def test_a_rule_for_prompts_that_a_limit_refuses_never_acts(condition, never):
    text = f"""
strategies:
  - name: s
    description: d
    components: {{a: {{type: openai_compatible, config: {{provider: openai, default_model: gpt-4o-mini}}}}}}
    routing_rules: [{{condition: {condition}, target: a}}]
    constraints: {{max_input_tokens: 100}}
"""
    said = [finding.code for finding in check(spec.load_text(text, env={}), {"OPENAI_API_KEY": "k"})]
    assert said == (["rule-never-matches"] if never else [])
