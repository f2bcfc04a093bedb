"""What is said about a strategy file: one thing, its place, and how much it matters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Severity"]


class Severity(StrEnum):
    """How much a finding matters: an error stops the file from being used."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about a strategy file, and the place it is about."""

    file: str
    line: int
    """1-based; 0 where the finding is about the file as a whole."""
    column: int
    """1-based, in characters; 0 as above."""
    path: str
    """The key's path, like ``strategies[2].constraints.daily_budget``; empty for the whole file."""
    code: str
    """Stable and kebab-case, like ``unknown-key``; what `--ignore` takes."""
    severity: Severity
    message: str

    def __str__(self) -> str:
        """Give ``file:line:column: severity[code]: path: message`` on one line."""
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        path = f"{self.path}: " if self.path else ""
        return f"{where}: {self.severity}[{self.code}]: {path}{self.message}"
