"""Decides, without I/O, where a request goes and in which order, what it may cost and how long it may take."""

from llamafarm.planning.body import body_for
from llamafarm.planning.eligibility import Verdict
from llamafarm.planning.plan import Explanation, RuleVerdict, Snapshot, explain, plan
from llamafarm.planning.routing import Routing, RoutingRule, resolve

__all__ = [
    "Explanation",
    "Routing",
    "RoutingRule",
    "RuleVerdict",
    "Snapshot",
    "Verdict",
    "body_for",
    "explain",
    "plan",
    "resolve",
]
