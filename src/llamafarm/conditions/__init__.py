"""The rule language: a condition's text becomes a function of a request's facts, checked in full before it runs."""

from __future__ import annotations

from llamafarm.conditions.condition import Condition, compile_condition
from llamafarm.conditions.error import ConditionError
from llamafarm.conditions.facts import BudgetFacts, Facts, RequestFacts, TimeFacts
from llamafarm.conditions.input import Input

__all__ = [
    "BudgetFacts",
    "Condition",
    "ConditionError",
    "Facts",
    "Input",
    "RequestFacts",
    "TimeFacts",
    "compile_condition",
]
