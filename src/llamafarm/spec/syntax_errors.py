"""What a YAML parser's complaint means for whoever wrote the file: the line at fault, and what to write there."""

from __future__ import annotations

import re
from functools import cache

import yaml

from llamafarm.spec.key_paths import keys, word
from llamafarm.spec.nodes import Place
from llamafarm.spec.problems import source_lines

__all__ = ["explained"]

_HINTS = {
    "found a tab character that violates indentation": "a tab cannot indent: use spaces",
    "mapping values are not allowed in this context": "a colon cannot stand here: indent the line, or quote the value",
    "could not find expected ':'": "a key without its colon: write `key: value`",
    "did not find expected key": "the indentation matches no line above, or a quote or a bracket is not closed",
    "did not find expected '-' indicator": "the indentation fits neither the list above nor an item of it",
    "did not find expected ',' or ']'": "a list in brackets is not closed",
    "did not find expected ',' or '}'": "a mapping in braces is not closed",
    "found unexpected end of stream": "a quote is not closed",
    "did not find expected node content": "a value is missing here, or a quote before it",
    "found incompatible YAML document": "only YAML 1.1 and 1.2 can be read",
    "found unknown escape character": "a backslash means something between double quotes: use single quotes",
    "did not find expected alphabetic or numeric character": "a value cannot begin with * or &: quote it",
    "did not find expected <document start>": "nothing can follow here: indent the line, or remove what is above",
}
_STRAY_COLON = "mapping values are not allowed in this context"
_DASHES = re.compile(r"\s*(?:-\s+)*")
_NO_SPACE = re.compile(r"(?P<key>[A-Za-z_][A-Za-z0-9_]*):(?!//)[^\s:]")
_DASH_STUCK = re.compile(r"-(?P<key>[A-Za-z_][A-Za-z0-9_]*):(?:\s|$)")
_NO_COLON = re.compile(r"(?P<key>[A-Za-z_][A-Za-z0-9_]*)(?P<value>\s+[^\s#:].*)?\s*(?:#.*)?$")


def explained(error: yaml.MarkedYAMLError, text: str) -> tuple[Place, str, str]:
    """Give the place of a syntax error, an empty path, and a message."""
    lines = source_lines(text)
    suspect = _suspect(error, lines)
    if suspect is not None and (said := _slip(suspect, lines[suspect])) is not None:
        return said
    mark = error.problem_mark or error.context_mark
    at_end = mark is not None and mark.index >= len(text.rstrip())
    if at_end and error.context_mark is not None:
        mark = error.context_mark  # what was never closed says more than the end of the file
    place = Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)
    problem = error.problem or "this is not YAML"
    message = _HINTS.get(problem)
    if mark is not None and mark.index >= len(text.rstrip()):
        message = "the file ends here, and something above is not closed"
    line = lines[place.line - 1 : place.line]
    at = line[0][place.column - 1 : place.column] if line else ""
    if problem == "found character that cannot start any token":
        message = "a tab cannot indent: use spaces" if at == "\t" else f"a value cannot begin with {at}: quote it"
    if message is None:
        message = problem
    if error.context and error.context_mark is not None and error.context_mark.line + 1 != place.line:
        message += f" (what it belongs to began on line {error.context_mark.line + 1})"
    return place, "", message


def _suspect(error: yaml.MarkedYAMLError, lines: list[str]) -> int | None:
    """Give the index of the line that is likely at fault: a key without `: ` goes on into the line below it."""
    mark = error.problem_mark
    if error.context == "while scanning a simple key" and error.context_mark is not None:
        return int(error.context_mark.line)
    if error.problem != _STRAY_COLON or mark is None or ": " in lines[mark.line][: mark.column]:
        return None
    above = (at for at in range(mark.line - 1, -1, -1) if lines[at].strip() and not lines[at].lstrip().startswith("#"))
    return next(above, None)


def _slip(at: int, line: str) -> tuple[Place, str, str] | None:
    """Say what is missing in a line that has a key and no `: `; None where it may be a text that goes on."""
    dashes = _DASHES.match(line)
    start = dashes.end() if dashes is not None else 0
    place = Place(at + 1, start + 1)
    if (found := _DASH_STUCK.match(line, start)) is not None:
        return place, "", f"a space is missing behind the dash: write `- {found['key']}: …`"
    if (found := _NO_SPACE.match(line, start)) is not None:
        return place, "", f"a space is missing behind the colon: write `{found['key']}: …`"
    found = _NO_COLON.match(line, start)
    if found is None or found["key"] not in _known():
        return None
    rest = " …" if found["value"] else ""
    return place, "", f"a colon is missing behind {found['key']}: write `{found['key']}:{rest}`"


@cache
def _known() -> frozenset[str]:
    return frozenset(word(part) for path in keys() for part in path.split("."))
