"""Finds out whether a strategy does what its file says when targets fail, and whether its rules send where they should.

::

    report = await drill(strategy, dry_run=True)
    assert report.ok, [row for row in report.faults if row.ok is False]
"""

from llamafarm.testing.drill.judging import Promises
from llamafarm.testing.drill.report import FaultRow, Report, RuleRow, TargetRow
from llamafarm.testing.drill.run import Drill, Extent, drill

__all__ = ["Drill", "Extent", "FaultRow", "Promises", "Report", "RuleRow", "TargetRow", "drill"]
