"""Finds rules that can never act, and rules that send private prompts to where they should not go."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from llamafarm.conditions import Condition, Facts, compile_condition
from llamafarm.conditions.cases import cases_of, covers, implies
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
    from llamafarm.spec import Document
    from llamafarm.spec.assemble import Draft
    from llamafarm.spec.strategy import Rule
    from llamafarm.types import Target

__all__ = ["check_rules"]

_CONFIDING = frozenset({"confidential", "pii", "private", "secret", "sensitive"})
"""Tags by which a caller says that a prompt is not for everybody."""
_OWN_VENDORS = frozenset({"azure", "custom"})
"""Vendor rows that may well stand for a place inside the user's own walls."""

_ABILITIES = MappingProxyType(
    {
        "input.has_images": "vision",
        "input.requires_vision": "vision",
        "input.requires_tools": "tools",
        "input.requires_json": "json",
        "input.requires_audio": "audio",
    }
)
"""What a target has to support where a fact is true."""
_TRUE = Range((0, True, 0), (0, True, 0))

_OFF_BY = 4
"""A prompt estimated at so many times a limit is above it, whatever its tokenizer."""

_Key = str | tuple[str, Range]
"""A fact, or a fact and the single value it must have."""
Said = tuple[Severity, str, str, str]
"""A severity, a code, a path and a message."""


@dataclass(frozen=True, slots=True)
class _Ruling:
    """A rule, its place, and when its condition holds."""

    path: str
    rule: Rule
    target: Target | None
    """None: nothing of that name is known."""
    condition: Condition
    cases: Cases

    @property
    def text(self) -> str:
        """The condition as the loader compares it with others."""
        return " ".join(self.rule.condition.split())


def check_rules(
    routing: Routing, draft: Draft, document: Document, hardware: Hardware, able: frozenset[str]
) -> Iterator[Said]:
    """Look for what is wrong with a strategy's rules, as far as they could be read.

    `able` names the targets of which it could be read what they support.
    """
    at = child(draft.path, "routing_rules")
    rules = {child(at, number): rule for number, rule in enumerate(draft.rules) if rule is not None}
    rulings = [
        _ruling(routing, path, rule) for path, rule in rules.items() if document.is_read(child(path, "condition"))
    ]
    most, limit = (
        routing.strategy.constraints.max_input_tokens,
        child(child(draft.path, "constraints"), "max_input_tokens"),
    )
    for ruling in rulings:
        if ruling.cases.never:
            message = "never holds, whatever the request: this rule never acts"
            yield Severity.WARNING, "rule-never-matches", child(ruling.path, "condition"), message
        elif (
            most is not None and document.is_read(limit) and all(_is_longer(case, most) for case in ruling.cases.cases)
        ):
            message = f"holds only for prompts that max_input_tokens ({most}) refuses: this rule never acts"
            yield Severity.WARNING, "rule-never-matches", child(ruling.path, "condition"), message
        elif all(_names_a_model(case, routing.strategy.name) for case in ruling.cases.cases):
            message = "holds only where the caller names a model, and then no rule is asked: this rule never acts"
            yield Severity.WARNING, "rule-never-matches", child(ruling.path, "condition"), message
        elif ruling.target is not None and ruling.target.name in able:
            yield from _beyond(ruling, ruling.target)
        yield from _leak(ruling, routing, hardware)
    whole = (ruling for ruling in rulings if document.is_read(ruling.path))
    yield from _shadowed(sorted(whole, key=lambda ruling: -ruling.rule.rank))


def _is_longer(case: Case, most: int) -> bool:
    """Tell whether a case is only of prompts with more than so many tokens, however far off the estimate is."""
    return "input.tokens" in case and case["input.tokens"].meet(Range(high=(0, most * _OFF_BY, 0))).is_empty


def _names_a_model(case: Case, strategy: str) -> bool:
    """Tell whether a case is only of callers who name a model; the strategy's own name means none."""
    span = case.get("request.model")
    return span is not None and not span.missing and not span.low <= (0, strategy, 0) <= span.high


def _beyond(ruling: _Ruling, target: Target) -> Iterator[Said]:
    """Warn where every request that a rule holds for needs what its target does not support."""
    if target.supports is None:
        return
    lacking = [
        {needed for fact, needed in _ABILITIES.items() if case.get(fact) == _TRUE} - target.supports
        for case in ruling.cases.cases
    ]
    if lacking and all(lacking):
        names = " or ".join(sorted(frozenset[str]().union(*lacking)))
        becomes = "refuses all it holds for" if target.local else "is always passed over"
        message = f"{ruling.rule.target} does not support {names}: this rule {becomes}"
        yield Severity.WARNING, "unfit-target", child(ruling.path, "target"), message


def _ruling(routing: Routing, path: str, rule: Rule) -> _Ruling:
    condition = compile_condition(rule.condition)
    return _Ruling(path, rule, routing.named.get(rule.target), condition, cases_of(condition))


# Rules behind others


_MOST_JOINED = 64
"""Earlier cases that are looked at together; of more, only whether one alone says as much."""


@dataclass(slots=True)
class _Earlier:
    """The rules that have been seen, to be found by what their cases are about: thousands cost little that way."""

    all: list[tuple[Case, _Ruling]] = field(default_factory=list)
    by_key: dict[_Key, list[tuple[Case, _Ruling]]] = field(default_factory=dict)

    def add(self, ruling: _Ruling) -> None:
        for case in ruling.cases.cases:
            # What implies a single value of a fact has that same value: no other case need be looked at.
            single = ((fact, span) for fact, span in case.items() if span.is_single)
            self.by_key.setdefault(next(single, next(iter(case))), []).append((case, ruling))
            self.all.append((case, ruling))

    def covering(self, cases: Cases) -> tuple[_Ruling, ...]:
        """Give rules of which one holds in each of these cases; none where a case is left over."""
        found: dict[str, _Ruling] = {}
        for case in cases.cases:
            covering = self._alone(case) or self._together(case)
            if not covering:
                return ()
            found |= {ruling.path: ruling for ruling in covering}
        return tuple(found.values())

    def _alone(self, case: Case) -> tuple[_Ruling, ...]:
        keys: Iterable[_Key] = (*case, *case.items())
        known = (entry for key in keys for entry in self.by_key.get(key, ()))
        return next(((ruling,) for other, ruling in known if implies(case, other)), ())

    def _together(self, case: Case) -> tuple[_Ruling, ...]:
        if len(self.all) > _MOST_JOINED or not covers([other for other, _ in self.all], case):
            return ()
        needed = self.all
        for entry in self.all:
            others = [kept for kept in needed if kept is not entry]
            if covers([other for other, _ in others], case):
                needed = others
        return tuple(ruling for _, ruling in needed)


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
    others = [other for other in before if other.target and not other.target.local and other.target != ruling.target]
    if not others:
        return "this rule never acts"
    names = " or ".join(dict.fromkeys(other.rule.target for other in others))
    return f"this rule gets only what {names} cannot take"


# Privacy


def _leak(ruling: _Ruling, routing: Routing, hardware: Hardware) -> Iterator[Said]:
    """Warn where tagging a prompt as private is what sends it to a vendor, or lets it go on to one."""
    tag = next((tag for tag in sorted(ruling.condition.tags & _CONFIDING) if _confides(ruling.condition, tag)), None)
    target = ruling.target
    if tag is None or target is None or target.local:
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
