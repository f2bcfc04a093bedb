"""Whatever the text, the loader answers: a document, or a ConfigError with places."""

import json
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamafarm import spec
from llamafarm.errors import ConfigError, Severity
from llamafarm.spec.problems import source_lines
from llamafarm.spec.report import render, to_github, to_json
from tests.spec.golden_files import ENV, FOLDER, GOLDEN

KEYS = spec.keys()
GOLDEN_TEXTS = [path.read_bytes().decode() for path in sorted(GOLDEN.rglob("*.yaml"))]
WORDS = sorted(
    {part.split("[")[0].split("{")[0].split("<")[0] for key in KEYS for part in key.split(".")}
    | {
        "openai_compatible",
        "llamacpp",
        "pytorch",
        "huggingface",
        "openai",
        "demo",
        "<<",
        "${OPENAI_API_KEY}",
        "${X",
        "",
    }
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
structures = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)),
    max_leaves=25,
)
relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def outcome(text: str) -> str:
    """Load a text and give what came of it; anything but a document or a ConfigError escapes."""
    try:
        document = spec.load_text(text, "f.yaml", env=ENV, folder=FOLDER)
    except ConfigError as error:
        return reported(error, text)
    form = spec.normal_form(document)
    again = spec.load_text(json.dumps(form, ensure_ascii=False), env=ENV, folder=FOLDER)
    assert spec.normal_form(again) == form
    return json.dumps(form)


def reported(error: ConfigError, text: str) -> str:
    assert any(finding.severity is Severity.ERROR for finding in error.findings)
    assert "\n" not in str(error)
    assert all(0 <= finding.line <= len(source_lines(text)) + 1 for finding in error.findings)
    to_github(error.findings)
    json.dumps(to_json(error.findings))
    return render(error.findings, {"f.yaml": text})


@relaxed
@given(st.text())
def test_no_text_crashes_the_loader(text):
    assert outcome(text) == outcome(text)


@relaxed
@given(st.text(alphabet=" \n\t:-[]{}&*!|>'\"#%@`<?,ab1$~\\.\r\x00\x85\u2028é😀", max_size=60))
def test_no_punctuation_crashes_the_loader(text):
    outcome(text)


@relaxed
@given(structures)
def test_no_structure_crashes_the_loader(value):
    outcome(yaml.safe_dump(value, allow_unicode=True))


@relaxed
@given(
    structures,
    st.sampled_from(["components", "fallback_chain", "routing_rules", "constraints", "monitoring", "aliases"]),
)
def test_no_structure_inside_a_strategy_crashes_the_loader(value, key):
    strategy = {"name": "demo", "components": {"cloud_api": {"type": "llamacpp"}}, key: value}
    outcome(yaml.safe_dump({"strategies": [strategy]}, allow_unicode=True))


@relaxed
@given(st.sampled_from(GOLDEN_TEXTS), st.data())
def test_no_slip_in_a_real_file_crashes_the_loader(text, data):
    at = data.draw(st.integers(0, len(text)))
    removed = data.draw(st.integers(0, 12))
    put = data.draw(st.text(alphabet=" \n:-[]{}&*!|'\"#$x0\t", max_size=4))
    outcome(text[:at] + put + text[at + removed :])


def test_hostile_texts():
    for text in (
        "[" * 200_000,
        "{" * 200_000,
        "- " * 50_000,
        "? " * 20_000,
        "a: " + "&x " * 10,
        "a: " + "9" * 100_000,
        "!" * 1000,
        "strategies: [" + "{name: a}," * 2_000 + "]",
        "\ud800",
        "k" * 200_000 + ": 1",
        '"' + "\\x00" * 1000 + '": 1',
        "a: !!float nan_",
        "a: !!int ''",
    ):
        outcome(text)


def test_loading_is_deterministic():
    for text in GOLDEN_TEXTS[::7]:
        assert outcome(text) == outcome(text)


def big(count: int) -> str:
    lines = ["strategies:", "  - name: big", "    description: Many.", "    components:"]
    for index in range(count):
        lines += [
            f"      part_{index}:",
            "        type: openai_compatible",
            "        config:",
            "          provider: openai",
            "          api_key: ${OPENAI_API_KEY}",
            f"          default_model: model-{index}",
            "          timeout: 30",
        ]
    lines.append("    routing_rules:")
    for index in range(count):
        lines += [f"      - condition: input.length > {index} and tag_{index}", f"        target: part_{index}"]
    return "\n".join(lines)


def test_a_thousand_targets_and_rules_load():
    strategy = spec.load_text(big(1000), env=ENV, folder=Path("/srv")).file.strategies[0]
    assert len(strategy.components) == len(strategy.routing_rules) == 1000
