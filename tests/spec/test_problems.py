"""Which comments silence what, read in time proportional to the text."""

import pytest

from llamafarm.errors import Finding, Severity
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
