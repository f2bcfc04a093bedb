"""Every golden strategy file is accepted with its normal form, or refused with exactly its report."""

import json
from pathlib import Path

import pytest

from llamafarm import spec
from llamafarm.errors import ConfigError
from llamafarm.spec.report import render
from tests.spec.golden_files import ENV, FOLDER, GOLDEN, compare, files, load, read


@pytest.mark.parametrize("path", files("accepted"))
def test_accepted(path: Path):
    text = read(path)
    document = load(text)
    said = {"normal_form": spec.normal_form(document), "findings": [str(finding) for finding in document.findings]}
    compare(path.with_suffix(".json"), json.dumps(said, indent=1, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("path", files("accepted"))
def test_normal_form_loads_to_the_same_file(path: Path):
    document = load(read(path))
    if "literal-api-key" in str(spec.load_text(read(path).replace("llamafarm:", ""), env=ENV, folder=FOLDER).findings):
        pytest.skip("a literal API key is never written out")
    again = load(json.dumps(spec.normal_form(document), ensure_ascii=False))
    assert again.file == document.file
    assert spec.normal_form(again) == spec.normal_form(document)


@pytest.mark.parametrize("path", files("refused"))
def test_refused(path: Path):
    text = read(path)
    with pytest.raises(ConfigError) as refused:
        load(text)
    findings = refused.value.findings
    assert findings, "an error says where"
    assert str(findings[0].message) in render(findings, {})
    compare(path.with_suffix(".txt"), render(findings, {"strategies.yaml": text}) + "\n")
    assert "canary" not in render(findings, {"strategies.yaml": text}) + str(refused.value)


def test_there_are_a_few_hundred_and_none_is_left_over():
    accepted, refused = files("accepted"), files("refused")
    assert len(accepted) >= 90
    assert len(accepted) + len(refused) >= 250
    for folder, suffix in (("accepted", ".json"), ("refused", ".txt")):
        stems = {path.stem for path in (GOLDEN / folder).glob("*.yaml")}
        assert stems == {path.stem for path in (GOLDEN / folder).glob(f"*{suffix}")}
