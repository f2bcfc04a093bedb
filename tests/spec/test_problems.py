"""Which comments silence what, read in time proportional to the text."""

import pytest

from llamafarm import spec
from llamafarm.errors import ConfigError, Finding, Severity
from llamafarm.spec.problems import unsilenced


def kept(text: str, line: int = 1, code: str = "odd") -> bool:
    finding = Finding("f.yaml", line, 1, "", code, Severity.WARNING, "")
    return unsilenced([finding], text) == (finding,)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1 # llamafarm: ignore[odd]",
        "a: 1 # because so: llamafarm:ignore[x, odd ,y] here",
        "# llamafarm: ignore[odd]\na: 1",
        "  # llamafarm: ignore[odd]\n# and why\na: 1",
        "a: 1 # llamafarm: see llamafarm: ignore[odd]",
    ],
)
def test_a_comment_silences_its_line_and_the_one_below(text):
    assert not kept(text, line=text.count("\n") + 1)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1 # llamafarm: ignore[other]",
        "a: 1 # llamafarm: ignore[odd",
        "a: 1 # xllamafarm: ignore[odd]",
        "a: 1 # llamafarm ignore[odd]",
        "a: 'llamafarm: ignore[odd]'",
        "a: b#llamafarm: ignore[odd]",
        "a: 1 # llamafarm: not ignore[odd]",
    ],
)
def test_anything_else_silences_nothing(text):
    assert kept(text)


@pytest.mark.parametrize(
    "text",
    [
        "#" + " llamafarm: ignore[" * 100_000,
        "#" + " llamafarm:" * 200_000,
        "#" + " llamafarm: ignore" * 100_000,
        " #" * 200_000 + "\n# llamafarm: ignore[x]",
        "# llamafarm:" + " " * 2_000_000,
        "# llamafarm: ignore[" + "x," * 1_000_000 + "]",
        "".join(f"# llamafarm: ignore[c{index}]\n" for index in range(60_000)),
    ],
    ids=["unclosed", "marks", "no-bracket", "hashes", "blanks", "codes", "lines"],
)
def test_comments_are_read_in_time_proportional_to_their_length(text):
    # Not timed: what is quadratic here takes minutes.
    assert kept(text)


def test_of_very_many_findings_the_first_are_shown_with_the_number_of_the_rest():
    text = "strategies:\n  - name: s\n    components: {a: {type: llamacpp}}\n"
    text += "".join(f"    key{number}: 1\n" for number in range(500))
    document = spec.examine_text(text, "f.yaml", env={})
    assert len(document.findings) == 501  # one for the missing description
    shown = document.unsilenced(document.findings)
    assert [finding.code for finding in shown] == ["unknown-key"] * 200 + ["more-findings"]  # errors before others
    assert str(shown[-1]) == "f.yaml: error[more-findings]: and 301 more, 300 of them errors: mend these first"
    with pytest.raises(ConfigError, match="500 errors") as refused:
        spec.load_text(text, "f.yaml", env={})
    assert refused.value.findings == shown


@pytest.mark.parametrize("item", ["- 1", "- {a: 1}", "- {name: s, name: s}"])
def test_a_file_that_is_wrong_everywhere_is_not_read_to_its_end(item):
    with pytest.raises(ConfigError, match="thousands of errors") as refused:
        spec.examine_text("strategies:\n" + f"{item}\n" * 50_000, "f.yaml", env={})
    *shown, last = refused.value.findings
    assert len(shown) == 200
    assert last.message.endswith("the rest of the file is not read")
