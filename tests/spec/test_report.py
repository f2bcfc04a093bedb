"""Findings as text, JSON and GitHub annotations."""

import json

import pytest

from llamafarm.errors import Finding, Severity
from llamafarm.spec.report import render, summary, to_github, to_json


def finding(
    line=1, column=1, message="is wrong", *, path="a.b", code="bad-value", severity=Severity.ERROR, file="f.yaml"
):
    return Finding(file, line, column, path, code, severity, message)


def caret(text: str, column: int) -> tuple[str, int]:
    _, source, pointer, _ = render([finding(1, column)], {"f.yaml": text}).split("\n")
    return source.removeprefix("  1 | "), pointer.removeprefix("    | ").index("^")


def test_the_caret_stands_under_the_place():
    source, at = caret("name: value", 7)
    assert source[at:] == "value"


def test_tabs_are_as_wide_before_the_caret_as_in_the_line():
    source, at = caret("name:\t\tvalue", 8)
    assert source[at:] == "value"


def test_wide_and_combining_characters_count_as_terminals_show_them():
    assert caret("説明: x", 5)[1] == 6
    assert caret("e\u0301: x", 5)[1] == 3


def test_a_long_line_is_cut_on_both_sides():
    source, at = caret("x" * 500 + "HERE" + "y" * 500, 501)
    assert source[at : at + 4] == "HERE"
    assert source.startswith("…")
    assert source.endswith("…")
    assert len(source) <= 102


def test_control_characters_do_not_reach_the_terminal():
    assert "\x1b" not in render([finding()], {"f.yaml": "a: \x1b[31mred"})


def test_a_finding_about_the_whole_file_is_one_line():
    assert render([finding(0, 0, path="")], {"f.yaml": "a: 1"}) == "f.yaml: error[bad-value]: is wrong\n1 error"


def test_a_place_beyond_the_text_is_one_line():
    assert render([finding(99, 1)], {"f.yaml": "a: 1"}).count("\n") == 1
    assert render([finding()], {}).count("\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        "api_key: CANARY",
        "apiKey: 'CANARY with blanks'",
        '"api-key": "CANARY \\" more"',
        "config: {provider: openai, api_key: CANARY, timeout: 3}",
        "HF_TOKEN: CANARY # comment",
        "password: CANARY",
        "anything: sk-CANARY123456",
        "- hf_CANARY1234567",
        "url: https://user:CANARY@host/v1",
    ],
)
def test_secrets_of_the_line_are_masked(line):
    shown = render([finding()], {"f.yaml": line})
    assert "CANARY" not in shown
    assert "*" in shown


def test_a_secret_on_the_line_below_its_key_is_masked():
    shown = render([finding(2, 3, path="config.api_key", code="literal-api-key")], {"f.yaml": "api_key:\n  CANARY"})
    assert "CANARY" not in shown


def test_a_key_that_is_pointed_at_stays_readable():
    shown = render([finding(1, 1, path="config.api_key", code="duplicate-key")], {"f.yaml": "api_key: CANARY"})
    assert "api_key: ******" in shown


def test_a_reference_is_no_secret():
    assert "${OPENAI_API_KEY}" in render([finding()], {"f.yaml": "api_key: ${OPENAI_API_KEY}"})


def test_summary_counts_by_severity():
    kinds = [Severity.ERROR, Severity.ERROR, Severity.WARNING]
    assert summary([finding(severity=kind) for kind in kinds]) == "2 errors, 1 warning"
    assert summary([]) == "no problems"


def test_json_has_every_field():
    assert json.loads(json.dumps(to_json([finding(3, 4)]))) == {
        "findings": [
            {
                "file": "f.yaml",
                "line": 3,
                "column": 4,
                "path": "a.b",
                "code": "bad-value",
                "severity": "error",
                "message": "is wrong",
            }
        ]
    }


def test_github_annotations_are_escaped():
    odd = finding(3, 4, "100% of\nlines: a,b", file="a,b:c%.yaml", path="x")
    assert to_github([odd]) == (
        "::error file=a%2Cb%3Ac%25.yaml,line=3,col=4,title=bad-value::x: 100%25 of%0Alines: a,b"
    )
    assert (
        to_github([finding(0, 0, severity=Severity.INFO, path="")]) == "::notice file=f.yaml,title=bad-value::is wrong"
    )
