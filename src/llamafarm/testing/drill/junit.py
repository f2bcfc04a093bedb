"""Writes a drill's report as JUnit XML, which CI systems read: a test case for each target, fault and rule."""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llamafarm.testing.drill.report import Report

__all__ = ["junit_xml"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even as references."""
_Case = tuple[str, str, float | None, bool | None, str]
"""Class, name, milliseconds, verdict, and what is to be said."""


def junit_xml(report: Report) -> bytes:
    """Give the document, as the usual schemas want it: suites, a suite, its properties, cases and output."""
    cases = list(_cases(report))
    failures = sum(ok is False for *_, ok, _ in cases)
    skipped = sum(ok is None for *_, ok, _ in cases)
    seconds = f"{sum(ms or 0.0 for _, _, ms, _, _ in cases) / 1e3:.3f}"
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0", "time": seconds}
    name = _text(f"llamafarm test {report.strategy}")
    suites = ET.Element("testsuites")  # Ant's schema gives it no attributes
    suite = ET.SubElement(
        suites,
        "testsuite",
        {
            "id": "0",
            "package": "llamafarm",
            "name": name,
            **counts,
            "skipped": str(skipped),
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "hostname": _text(socket.gethostname()) or "localhost",
        },
    )
    properties = ET.SubElement(suite, "properties")
    ET.SubElement(properties, "property", {"name": "strategy", "value": _text(report.strategy)})
    ET.SubElement(properties, "property", {"name": "dry_run", "value": str(report.dry_run).lower()})
    for case in cases:
        _add(suite, report.strategy, case)
    ET.SubElement(suite, "system-out").text = _text("\n".join(report.notes))
    ET.SubElement(suite, "system-err")
    return bytes(ET.tostring(suites, encoding="utf-8", xml_declaration=True))


def _add(suite: ET.Element, strategy: str, made: _Case) -> None:
    kind, title, ms, ok, said = made
    about = {"classname": _text(f"{strategy}.{kind}"), "name": _text(title), "time": f"{(ms or 0.0) / 1e3:.3f}"}
    case = ET.SubElement(suite, "testcase", about)
    if ok is False:
        failure = ET.SubElement(case, "failure", {"type": "AssertionError", "message": _text(said)})
        failure.text = _text(said)
    elif ok is None:
        ET.SubElement(case, "skipped", {"message": _text(said)})


def _cases(report: Report) -> Iterable[_Case]:
    for target in report.targets:
        said = target.detail if target.outcome == "failed" else f"{target.outcome}: {target.detail}"
        yield "targets", f"{target.name} ({target.model})", target.ms, target.ok, said
    for fault in report.faults:
        kind = f"{fault.fault}, streamed" if fault.streamed else str(fault.fault)
        decided = f" by {fault.rule}" if fault.rule else ""
        title = f"{fault.target}: {kind} in {' > '.join(fault.order)}{decided}"
        yield "faults", title, fault.ms, fault.ok, fault.note
    for rule in report.rules:
        yield "rules", f"{rule.condition} -> {rule.target}", rule.ms, rule.ok, rule.note
    if report.refused is not None:
        yield "targets", "any", None, False, report.refused


def _text(text: str) -> str:
    return _NOT_XML.sub("?", text)
