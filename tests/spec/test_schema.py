"""The JSON Schema says what the loader does, judged by a validator nobody here wrote."""

import json
from pathlib import Path

import jsonschema
import pytest

from llamafarm import spec
from llamafarm.errors import ConfigError, Severity
from llamafarm.spec.compose import compose
from llamafarm.spec.nodes import python_value
from llamafarm.spec.problems import Problems
from tests.spec.golden_files import ENV, FOLDER, files, read

KEYS = spec.keys()
COMMITTED = Path(__file__).parent.parent.parent / "docs" / "strategies.schema.json"

BEYOND_A_SCHEMA = {
    # two places of a file
    "duplicate-name",
    "metrics-ports-differ",
    "name-taken",
    "not-serving",
    "private-log-content",
    "remote-under-local-only",
    "undefined-target",
    # what a name or a reference turns out to be
    "bad-condition",
    "bad-interpolation",
    "unset-variable",
}
"""Codes of errors that a schema cannot find."""
ONLY_HERE = {
    "app-engine-embedded-with-url": "needs two keys",
    "app-gguf-on-vllm": "the model may be named anything",
    "chain-custom-without-url": "it may inherit one",
    "balancing-weights-not-weighted": "needs two keys",
    "balancing-weights-zero": "needs a sum",
    "chain-config-of-other-kind": "the component's type stands elsewhere",
    "chain-own-type-without-provider": "a component of that name might exist",
    "chain-type-is-vendor": "a component of that name might exist",
    "chain-undefined-component": "a component of that name might exist",
    "cloud-base-url-bad-port": "a pattern compares no numbers",
    "cloud-temperature-nan": "JSON has no such number",
    "interpolation-quoted-number": "depends on the environment",
    "interpolation-secret-as-choice": "depends on the environment",
    "interpolation-secret-as-number": "depends on the environment",
    "interpolation-wrong-type": "depends on the environment",
    "strategy-components-all-null": "null means not given",
    "strategy-timezone-path": "no list of zones",
    "strategy-timezone-unknown": "no list of zones",
}
"""Golden files that a schema cannot refuse for another reason."""


@pytest.fixture(scope="module")
def validator():
    schema = spec.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def plain(path: Path) -> object:
    problems = Problems(path.name)
    root = compose(read(path), problems)
    if root is None or problems.failed:
        pytest.skip("refused before it is a document")
    return python_value(root)


@pytest.mark.parametrize("path", files("accepted"))
def test_schema_accepts(path: Path, validator):
    assert [error.message for error in validator.iter_errors(plain(path))] == []


@pytest.mark.parametrize("path", files("accepted"))
def test_schema_accepts_the_normal_form(path: Path, validator):
    form = spec.normal_form(spec.load_text(read(path), env=ENV, folder=FOLDER))
    assert [error.message for error in validator.iter_errors(form)] == []


@pytest.mark.parametrize("path", files("refused"))
def test_schema_refuses(path: Path, validator):
    value = plain(path)
    with pytest.raises(ConfigError) as refused:
        spec.load_text(read(path), env=ENV, folder=FOLDER)
    codes = {finding.code for finding in refused.value.findings if finding.severity is Severity.ERROR}
    if codes <= BEYOND_A_SCHEMA or path.stem in ONLY_HERE:
        assert validator.is_valid(value), "a schema can say this: strike it from the list of what it cannot"
    else:
        assert not validator.is_valid(value)


def test_committed_schema_is_current():
    current = json.dumps(spec.json_schema(), indent=2, ensure_ascii=False) + "\n"
    assert COMMITTED.read_text(encoding="utf-8") == current, (
        "run: python -c 'import json; from llamafarm import spec; "
        "print(json.dumps(spec.json_schema(), indent=2, ensure_ascii=False))' > docs/strategies.schema.json"
    )


def test_every_key_is_in_the_schema():
    schema = json.dumps(spec.json_schema())
    names = {path.rsplit(".", 1)[-1].strip("[]{}") for path in KEYS}
    assert [name for name in sorted(names) if f'"{name}"' not in schema] == []


def test_descriptions_come_from_the_fields():
    definitions = spec.json_schema()["$defs"]
    assert "Seconds" in definitions["CloudConfig"]["properties"]["timeout"]["description"]
    assert definitions["CloudConfig"]["properties"]["timeout"]["default"] == 60.0
