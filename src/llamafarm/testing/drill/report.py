"""What a drill has found out: a row for each target, fault and rule, and whether the strategy holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamafarm.types import Usage

__all__ = ["FaultRow", "Report", "RuleRow", "TargetRow"]


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target, really called."""

    name: str
    provider: str
    model: str
    ok: bool | None
    """None: it was not called, and that is no fault of the strategy's."""
    outcome: str
    """``answered``, ``failed``, ``no key``, ``barred``, ``not called``."""
    detail: str = ""
    """What failed, or why it was not called."""
    ms: float | None = None
    first_token_ms: float | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    """None: nothing was sent, or what it cost cannot be told."""


@dataclass(frozen=True, slots=True)
class FaultRow:
    """What became of a request whose turn had come to a target with a fault."""

    target: str
    fault: str
    """A `transport.faulty.InjectedFault`."""
    streamed: bool
    order: tuple[str, ...]
    """Where the request could go; all targets before the one with the fault refused connections."""
    ok: bool | None
    """None: nobody was left to take over, and the file names nobody."""
    answered_by: str | None = None
    ms: float | None = None
    cost_usd: float | None = None
    """Of what was really sent."""
    note: str = ""
    rule: str = ""
    """The condition of the rule that decided where the request could go; empty: none did."""


@dataclass(frozen=True, slots=True)
class RuleRow:
    """What became of a request that was made for a rule."""

    condition: str
    target: str
    """As the file names it."""
    ok: bool | None
    prompt: str = ""
    """A description of the request; empty where none could be made."""
    answered_by: str | None = None
    ms: float | None = None
    cost_usd: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All of it."""

    strategy: str
    dry_run: bool
    targets: tuple[TargetRow, ...] = ()
    faults: tuple[FaultRow, ...] = ()
    rules: tuple[RuleRow, ...] = ()
    notes: tuple[str, ...] = ()
    """What should be known beside the rows."""
    refused: str | None = None
    """Why the strategy would send nothing at all."""

    @property
    def ok(self) -> bool:
        """Whether nothing that was found speaks against the strategy."""
        found = (*(row.ok for row in self.targets), *(row.ok for row in self.faults), *(row.ok for row in self.rules))
        return self.refused is None and False not in found
