"""What is likely a mistake though it can be carried out: each a warning with a stable code."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from llamafarm.spec.assemble import Draft
from llamafarm.spec.document import Places
from llamafarm.spec.nodes import child
from llamafarm.spec.problems import Problems
from llamafarm.spec.strategy import Constraints, Rule
from llamafarm.spec.targets import models_of, names_of, referred
from llamafarm.spec.unread import Unread

__all__ = ["leads_known", "lint"]

Warned = tuple[str, str, str]
"""A code, a path and a message."""


def lint(draft: Draft, problems: Problems, places: Places) -> None:
    """Note a strategy's likely mistakes."""
    unread = problems.unread
    said = (*_description(draft, unread), *_limits(draft), *_unreached(draft, unread), *_rules(draft, unread))
    for code, path, message in said:
        problems.warning(code, places.place(path), path, message)


def _description(draft: Draft, unread: Unread) -> Iterator[Warned]:
    given = str(draft.values.get("description", "")).strip()
    if not given and not unread.touches(child(draft.path, "description")):
        yield "no-description", child(draft.path, "name"), "no `description`: say what this strategy is for"


def _limits(draft: Draft) -> Iterator[Warned]:
    limits = draft.values.get("constraints")
    if not isinstance(limits, Constraints):
        return
    path = child(draft.path, "constraints")
    if limits.max_tokens is not None:
        parts = (limits.max_input_tokens or 0) + (limits.max_output_tokens or 0)
        if parts > limits.max_tokens:
            message = (
                f"max_input_tokens and max_output_tokens allow {parts} together, max_tokens only {limits.max_tokens}"
            )
            yield "token-limits-conflict", child(path, "max_tokens"), message
    money = [
        (name, value)
        for name in ("max_cost_per_request", "daily_budget", "monthly_budget")
        if (value := getattr(limits, name)) is not None
    ]
    for (smaller, less), (larger, more) in pairwise(money):
        if less > more:
            yield "budget-order", child(path, smaller), f"{smaller} ({less:g}) is more than {larger} ({more:g})"


def _unreached(draft: Draft, unread: Unread) -> Iterator[Warned]:
    named = {entry.component for entry in draft.entries.values() if entry.component is not None}
    first = next((part for part in draft.components.values() if part.serves), None)
    if first is None or not named or first.name in named or not leads_known(draft, unread):
        return
    if {target for _, target in referred(draft)}.isdisjoint({first.name, *models_of(first.config)}):
        path = child(child(draft.path, "components"), first.name)
        message = f"{first.name} is the first component, but the fallback chain leaves it out and no rule chooses it"
        yield "first-component-unreached", path, message


def leads_known(draft: Draft, unread: Unread) -> bool:
    """Tell whether all that can lead to a target could be read and names one: only then something is out of reach."""
    known = names_of(draft)
    return not (
        draft.lost
        or None in draft.chain
        or None in draft.rules
        or (not draft.chain and unread.touches(child(draft.path, "fallback_chain")))
        or (not draft.rules and unread.touches(child(draft.path, "routing_rules")))
        or any(target not in known or unread.touches(path) for path, target in referred(draft))
        or unread.touches(child(draft.path, "aliases"))
        or any(unread.touches(child(child(draft.path, "load_balancing"), key)) for key in ("targets", "weights"))
    )


def _rules(draft: Draft, unread: Unread) -> Iterator[Warned]:
    path = child(draft.path, "routing_rules")
    rules = [
        (at, rule) for at, rule in enumerate(draft.rules) if rule is not None and not unread.touches(child(path, at))
    ]
    rules.sort(key=lambda pair: -pair[1].rank)
    seen: dict[str, tuple[int, Rule]] = {}
    always: int | None = None
    for index, rule in rules:
        where = child(path, index)
        condition = " ".join(rule.condition.split())
        if always is not None:
            yield "shadowed-rule", where, f"never acts: {child(path, always)} comes first and always holds"
        elif condition in seen:
            earlier, same = seen[condition]
            yield _repeated(where, child(path, earlier), rule, same)
        seen.setdefault(condition, (index, rule))
        if always is None and condition.lower() == "true":
            always = index


def _repeated(path: str, earlier: str, rule: Rule, first: Rule) -> Warned:
    if rule.target == first.target:
        return "duplicate-rule", path, f"says the same as {earlier}"
    return (
        "shadowed-rule",
        path,
        f"{earlier} has the same condition and comes first, so {first.target} gets the request",
    )
