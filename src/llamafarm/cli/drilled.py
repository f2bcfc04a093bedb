"""How the result of `test` is shown: as one JSON document, as plain text, as tables in a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from llamafarm.cli.printing import document, dollars, printable, table, usage_document, write

if TYPE_CHECKING:
    from llamafarm.testing.drill import FaultRow, Report, RuleRow, TargetRow

__all__ = ["show"]

_SHOWN = 3
"""Targets that a row names of those that could take over."""
_WORDS = {True: "ok", False: "FAILED", None: "-"}
_Section = tuple[tuple[str, ...], list[list[str]], tuple[int, ...]]
"""The heading, the rows, and which columns hold figures; the first column of all of them is the verdict."""


def show(report: Report, *, as_json: bool) -> None:
    """Write a report to stdout."""
    if as_json:
        document(_document(report))
    else:
        _show(report)


# JSON


def _document(report: Report) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "strategy": report.strategy,
        "dry_run": report.dry_run,
        "targets": [_target_document(row) for row in report.targets],
        "faults": [_fault_document(row) for row in report.faults],
        "rules": [_rule_document(row) for row in report.rules],
        "notes": list(report.notes),
        "ok": report.ok,
    }
    if report.refused is not None:
        shown["refused"] = report.refused
    return shown


def _target_document(row: TargetRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "provider": row.provider,
        "model": row.model,
        "ok": row.ok,
        "outcome": row.outcome,
        "detail": row.detail,
        "ms": _rounded(row.ms),
        "first_token_ms": _rounded(row.first_token_ms),
        "usage": usage_document(row.usage),
        "cost_usd": row.cost_usd,
    }


def _fault_document(row: FaultRow) -> dict[str, Any]:
    return {
        "target": row.target,
        "fault": str(row.fault),
        "answered_by": row.answered_by,
        "ms": _rounded(row.ms),
        "streamed": row.streamed,
        "order": list(row.order),
        "cost_usd": row.cost_usd,
        "ok": row.ok,
        "note": row.note,
        "rule": row.rule or None,
    }


def _rule_document(row: RuleRow) -> dict[str, Any]:
    return {
        "condition": row.condition,
        "target": row.target,
        "prompt": row.prompt,
        "answered_by": row.answered_by,
        "ms": _rounded(row.ms),
        "cost_usd": row.cost_usd,
        "ok": row.ok,
        "note": row.note,
    }


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)


# Text


def _show(report: Report) -> None:
    sections = {"targets": _targets(report), "faults": _faults(report), "rules": _rules(report)}
    filled = {title: section for title, section in sections.items() if section[1]}
    if sys.stdout.isatty():
        _draw(filled)
    else:
        write("\n".join(f"{title}\n{table(head, rows, right=right)}" for title, (head, rows, right) in filled.items()))
    notes = [f"note: {text}" for text in report.notes]
    what = f"{report.strategy} {'holds' if report.ok else 'does not hold'}"
    why = f": {report.refused}" if report.refused else ""
    dry = " (dry run: a fake answered)" if report.dry_run else ""
    write("\n".join(["", *notes, f"{what}{why}{dry}"]) + "\n")


def _targets(report: Report) -> _Section:
    head = ("", "target", "model", "first token", "total", "in", "out", "cost", "")
    return head, [_target_cells(row) for row in report.targets], (3, 4, 5, 6, 7)


def _target_cells(row: TargetRow) -> list[str]:
    usage = row.usage
    figures = [str(usage.input_tokens), str(usage.output_tokens)] if usage else ["-", "-"]
    cost = dollars(row.cost_usd) if row.outcome == "answered" else "-"
    said = row.detail if row.outcome in ("answered", "failed") else f"{row.outcome}: {row.detail}"
    return _line(_WORDS[row.ok], row.name, row.model, _ms(row.first_token_ms), _ms(row.ms), *figures, cost, said)


def _faults(report: Report) -> _Section:
    head = ("", "target", "fault", "by the rule", "behind it", "answered by", "after", "cost", "")
    rows: list[list[str]] = []
    shown: set[tuple[object, ...]] = set()
    for row in report.faults:
        if row.ms is None:  # nobody is left: one line says so for all faults
            key = (row.target, row.order, row.note)
            if key not in shown:
                shown.add(key)
                rows.append(_line(_WORDS[row.ok], row.target, "any", row.rule or "-", "-", "-", "-", "-", row.note))
            continue
        fault = f"{row.fault}, streamed" if row.streamed else str(row.fault)
        rows.append(
            _line(
                _WORDS[row.ok],
                row.target,
                fault,
                row.rule or "-",
                _behind(row),
                row.answered_by or "-",
                _ms(row.ms),
                dollars(row.cost_usd),
                row.note,
            )
        )
    if any(row.rule for row in report.faults):
        return head, rows, (6, 7)
    return (*head[:3], *head[4:]), [row[:3] + row[4:] for row in rows], (5, 6)


def _behind(row: FaultRow) -> str:
    behind = row.order[row.order.index(row.target) + 1 :]
    return " > ".join(behind if len(behind) <= _SHOWN else (*behind[:_SHOWN], "…"))


def _rules(report: Report) -> _Section:
    head = ("", "rule", "target", "prompt", "answered by", "")
    rows = [
        _line(_WORDS[row.ok], row.condition, row.target, row.prompt or "-", row.answered_by or "-", row.note)
        for row in report.rules
    ]
    return head, rows, ()


def _line(*cells: str) -> list[str]:
    return [printable(" ".join(cell.split())) for cell in cells]


def _ms(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.0f} ms"


def _draw(sections: dict[str, _Section]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    styles = {_WORDS[True]: "green", _WORDS[False]: "red"}
    console = Console()
    for title, (head, rows, right) in sections.items():
        drawn = Table(title=title, title_justify="left")
        for place, name in enumerate(head):
            drawn.add_column(name, justify="right" if place in right else "left", no_wrap=place in right)
        for row in rows:
            drawn.add_row(Text(row[0], style=styles.get(row[0], "")), *map(Text, row[1:]))
        console.print(drawn)
