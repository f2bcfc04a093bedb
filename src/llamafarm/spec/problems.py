"""Collects what is wrong with a file, each thing once, and knows which comments silence what."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable

from llamafarm.errors import Finding, Severity
from llamafarm.spec.concealing import Concealed
from llamafarm.spec.masking import masked_addresses
from llamafarm.spec.nodes import Place, child
from llamafarm.spec.unread import Unread

__all__ = ["Problems", "TooManyError", "shortened", "source_lines", "unsilenced"]

_MOST_ERRORS = 2000
"""With more of them a file is not read on: whatever it is, nobody mends it one by one."""
_MOST_SHOWN = 200
"""Findings of one file that are shown."""

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_COMMENT = re.compile(r"(?:^|\s)#")
_MARK = re.compile(r"\bllamafarm:\s*+ignore\[")


class TooManyError(Exception):
    """A file has so many errors that it is not read on."""


class Problems:
    """The findings of one file while it is read."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.unread = Unread()
        self._concealed = Concealed()
        self._found: dict[tuple[Place, str, str], Finding] = {}
        self._errors = 0

    def conceal(self, value: str, reference: str) -> None:
        """Have every message show a reference like ``${NAME}`` where it would show the value it stands for."""
        self._concealed.add(value, reference)

    def conceal_literals(self, values: Iterable[str]) -> None:
        """Have every message show stars for secrets that stand in the file itself."""
        for value in values:
            self._concealed.add(value, "***")

    def concealed(self, text: str) -> str:
        """Give a text without the values known so far: for one that is shortened before it gets into a message."""
        return self._concealed.applied(text)

    def error(self, code: str, place: Place, path: str, message: str) -> None:
        """Note something that stops the file from being used."""
        self.add(Severity.ERROR, code, place, path, message)

    def misread(self, code: str, place: Place, path: str, message: str, key: str | None = None) -> None:
        """Note an error for which a value could not be made: that of the path, or of `key` in it."""
        self.error(code, place, path, message)
        self.unread.add(path if key is None else child(path, key))

    def warning(self, code: str, place: Place, path: str, message: str) -> None:
        """Note something that is likely a mistake."""
        self.add(Severity.WARNING, code, place, path, message)

    def add(self, severity: Severity, code: str, place: Place, path: str, message: str) -> None:
        """Note something; what an alias or an inherited config repeats at the same place is noted once.

        Raises TooManyError where reading on makes no sense.
        """
        if (place, code, message) in self._found:
            return
        self._found[place, code, message] = Finding(self.file, place.line, place.column, path, code, severity, message)
        self._errors += severity is Severity.ERROR
        if self._errors > _MOST_ERRORS:
            raise TooManyError

    def finding(self, severity: Severity, code: str, place: Place, path: str, message: str) -> Finding:
        """Say something without noting it: no value of the environment and no control character is in it."""
        return self._safe(Finding(self.file, place.line, place.column, path, code, severity, message))

    def _safe(self, finding: Finding) -> Finding:
        message = masked_addresses(self._concealed.applied(finding.message))
        message = message if message.isprintable() else "".join(map(_printable, message))
        return dataclasses.replace(finding, path=self._concealed.applied(finding.path), message=message)

    @property
    def failed(self) -> bool:
        """Whether there is an error among them."""
        return self._errors > 0

    def findings(self, text: str) -> tuple[Finding, ...]:
        """Give them in file order, without those that a comment silences."""
        # Only now every value is known that none of them may show.
        return unsilenced(map(self._safe, self._found.values()), text)


def _printable(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def source_lines(text: str) -> list[str]:
    """Split a text into lines where YAML does."""
    return _BREAK.split(text)


def unsilenced(findings: Iterable[Finding], text: str) -> tuple[Finding, ...]:
    """Sort findings; drop warnings and infos that ``# llamafarm: ignore[code]`` names on their line or just above."""
    listed = list(findings)
    codes = {finding.code for finding in listed}
    silenced = _silenced(text, codes) if "llamafarm:" in text else {}
    kept = [
        finding
        for finding in listed
        if finding.severity is Severity.ERROR or finding.code not in silenced.get(finding.line, frozenset())
    ]
    return tuple(sorted(kept, key=lambda finding: (finding.line, finding.column)))


def shortened(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Give the first of one file's findings, errors before others, and a last one that says how many more there are."""
    if len(findings) <= _MOST_SHOWN:
        return findings
    ranks = list(Severity)
    by_weight = sorted(range(len(findings)), key=lambda number: ranks.index(findings[number].severity))
    kept, left = sorted(by_weight[:_MOST_SHOWN]), [findings[number] for number in by_weight[_MOST_SHOWN:]]
    errors = sum(finding.severity is Severity.ERROR for finding in left)
    message = f"and {len(left):,} more, {errors:,} of them errors: mend these first"
    more = Finding(left[0].file, 0, 0, "", "more-findings", left[0].severity, message)
    return (*(findings[number] for number in kept), more)


def _silenced(text: str, codes: Collection[str]) -> dict[int, frozenset[str]]:
    by_line: dict[int, frozenset[str]] = {}
    above: frozenset[str] = frozenset()
    for number, line in enumerate(source_lines(text), 1):
        own = frozenset(code for code in _named(line) if code in codes) if "llamafarm:" in line else frozenset()
        by_line[number] = own | above
        above = by_line[number] if line.lstrip().startswith("#") else frozenset()
    return by_line


def _named(line: str) -> list[str]:
    """Give the codes that a line's comment names; each step moves forward, so no line is slow to read."""
    comment = _COMMENT.search(line)
    mark = _MARK.search(line, comment.end()) if comment is not None else None
    end = line.find("]", mark.end()) if mark is not None else -1
    return [code.strip() for code in line[mark.end() : end].split(",")] if mark is not None and end >= 0 else []
