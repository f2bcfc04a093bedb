"""Finds rules that can never act, and rules that send private prompts to where they should not go."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llamafarm.conditions import Condition, Facts, compile_condition
from llamafarm.conditions.cases import cases_of, implies
from llamafarm.conditions.ranges import Range
from llamafarm.errors import Severity
from llamafarm.planning.addresses import is_loopback
from llamafarm.planning.eligibility import forbidden
from llamafarm.spec import child
from llamafarm.types import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llamafarm.conditions.cases import Case, Cases
    from llamafarm.hardware import Hardware
    from llamafarm.planning import Routing
    from llamafarm.spec.strategy import Rule
    from llamafarm.types import Target

__all__ = ["check_rules"]

_CONFIDING = frozenset({"confidential", "pii", "private", "secret", "sensitive"})
"""Tags by which a caller says that a prompt is not for everybody."""
_OWN_VENDORS = frozenset({"azure", "custom"})
"""Vendor rows that may well stand for a place inside the user's own walls."""

_Key = str | tuple[str, Range]
"""A fact, or a fact and the single value it must have."""
Said = tuple[Severity, str, str, str]
"""A severity, a code, a path and a message."""


@dataclass(frozen=True, slots=True)
class _Ruling:
    """A rule, its place, and when its condition holds."""

    path: str
    rule: Rule
    target: Target
    condition: Condition
    cases: Cases

    @property
    def text(self) -> str:
        """The condition as the loader compares it with others."""
        return " ".join(self.rule.condition.split())


def check_rules(routing: Routing, path: str, hardware: Hardware) -> Iterator[Said]:
    """Look for what is wrong with a strategy's rules, which stand at `path` in the file."""
    rulings = [
        _ruling(routing, child(path, number), rule) for number, rule in enumerate(routing.strategy.routing_rules)
    ]
    for ruling in rulings:
        if ruling.cases.never:
            message = "never holds, whatever the request: this rule never acts"
            yield Severity.WARNING, "rule-never-matches", child(ruling.path, "condition"), message
        yield from _leak(ruling, routing, hardware)
    yield from _shadowed(sorted(rulings, key=lambda ruling: -ruling.rule.rank))


def _ruling(routing: Routing, path: str, rule: Rule) -> _Ruling:
    condition = compile_condition(rule.condition)
    return _Ruling(path, rule, routing.named[rule.target], condition, cases_of(condition))


# Rules behind others


@dataclass(slots=True)
class _Earlier:
    """The rules that have been seen, to be found by what their cases are about: thousands cost little that way."""

    by_key: dict[_Key, list[tuple[Case, _Ruling]]] = field(default_factory=dict)

    def add(self, ruling: _Ruling) -> None:
        for case in ruling.cases.cases:
            # What implies a single value of a fact has that same value: no other case need be looked at.
            single = ((fact, span) for fact, span in case.items() if span.is_single)
            self.by_key.setdefault(next(single, next(iter(case))), []).append((case, ruling))

    def covering(self, cases: Cases) -> tuple[_Ruling, ...]:
        """Give rules of which one holds in each of these cases; none where a case is left over."""
        found: dict[str, _Ruling] = {}
        for case in cases.cases:
            keys: Iterable[_Key] = (*case, *case.items())
            known = (entry for key in keys for entry in self.by_key.get(key, ()))
            first = next((ruling for other, ruling in known if implies(case, other)), None)
            if first is None:
                return ()
            found[first.path] = first
        return tuple(found.values())


def _shadowed(rulings: Iterable[_Ruling]) -> Iterator[Said]:
    """Warn of rules behind others that hold whenever they do; the loader has done so where the texts show it."""
    earlier, texts = _Earlier(), set[str]()
    always: _Ruling | None = None
    for ruling in rulings:
        if always is not None:
            message = f"{always.path} comes first and always holds: {_left_to(ruling, [always])}"
            yield Severity.WARNING, "shadowed-rule", ruling.path, message
        if ruling.text.lower() == "true":
            return  # the loader has said it of every rule from here on
        if always is not None or ruling.cases.never or ruling.text in texts:
            continue
        if ruling.cases.always:
            message = "holds for every request: write `true` if that is meant"
            yield Severity.WARNING, "rule-always-matches", child(ruling.path, "condition"), message
            always = ruling
            continue
        texts.add(ruling.text)
        before = earlier.covering(ruling.cases)
        if before:
            yield Severity.WARNING, "shadowed-rule", ruling.path, _hidden(ruling, before)
        earlier.add(ruling)


def _hidden(ruling: _Ruling, before: tuple[_Ruling, ...]) -> str:
    if len(before) == 1:
        return f"{before[0].path} comes first and holds whenever this does: {_left_to(ruling, before)}"
    paths = ", ".join(other.path for other in before)
    return f"{paths} come first and one of them holds whenever this does: {_left_to(ruling, before)}"


def _left_to(ruling: _Ruling, before: Iterable[_Ruling]) -> str:
    """Say what a rule behind others still gets: what their targets cannot take, if those are ever passed over."""
    others = [other for other in before if not other.target.local and other.target != ruling.target]
    if not others:
        return "this rule never acts"
    names = " or ".join(dict.fromkeys(other.rule.target for other in others))
    return f"this rule gets only what {names} cannot take"


# Privacy


def _leak(ruling: _Ruling, routing: Routing, hardware: Hardware) -> Iterator[Said]:
    """Warn where tagging a prompt as private is what sends it to a vendor, or lets it go on to one."""
    tag = next((tag for tag in sorted(ruling.condition.tags & _CONFIDING) if _confides(ruling.condition, tag)), None)
    target = ruling.target
    if tag is None or target.local:
        return
    where = child(ruling.path, "target")
    if not _is_own(target):
        message = f"sends what is tagged {tag} to {target.provider}: is a local target meant?"
        yield Severity.WARNING, "privacy-leak", where, message
        return
    constraints = routing.strategy.constraints
    vendors = (other for other in routing.order if not _is_own(other))
    behind = [other.name for other in vendors if not forbidden(other, constraints, hardware)]
    if ruling.rule.fallback is None and behind and (target.settings is not None or is_loopback(target.base_url)):
        remedy = (
            ", or use an application type with base_url (ollama, llamacpp, vllm, tgi)"
            if target.settings is None
            else ""
        )
        message = (
            f"what is tagged {tag} goes on to {', '.join(behind)} where {ruling.rule.target} fails, because only an"
            f" application on this machine counts as local: give the rule `fallback: false`{remedy}"
        )
        yield Severity.WARNING, "privacy-leak", where, message


def _is_own(target: Target) -> bool:
    """Tell whether a target may well be the user's own: an application, wherever it runs, or an address they give."""
    return target.settings is not None or target.provider in _OWN_VENDORS


def _confides(condition: Condition, tag: str) -> bool:
    return condition(_facts(tag)) and not condition(_facts())


def _facts(*tags: str) -> Facts:
    body = {"messages": [{"role": "user", "content": ""}]}
    return Facts.of(Call(body=body, tags=frozenset(tags)), datetime.now(UTC))
