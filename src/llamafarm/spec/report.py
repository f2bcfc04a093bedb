"""How findings are shown: for people with the line and a caret, as JSON, and as annotations for GitHub."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from llamafarm.errors import Finding, Severity
from llamafarm.spec.masking import is_secret_name
from llamafarm.spec.nodes import Place
from llamafarm.spec.sources import Source

__all__ = ["render", "summary", "to_github", "to_json"]

_WIDEST = 100
"""Columns of a source line that are shown."""
_TAB = 4
_ABOUT_KEYS = ("unknown-key", "duplicate-key", "not-yet-active")
"""Codes whose place is a key, not its value."""
_GITHUB = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(findings: Iterable[Finding], texts: Mapping[str, str]) -> str:
    """Show findings with their source lines, from `texts` by file name, and a summary; API keys are masked."""
    listed = list(findings)
    sources = {name: Source(text, _unknown_keys(listed, name)) for name, text in texts.items()}
    blocks = [_block(finding, sources.get(finding.file)) for finding in listed]
    return "\n".join([*blocks, summary(listed)])


def _unknown_keys(findings: Iterable[Finding], name: str) -> set[Place]:
    return {
        Place(finding.line, finding.column)
        for finding in findings
        if finding.file == name and finding.code == "unknown-key"
    }


def summary(findings: Iterable[Finding]) -> str:
    """Count findings: ``2 errors, 1 warning``."""
    counts = Counter(finding.severity for finding in findings)
    said = [f"{counts[kind]} {kind}{'s' if counts[kind] > 1 else ''}" for kind in Severity if counts[kind]]
    return ", ".join(said) or "no problems"


def to_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """Give findings as JSON values."""
    return {
        "findings": [
            {
                "file": finding.file,
                "line": finding.line,
                "column": finding.column,
                "path": finding.path,
                "code": finding.code,
                "severity": str(finding.severity),
                "message": finding.message,
            }
            for finding in findings
        ]
    }


def to_github(findings: Iterable[Finding]) -> str:
    """Give findings as workflow commands, a line each: GitHub shows them beside the file's lines."""
    return "\n".join(_annotation(finding) for finding in findings)


def _annotation(finding: Finding) -> str:
    properties = {"file": finding.file}
    if finding.line:
        properties |= {"line": str(finding.line), "col": str(finding.column)}
    properties["title"] = finding.code
    said = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    path = f"{finding.path}: " if finding.path else ""
    return f"::{_GITHUB[finding.severity]} {said}::{_escaped(path + finding.message)}"


def _escaped(text: str, also: str = "") -> str:
    return "".join(f"%{ord(character):02X}" if character in "%\r\n" + also else character for character in text)


def _block(finding: Finding, source: Source | None) -> str:
    if source is None or not 1 <= finding.line <= len(source):
        return str(finding)
    name = finding.path.rsplit(".", 1)[-1]
    is_value = is_secret_name(name) and finding.code not in _ABOUT_KEYS
    line = source.line(finding.line, finding.column - 1 if is_value else None)
    shown, caret = _window(line, min(finding.column - 1, len(line)))
    margin = len(str(finding.line))
    return f"{finding}\n  {finding.line} | {shown}\n  {' ' * margin} | {' ' * caret}^"


def _window(line: str, at: int) -> tuple[str, int]:
    """Give the part of a line that is shown around a place, and the column its caret stands in."""
    start = max(0, at - _WIDEST // 2) if len(line) > _WIDEST else 0
    piece = line[start : start + _WIDEST]
    before, after = "…" if start else "", "…" if start + _WIDEST < len(line) else ""
    cells = [_cell(character) for character in piece]
    caret = len(before) + sum(_width(cell) for cell in cells[: at - start])
    return (before + "".join(cells) + after).rstrip(), caret


def _cell(character: str) -> str:
    if character == "\t":
        return " " * _TAB
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"


def _width(cell: str) -> int:
    if len(cell) > 1:
        return len(cell)
    if unicodedata.combining(cell):
        return 0
    return 2 if unicodedata.east_asian_width(cell) in "WF" else 1
